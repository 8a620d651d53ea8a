#!/bin/bash
# runtimes.sh NAME VERSION DIRECTORY SUMS: builds containerd or CRI-O from its Go module into DIRECTORY/bin. Runs inside the tree, with
# the tree's Go; for CRI-O in a layer over it that is thrown away, for its pinns takes a C compiler.
# In a copy of the module: neither has replacements that its module lacks. DIRECTORY/../go keeps modules and objects for the next build.
set -euo pipefail
name=$1 version=$2 directory=$3 sums=$4

work=${directory%/*}/go.part
mkdir -p "$directory/bin" "$work/tmp"
export GOCACHE=$work/cache GOMODCACHE=$work/modules GOTMPDIR=$work/tmp GOTOOLCHAIN=local GOFLAGS='-mod=mod -modcacherw -buildvcs=false'
export CGO_ENABLED=0 GOGC=off GOMEMLIMIT=2500MiB # as programs.sh

case $name in
  containerd)
    module=github.com/containerd/containerd/v2
    packages=(./cmd/containerd ./cmd/containerd-shim-runc-v2 ./cmd/ctr)
    tags='no_btrfs no_devmapper no_zfs no_aufs osusergo netgo static_build'
    flags="-X $module/version.Version=v$version"
    ;;
  crio)
    # Without cgo there is no seccomp and no SQLite, and CRI-O does without both.
    module=github.com/cri-o/cri-o
    packages=(./cmd/crio)
    tags='containers_image_openpgp containers_image_ostree_stub exclude_graphdriver_btrfs btrfs_noversion'
    flags=''
    ;;
esac

# The sums that stand in the project cover the module; its own go.sum, checked by them, all that it is made of.
source=$directory/source
mkdir "$source" && cd "$source"
echo 'module cluster' >go.mod
if [ -e "$sums" ]; then cp "$sums" go.sum; fi
go mod download "$module@v$version"
# What a pinned file for this version would hold, when the sum database has said it.
go mod download -json "$module@v$version" | sed -nE 's/^\s*"(Sum|GoModSum)": "(.*)",?$/\1 \2/p' |
  sed -E "s,^Sum ,$module v$version ,; s,^GoModSum ,$module v$version/go.mod ," >"$directory/sums"
rm -f go.mod go.sum
cp -r "$GOMODCACHE/$module@v$version/." .
go build -v -trimpath -gcflags=all=-dwarf=false -tags "$tags" -ldflags "-s -w $flags" -o "$directory/bin/" "${packages[@]}"

if [ "$name" = crio ]; then
  apt-get update -q && apt-get install -yq --no-install-recommends gcc libc6-dev
  gcc -std=c99 -Os -static -o "$directory/bin/pinns" pinns/src/*.c
fi
cd / && rm -rf "$source"
