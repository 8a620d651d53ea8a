#!/bin/bash
# programs.sh VERSION DIRECTORY SUMS: builds Kubernetes from Go modules. Runs inside the tree, with the tree's Go.
# As a dependency, not in its own module: k8s.io/kubernetes replaces its staging modules (k8s.io/api, …) with folders that its module lacks.
# The go.mod of the build is Kubernetes' own, with the published versions in place of the folders.
set -euo pipefail
version=$1 directory=$2 sums=$3
staging=v0.${version#*.} # k8s.io/api of Kubernetes 1.36.3 is v0.36.3

work=$directory/work
mkdir -p "$directory/bin" "$work/tmp"
export GOCACHE=$work/cache GOMODCACHE=$work/modules GOTMPDIR=$work/tmp GOTOOLCHAIN=local GOFLAGS='-mod=mod -modcacherw -buildvcs=false'
export CGO_ENABLED=0                 # static programs: they run on the host as well, and need no C compiler
export GOGC=off GOMEMLIMIT=2500MiB # a third faster without garbage collection, but within 8 GB

# The sums that stand in the project cover Kubernetes and its staging modules; Kubernetes' own go.sum, checked by them, all others.
# A version without such a file is checked by Go's sum database.
mkdir "$work/module" && cd "$work/module"
echo 'module cluster' >go.mod
if [ -e "$sums" ]; then cp "$sums" go.sum; fi
go mod download "k8s.io/kubernetes@v$version"
source=$GOMODCACHE/k8s.io/kubernetes@v$version
sed -E "s,^module .*,module cluster," "$source/go.mod" |
  sed -E "s,=> \./staging/src/(k8s.io/[^ ]+),=> \1 $staging," >go.mod
echo "require k8s.io/kubernetes v$version" >>go.mod
cat "$source/go.sum" >>go.sum

IFS=. read -r major minor _ <<<"$version"
package=k8s.io/component-base/version
go build -v -trimpath -gcflags=all=-dwarf=false \
  -ldflags "-s -w -X $package.gitVersion=v$version -X $package.gitMajor=$major -X $package.gitMinor=$minor" \
  -o "$directory/bin/" k8s.io/kubernetes/cmd/{kube-apiserver,kube-controller-manager,kube-scheduler,kubectl,kubelet}

sort -u go.sum | grep -vxFf "$source/go.sum" >"$directory/sums" # what a pinned file for this version would hold
