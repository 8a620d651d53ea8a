#!/bin/bash
# A tree of Debian with everything that is not Kubernetes itself: containerd, runc, CRIU, etcd, a registry, Go, and what the test images hold.
# Forky, because CRIU 3.17 (bookworm) dies on kernel 6.18 and 4.1 (trixie) fails on any inet socket on kernels >= 6.17. Forky's 4.2 is good.
#   tree.sh base TREE   on the host, with debootstrap: a minimal system
#   tree.sh go          inside the tree: what builds Kubernetes
#   tree.sh rest        inside the tree: all other packages
# The cache's key is this file's content: every edit builds the tree anew.
set -euo pipefail

PACKAGES=(
  containerd runc criu containernetworking-plugins iproute2 iptables nftables mount # a node
  etcd-server docker-registry skopeo openssl                                       # the control plane, the registry, keys
  busybox-static zstd lzop redis-server python3 nodejs                              # what images.sh puts into images
)

install_packages() { apt-get install -yq --no-install-recommends "$@" && apt-get clean; }

# The machine's own mirror, whichever way it is written down; Ubuntu has none that serves Debian.
mirror() {
  local uri=
  if [ -n "${CLUSTER_MIRROR:-}" ]; then echo "$CLUSTER_MIRROR" && return; fi
  if grep -qx ID=debian /etc/os-release; then
    local query=(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' 'Component: main')
    uri=$("${query[@]}")
    [ -n "$uri" ] || { apt-get update -q >&2 && uri=$("${query[@]}"); }
    uri=$(grep -E -m 1 '^(https?|ftp|file):' <<<"$uri" || true) # not cdrom:, not mirror+file:
  fi
  echo "${uri:-http://deb.debian.org/debian}"
}

base() {
  local tree=$1 script=/usr/share/debootstrap/scripts/$DEBIAN_SUITE keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror
  [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid # debootstrap on bookworm does not know forky yet
  mirror=$(mirror)
  debootstrap_proxy
  # ca-certificates here, not below: its scripts would replace a file that in_tree may have mounted something on.
  # In a mount namespace: debootstrap mounts /proc in the tree, and would leave it there when killed.
  unshare --mount --propagation private \
    debootstrap --variant=minbase --keyring="$keyring" --include=ca-certificates "$DEBIAN_SUITE" "$tree" "$mirror" "$script"
  echo '127.0.0.1 localhost' >"$tree/etc/hosts"
  {
    echo force-unsafe-io
    printf 'path-exclude=%s\n' '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/locale/*'
  } >"$tree/etc/dpkg/dpkg.cfg.d/cluster"
  # How this machine reaches a mirror, and what it accepts from one (an old copy's Valid-Until may be over).
  apt-config dump | grep -E '^Acquire::(Check-|Retries|ForceIPv|https?::|ftp::)' | grep -v Auto-Detect >"$tree/etc/apt/apt.conf.d/90machine" || true
  # No service may start while it is installed: it would run on the host's network.
  printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
  chmod +x "$tree/usr/sbin/policy-rc.d"
}

# debootstrap knows the environment, not apt's settings.
debootstrap_proxy() {
  local proxy=
  eval "$(apt-config shell proxy Acquire::http::Proxy)"
  if [ -z "${http_proxy:-}" ] && [ -n "$proxy" ]; then export http_proxy=$proxy; fi
}

case $1 in
  base) base "$2" ;;
  go) apt-get update -q && install_packages golang-go ;;
  rest) install_packages "${PACKAGES[@]}" ;;
esac
