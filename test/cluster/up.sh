# shellcheck shell=bash
# `cluster up` and `cluster down`.

up() {
  local count='' rights='' specs=() spec runtimes
  while [ $# -gt 0 ]; do
    case $1 in
      --nodes) [ $# -ge 2 ] || usage_error "--nodes needs a number"; count=$2; shift ;;
      --nodes=*) count=${1#*=} ;;
      --node) [ $# -ge 2 ] || usage_error "--node needs NAME=RUNTIME"; specs+=("$2"); shift ;;
      --node=*) specs+=("${1#*=}") ;;
      --grant=yes | --grant=no) rights=${1#*=} ;;
      *) usage_error "up does not know $1" ;;
    esac
    shift
  done
  [[ $count =~ ^(0|[1-9][0-9]?)?$ ]] && [ "${count:-1}" -le "$NODES_MAX" ] || usage_error "--nodes is 0 to $NODES_MAX, not $count"
  for spec in "${specs[@]}"; do check_spec "$spec"; done
  mapfile -t runtimes < <(printf '%s\n' "${specs[@]}" | sed -nE 's/^[^=]*=([^+]+).*/\1/p' | sort -u)

  take_lock
  trap 'kill_cgroup build' EXIT
  trap 'exit 130' INT TERM
  kill_cgroup build # of an up that was killed
  if is_up; then
    load_builds
    [ "$KUBERNETES_VERSION" = "${ASKED_VERSION:-$KUBERNETES_VERSION}" ] ||
      die "Kubernetes $KUBERNETES_VERSION is up; for $ASKED_VERSION, \`cluster down\` first"
    build "${runtimes[@]}"
    for spec in "${specs[@]}"; do add_spec "$spec"; done
    all_running "${count:-0}" || raise "${count:-0}"
    [ -z "$rights" ] || grant "$rights"
  else
    if [ -d "$RUN" ]; then say "removing what an earlier run left"; fi
    remove_all
    need_packages iproute2
    build "${runtimes[@]}"
    save_builds
    load_builds
    for spec in "${specs[@]}"; do add_spec "$spec"; done
    [ -n "$count" ] || count=$([ ${#specs[@]} -gt 0 ] && echo 0 || echo 2)
    raise "$count"
    grant "${rights:-yes}"
    touch "$RUN/up"
  fi
  how_to_use
}

# build_command RUNTIME…: what `up` would build for nodes with these.
build_command() {
  local runtime
  for runtime; do [ -n "${RUNTIMES[$runtime]:-}" ] || usage_error "no runtime $runtime; there are: $(known_runtimes)"; done
  take_lock
  trap 'kill_cgroup build' EXIT
  trap 'exit 130' INT TERM
  kill_cgroup build
  if is_up; then load_builds; fi
  build "$@"
}

# raise NODES: starts whatever does not run, with at least so many nodes; it may be everything.
raise() {
  local number node
  mkdir -p "$RUN/log"
  if ! control_running; then
    phase "keys and network" "$RUN/log/up-network.log" control_machine
    background phase "control plane" "$RUN/log/up-control-plane.log" control_plane
    background phase "registry" "$RUN/log/up-registry.log" registries
  fi
  for ((number = 1; number <= $1; number++)); do mkdir -p "$RUN/machines/node$number"; done
  for node in $(nodes); do node_running "$node" || background phase "$node" "$RUN/log/up-$node.log" node_machine "$node"; done
  wait_for_jobs
  phase "kubelets" "$RUN/log/up-kubelets.log" kubelets
}

# all_running NODES: whether there is nothing to start, with at least so many nodes.
all_running() {
  local node number
  control_running || return 1
  for ((number = 1; number <= $1; number++)); do [ -e "$RUN/machines/node$number" ] || return 1; done
  for node in $(nodes); do node_running "$node" || return 1; done
}

control_running() {
  local service
  for service in etcd apiserver controller-manager scheduler registry private-registry; do
    service_running control "$service" || return 1
  done
}

node_running() { service_running "$1" "$(runtime_service "$1")" && service_running "$1" kubelet; }

down() {
  [ $# = 0 ] || usage_error "down takes no arguments"
  take_lock
  remove_all
  echo "The cluster is down. What it was built from stays in $CACHE."
}

# Everything that `up` makes, in whatever state it is, but not the cache.
remove_all() {
  kill_cgroup
  remove_cgroups
  ip link del "$LINK" 2>/dev/null || true # it went with the control machine, but that takes the kernel a moment
  restore_kernel_settings
  rm -rf "$STATE" "$RUN"
}

# One up or down at a time. The lock is descriptor 9; nothing that outlives this script may have it.
take_lock() {
  mkdir -p "$(dirname "$LOCK")"
  exec 9>>"$LOCK"
  if ! flock --nonblock 9; then
    say "waiting for another up or down (process $(cat "$LOCK"))"
    flock 9
  fi
  echo $$ >"$LOCK"
}

how_to_use() {
  cat <<END
Kubernetes $KUBERNETES_VERSION is up: $(nodes | tr '\n' ' ')(images: $REGISTRY/busybox:1, tools:1, plain:1, apps:1). To use it:
  export KUBECONFIG=$RUN/admin.conf PATH=$RUN/bin:\$PATH
END
}
