#!/bin/bash
# images.sh DIRECTORY: the test images, as OCI layouts, made of the tree's own programs. Runs inside the tree.
#   pause    for containerd's sandboxes
#   busybox  static busybox with all applets, httpd included
#   tools    busybox with working zstd and lzop
#   plain    a shell and coreutils only: no httpd, no compression
#   apps     redis, python3, node (whose checkpoint fails: it uses io_uring), busybox
# Each holds its own name, and so has bytes of its own: the kubelet refuses an image that it did not pull under that name
# if it pulled one with the same ID under another.
set -euo pipefail
directory=$1
scratch=$directory/scratch
mkdir -p "$scratch"
trap 'rm -rf "$scratch"' EXIT
architecture=$(dpkg --print-architecture)

# new_root NAME: an empty root file system, its path in $root.
new_root() {
  root=$scratch/$1
  mkdir -p "$root"/{bin,usr/bin,etc,tmp,data,proc,sys,dev}
  chmod 1777 "$root/tmp"
  echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"
  echo 'root:x:0:' >"$root/etc/group"
}

add_busybox() {
  local applet
  cp /bin/busybox "$root/bin/"
  for applet in $(busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
  done
}

# add_libraries FILE…: the libraries that these programs or libraries load.
add_libraries() {
  local library
  for library in $(ldd "$@" 2>/dev/null | grep -oE '/[^ ]+ \(0x' | cut -d ' ' -f 1 | sort -u); do
    # The path as ldd says it, with directories of its own: the tree's /lib is a link.
    mkdir -p "$root${library%/*}"
    cp -L "$library" "$root$library"
  done
}

# add_programs NAME…: programs of the tree, at their own path and in /bin.
add_programs() {
  local name path
  for name; do
    path=$(readlink -f "$(type -P "$name")") # not a builtin
    mkdir -p "$root${path%/*}"
    cp "$path" "$root$path"
    ln -sfn "$path" "$root/bin/$name"
    add_libraries "$path"
  done
}

# blob FILE: adds it to the layout, prints what a descriptor says of it.
blob() {
  local hash
  hash=$(sha256sum <"$1" | cut -c 1-64)
  mv "$1" "$layout/blobs/sha256/$hash"
  printf '"digest":"sha256:%s","size":%s' "$hash" "$(stat -c %s "$layout/blobs/sha256/$hash")"
}

# write_image NAME COMMAND: one uncompressed layer of $root.
write_image() {
  local name=$1 command=$2 layout=$directory/$1 diff_id layer config manifest
  local type=application/vnd.oci.image
  mkdir -p "$layout/blobs/sha256"
  tar -C "$root" --sort=name --mtime=@0 --owner=0 --group=0 -cf "$scratch/layer" .
  diff_id=$(sha256sum <"$scratch/layer" | cut -c 1-64)
  layer=$(blob "$scratch/layer")
  cat >"$scratch/config" <<END
{"architecture":"$architecture","os":"linux",
 "config":{"Cmd":$command,"Env":["PATH=/bin:/usr/bin"],"Labels":{"name":"$name"}},
 "rootfs":{"type":"layers","diff_ids":["sha256:$diff_id"]}}
END
  config=$(blob "$scratch/config")
  cat >"$scratch/manifest" <<END
{"schemaVersion":2,"mediaType":"$type.manifest.v1+json",
 "config":{"mediaType":"$type.config.v1+json",$config},
 "layers":[{"mediaType":"$type.layer.v1.tar",$layer}]}
END
  manifest=$(blob "$scratch/manifest")
  cat >"$layout/index.json" <<END
{"schemaVersion":2,"manifests":[{"mediaType":"$type.manifest.v1+json",$manifest,
 "annotations":{"io.containerd.image.name":"localhost/$name:1"}}]}
END
  echo '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
}

new_root pause
add_busybox
write_image pause '["/bin/sleep","2147483647"]'
tar -C "$directory/pause" -cf "$directory/pause.tar" . # containerd imports tars only

new_root busybox
add_busybox
write_image busybox '["/bin/sh"]'

new_root tools
add_busybox
rm "$root/bin/lzop"
add_programs zstd lzop
write_image tools '["/bin/sh"]'

new_root plain
mapfile -t coreutils < <(dpkg -L coreutils | grep -E '^(/usr)?/bin/[a-z0-9]' | xargs -n 1 basename)
add_programs "${coreutils[@]}" dash
ln -s dash "$root/bin/sh"
write_image plain '["/bin/sh"]'

new_root apps
add_busybox
add_programs redis-server redis-cli redis-benchmark python3 node
mkdir -p "$root/usr/lib" "$root/usr/share"
cp -r /usr/lib/python3.* "$root/usr/lib/"
mapfile -t extensions < <(find /usr/lib/python3.*/lib-dynload -name '*.so')
add_libraries "${extensions[@]}"
if [ -d /usr/share/nodejs ]; then cp -r /usr/share/nodejs "$root/usr/share/"; fi # parts of Debian's node live there
write_image apps '["/bin/sh"]'
