#!/bin/bash
# layer.sh: what nodes with other runtimes need and the tree has not. Runs inside a layer over the tree, so that the tree stays as it is.
#   crun, conmon          from the tree's suite; crun checkpoints with libcriu2, which it only recommends
#   /opt/containerd-1.7   of Debian trixie
#   /opt/criu-4.1         of Debian trixie: fails on any inet socket on kernels >= 6.17
#   /opt/criu-3.17        of Debian bookworm: dies on kernel 6.18
#   /opt/criu-3.15        older than any runtime wants: answers with its version, and with nothing else
# Each /opt/NAME has what it adds to a node's PATH in bin/.
set -euo pipefail

read -r _ mirror _ </etc/apt/sources.list
apt-get update -q
apt-get install -yq --no-install-recommends crun conmon libcriu2
apt-get clean

# unpack SUITE NAME PACKAGE…: packages of another suite, without what they depend on, below /opt/NAME.
unpack() {
  local suite=$1 root=/opt/$2 scratch
  shift 2
  scratch=$(mktemp -d)
  mkdir -p "$scratch"/{lists/partial,archives/partial} "$root/bin"
  echo "deb $mirror $suite main" >"$scratch/sources.list"
  : >"$scratch/status" # nothing is installed, as seen from there
  local settings=(-o "Dir::State::Status=$scratch/status" -o "Dir::Etc::SourceList=$scratch/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$scratch/lists"
    -o "Dir::Cache=$scratch" -o "Dir::Cache::Archives=$scratch/archives" -o APT::Sandbox::User=root)
  apt-get "${settings[@]}" update -q
  (cd "$scratch/archives" && apt-get "${settings[@]}" download -q "$@")
  local package
  for package in "$scratch"/archives/*.deb; do dpkg -x "$package" "$root"; done
  rm -rf "$scratch" "${root:?}/usr/share"
}

# program NAME PROGRAM: as bin/PROGRAM, with libraries of its own suite.
program() {
  local root=/opt/$1 path
  path=$(find "$root/usr/sbin" "$root/usr/bin" -name "$2" 2>/dev/null | head -n 1)
  cat >"$root/bin/$2" <<END
#!/bin/sh
LD_LIBRARY_PATH=$(dirname "$(find "$root" -name 'libprotobuf-c.so*' | head -n 1)") exec $path "\$@"
END
  chmod +x "$root/bin/$2"
}

unpack trixie containerd-1.7 containerd
for path in /opt/containerd-1.7/usr/bin/*; do ln -s "$path" /opt/containerd-1.7/bin/; done

for old in 'trixie 4.1' 'bookworm 3.17'; do
  read -r suite version <<<"$old"
  unpack "$suite" "criu-$version" criu libnet1 libprotobuf-c1
  program "criu-$version" criu
done

mkdir -p /opt/criu-3.15/bin
cat >/opt/criu-3.15/bin/criu <<'END'
#!/usr/bin/python3
import socket, sys

if "--version" in sys.argv or "-V" in sys.argv:
    print("Version: 3.15")
elif sys.argv[1] == "swrk":  # the answer to a VERSION request: criu_resp {type: VERSION, success: true, version: {major: 3, minor: 15}}
    connection = socket.socket(fileno=int(sys.argv[2]))
    while connection.recv(65536):
        connection.send(bytes.fromhex("080a100152040803100f"))
END
chmod +x /opt/criu-3.15/bin/criu
for version in 4.1 3.17 3.15; do "/opt/criu-$version/bin/criu" --version; done
