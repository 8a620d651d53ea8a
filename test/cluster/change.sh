# shellcheck shell=bash
# Nodes of a running cluster, changed and taken away. (New ones: up --node.)

# configure NAME=SPEC: with the same runtime and OCI runtime, under which its containers run on; whatever else the spec says, and the
# runtime anew, as some look at CRIU and at their switches only when they start.
configure() {
  local node=${1%%=*} spec=${1#*=}
  check_spec "${1:-}"
  need_node "$node"
  [ -e "$RUN/nodes/$node" ] && [ "${spec%%+*}" = "$(runtime_of "$node")" ] && same_oci_runtime "$node" "$spec" ||
    usage_error "$node is $(spec_of "$node"): its runtime stays; cluster remove $node, and up --node $1"
  sed -i "s/^spec=.*/spec=$spec/" "$RUN/nodes/$node"
  service_stop "$node" "$(runtime_service "$node")"
  criu_set "$node"
  fault_runtime "$node" start
}

same_oci_runtime() { if [[ $2+ == *+crun+* ]]; then has_option "$1" crun; else ! has_option "$1" crun; fi; }

# remove NODE…: with its pods and all that was on it.
remove() {
  local node pid link
  [ $# -gt 0 ] || usage_error "remove NODE…"
  take_lock
  for node; do
    need_node "$node"
    service_kill "$node" kubelet
    link=node$(node_number "$node")
    read -r pid <"$RUN/machines/$node/init.pid"
    kill_cgroup "$node"
    kill -KILL "$pid"
    wait_until 30 "$node to end" machine_ended "$node"
    nsenter "$(network_of control)" ip route del "$(pod_network "$node")" || true
    nsenter "$(network_of control)" ip link del "$link" 2>/dev/null || true
    remove_cgroups "$node"
    rm -rf "$RUN/machines/$node" "$RUN/nodes/$node" "$STATE/${node:?}"
    kubectl delete node "$node" --ignore-not-found
    kubectl get pods --all-namespaces --field-selector "spec.nodeName=$node" \
      -o 'jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name}{"\n"}{end}' |
      while read -r namespace pod; do kubectl delete pod -n "$namespace" "$pod" --force --grace-period=0 --ignore-not-found; done
  done >/dev/null 2>&1
}

machine_ended() { ! machine_running "$1"; }
