# shellcheck shell=bash
# What is built once and kept in $CACHE by content: the tree, the Kubernetes programs, the images; for nodes with other runtimes
# the layer over the tree and each runtime's programs.
# Each is made under another name and renamed when it is complete, so that a killed build leaves nothing that looks built.

# in_tree TREE COMMAND…: in a chroot of the tree, with $HERE, $CACHE and $RUN at their own paths and the host's network.
# The mounts are in a mount namespace of their own and so end with the command, even with a killed one.
# With OVER=DIRECTORY in the environment, what COMMAND changes goes to DIRECTORY/upper, and the tree stays as it is.
in_tree() {
  unshare --mount --propagation private bash -euc '
    tree=$1 certificates=$2 directories=$3; shift 3
    if [ -n "${OVER:-}" ]; then
      mkdir -p "$OVER"/{upper,scratch,root}
      mount -t overlay overlay -o "lowerdir=$tree,upperdir=$OVER/upper,workdir=$OVER/scratch" "$OVER/root"
      tree=$OVER/root
    fi
    mount -t proc proc "$tree/proc"       # the packages of etcd and the registry need it while they install
    mount --rbind /dev "$tree/dev"
    same() { [ ! -e "$1" ] || { touch "$tree$2"; mount --bind "$1" "$tree$2"; }; }
    same /etc/resolv.conf /etc/resolv.conf
    same "$certificates" /run/host-certificates.crt
    for directory in $directories; do mkdir -p "$directory" "$tree$directory"; mount --bind "$directory" "$tree$directory"; done
    exec chroot "$tree" "$@"' \
    in_tree "$1" "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$HERE $CACHE $RUN" \
    env -u SSL_CERT_DIR -u LANG -u OVER HOME=/root LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
    SSL_CERT_FILE=/run/host-certificates.crt "${@:2}" # the host may trust a proxy that Debian does not know
}

# build RUNTIME…: what a cluster needs whose nodes have these.
# One cluster builds at a time, for all. The lock is descriptor 8, which the jobs keep: those of a killed up build on.
build() {
  local needed=("$TREE" "$PROGRAMS" "$IMAGES") runtime
  if [ $# -gt 0 ]; then needed+=("$(layer_directory)"); fi
  for runtime; do
    if [[ $(runtime_directory "$runtime") == "$CACHE"/* ]]; then needed+=("$(runtime_directory "$runtime")"); fi
  done
  mkdir -p "$CACHE/log"
  exec 8>>"$CACHE/lock"
  if built "${needed[@]}"; then
    if flock --nonblock 8; then discard "$CACHE"/*.part "$CACHE"/trash-*; fi
  else
    flock --nonblock 8 || { say "waiting for another cluster's build" && flock 8; }
    discard "$CACHE"/*.part "$CACHE"/trash-*
    built "$TREE" "$PROGRAMS" "$IMAGES" || build_base
    [ $# = 0 ] || built "$(layer_directory)" || build_layer
    for runtime; do built "$(runtime_directory "$runtime")" || build_runtime "$runtime"; done
    discard "$CACHE"/*.part
    forget_old_builds
  fi
  exec 8>&-
  touch "${needed[@]}" # the newest are kept
}

built() {
  local path
  for path; do [ -z "$path" ] || [ "${path#"$CACHE"}" = "$path" ] || [ -d "$path" ] || return 1; done
}

build_base() {
  local tree=$TREE
  if [ ! -d "$TREE" ]; then
    tree=$TREE.part
    need_packages debootstrap debian-archive-keyring
    phase "Debian $DEBIAN_SUITE, with Go (1 min)" "$CACHE/log/tree-base.log" build_tree_base "$tree"
  fi
  # Kubernetes builds in the unfinished tree while the rest is installed; renaming a tree does not disturb what runs in it.
  if [ ! -d "$PROGRAMS" ]; then background build_programs "$tree"; fi
  background build_rest "$tree"
  wait_for_jobs
}

# need_packages PACKAGE…: on this machine.
need_packages() {
  local package missing=()
  for package; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] || phase "apt-get install ${missing[*]}" "$CACHE/log/packages.log" install_packages "${missing[@]}"
}
install_packages() { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "$@"; }

build_tree_base() {
  export DEBIAN_SUITE
  bash "$HERE/tree.sh" base "$1"
  in_tree "$1" bash "$HERE/tree.sh" go
}

build_programs() {
  phase "Kubernetes $KUBERNETES_VERSION (4 min on 2 cores)" "$CACHE/log/programs.log" \
    in_tree "$1" bash "$HERE/programs.sh" "$KUBERNETES_VERSION" "$PROGRAMS.part" "$HERE/sums/$KUBERNETES_VERSION"
  mv "$PROGRAMS.part/work" "$CACHE/work.part" # modules and Go's build cache, 3 GB, soon discarded
  mv "$PROGRAMS.part" "$PROGRAMS"
}

build_rest() {
  if [ "$1" != "$TREE" ]; then
    phase "containerd, CRIU and others into Debian $DEBIAN_SUITE" "$CACHE/log/tree-rest.log" in_tree "$1" bash "$HERE/tree.sh" rest
    mv "$1" "$TREE"
  fi
  if [ ! -d "$IMAGES" ]; then
    phase "test images" "$CACHE/log/images.log" in_tree "$TREE" bash "$HERE/images.sh" "$IMAGES.part"
    mv "$IMAGES.part" "$IMAGES"
  fi
}

build_layer() {
  local layer
  layer=$(layer_directory)
  OVER=$layer.part phase "crun, conmon, older CRIUs and containerd 1.7" "$CACHE/log/layer.log" in_tree "$TREE" bash "$HERE/layer.sh"
  mv "$layer.part" "$layer"
}

# build_runtime RUNTIME: one after another, each has all processors, and what one has downloaded and compiled is there for the next.
build_runtime() {
  local program=${1%%-*} version=${RUNTIMES[$1]} directory
  directory=$(runtime_directory "$1")
  OVER=$directory.over.part phase "$program $version (3 to 5 min on 2 cores)" "$CACHE/log/$program-$version.log" \
    in_tree "$TREE" bash "$HERE/runtimes.sh" "$program" "$version" "$directory.part" "$HERE/sums/$program-$version"
  mv "$directory.part" "$directory"
}

# discard PATH…: out of the way at once, and removed in the background, which takes a disk 10 s. Paths that are not there are no matter.
discard() {
  local path trash=$CACHE/trash-$BASHPID-$RANDOM
  mkdir -p "$trash"
  for path; do
    if [ -e "$path" ]; then mv "$path" "$trash"; fi
  done
  (exec setsid rm -rf "$trash") >/dev/null 2>&1 </dev/null 8>&- 9>&- &
}

# Keeps the two newest of each kind, as one may want to go back and forth between two versions, and what a cluster runs on.
forget_old_builds() {
  local kind old used
  used=$(cat "$RUNS"*/builds "$RUNS"*/nodes/* 2>/dev/null || true)
  for kind in tree kubernetes images layer containerd-2.2 containerd-2.3 containerd-2.4 crio-1; do
    mapfile -t old < <(find "$CACHE" -maxdepth 1 -name "$kind-*" -printf '%T@ %p\n' | sort -rn | tail -n +3 | cut -d ' ' -f 2 |
      while read -r path; do grep -qF "=$path" <<<"$used" || echo "$path"; done)
    discard "${old[@]}"
  done
}
