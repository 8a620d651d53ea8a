# shellcheck shell=bash
# Machines: `control`, `node1`, `node2`, … Each is a process (machine-init.sh) in mount, PID, network, UTS and IPC namespaces of its own,
# with a writable copy of the tree as its root, and $RUN, $PROGRAMS, $IMAGES and its runtime at the same paths as on the host.
# Nothing of a machine has a name on the host but its cgroup: when its init dies, all of it is gone, however it died.
# Services are the daemons inside. None is the init, so each can die and come back while the rest runs on.

# running PIDFILE: whether that process is alive and one of ours, not a later one with the same ID.
running() {
  local pid
  [ -s "$1" ] && read -r pid <"$1" && in_our_cgroup "$pid"
}

machine_running() { running "$RUN/machines/$1/init.pid"; }

# machine_start NAME: without network yet, see network.sh.
machine_start() {
  local name=$1 files=$RUN/machines/$1 disk=$STATE/$1 init directories=("$RUN" "$PROGRAMS" "$IMAGES")
  if [[ $(programs_of "$name") == "$CACHE"/* ]]; then directories+=("$(programs_of "$name")"); fi
  rm -rf "$files" "$disk"
  mkdir -p "$files" "$disk"/{upper,work,root,containerd,containers,kubelet,tmp}
  chmod 1777 "$disk/tmp"
  (join_cgroup daemons && exec setsid unshare --mount --propagation private --pid --net --uts --ipc --fork \
    bash "$HERE/machine-init.sh" "$name" "$(roots_of "$name")" "$disk" "$files" "${directories[@]}") \
    >"$RUN/log/$name.log" 2>&1 </dev/null 9>&- &
  init=$!
  wait_until 60 "machine $name" machine_settled "$files/ready" $init
  [ -e "$files/ready" ] || die "machine $name has ended: $(tail -n 3 "$RUN/log/$name.log")"
  # In the system's store: containerd's restore pulls the base image without its settings for registries.
  in_machine "$name" bash -c 'cat "$0" >>/etc/ssl/certs/ca-certificates.crt' "$RUN/pki/ca.crt"
}

machine_settled() { [ -e "$1" ] || ! kill -0 "$2"; }

# in_machine NAME COMMAND…
in_machine() {
  local pid programs
  machine_running "$1" || die "there is no machine $1"
  programs=$(programs_of "$1")
  read -r pid <"$RUN/machines/$1/init.pid"
  # Nothing of the host's environment: its proxies and certificates are not for a machine. Less often collected, garbage takes memory instead of
  # processors, of which tests have few.
  env -i GOGC=400 GOMEMLIMIT=500MiB HOME=/root TERM="${TERM:-dumb}" LANG=C.UTF-8 PATH="${programs:+$programs/bin:}$PROGRAMS/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    nsenter --target "$pid" --mount --pid --net --uts --ipc --root --wd "${@:2}"
}

# service_start MACHINE NAME COMMAND…: runs it, logs to $RUN/log/MACHINE-NAME.log.
service_start() {
  local machine=$1 name=$2 pidfile=$RUN/machines/$1/$2.pid
  shift 2
  rm -f "$pidfile"
  # Descriptor 7 is the host's /proc, in which a process sees its ID as the host does.
  (join_cgroup daemons && in_machine "$machine" setsid bash -c '
    { read -r pid _ </proc/self/fd/7/self/stat; echo "$pid" >"$0"; exec "$@" 7<&-; } &' "$pidfile" "$@") \
    >>"$RUN/log/$machine-$name.log" 2>&1 </dev/null 7</proc 9>&-
  wait_until 30 "$machine's $name to start" test -s "$pidfile"
}

service_running() { running "$RUN/machines/$1/$2.pid"; }

# service_wait MACHINE NAME COMMAND…: until COMMAND succeeds; not longer than the service lives.
service_wait() {
  wait_until 120 "$1's $2" service_settled "$@"
  service_running "$1" "$2" || die "$1's $2 has ended; the end of $RUN/log/$1-$2.log: $(tail -n 3 "$RUN/log/$1-$2.log")"
}
service_settled() { ! service_running "$1" "$2" || "${@:3}"; }

# service_signal MACHINE NAME SIGNAL SECONDS: and waits for its end; kills it when the time is over.
service_signal() {
  local pid deadline=$((SECONDS + $4))
  service_running "$1" "$2" || return 0
  read -r pid <"$RUN/machines/$1/$2.pid"
  kill "-$3" "$pid"
  while service_running "$1" "$2"; do
    [ $SECONDS -lt $deadline ] || kill -KILL "$pid" 2>/dev/null || true
    sleep 0.05
  done
}

# An apiserver serves open port-forwards and execs for up to a minute after TERM.
service_stop() { service_signal "$1" "$2" TERM 75; }
service_kill() { service_signal "$1" "$2" KILL 75; }
