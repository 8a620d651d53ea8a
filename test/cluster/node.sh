# shellcheck shell=bash
# Nodes: machines with a runtime and a kubelet.

nodes() { find "$RUN/machines" -mindepth 1 -maxdepth 1 -type d ! -name control -printf '%f\n' 2>/dev/null | sort -V; }

# node_machine NODE: everything of a node that does not need the apiserver.
node_machine() {
  local node=$1
  if machine_running "$node"; then
    service_running "$node" "$(runtime_service "$node")" || runtime_start "$node"
    return
  fi
  machine_start "$node"
  network_node "$node"
  create_cgroup "$node"
  in_tree "$TREE" bash "$HERE/pki.sh" user "$RUN/pki" "$RUN/machines/$node" "https://$CONTROL_IP:6443" \
    "$node" "/O=system:nodes/CN=system:node:$node"
  in_machine "$node" mkdir -p /etc/cni/net.d
  in_machine "$node" tee /etc/cni/net.d/10-ptp.conflist >/dev/null <<END
{"cniVersion": "1.0.0", "name": "ptp", "plugins": [{"type": "ptp", "ipam": {
  "type": "host-local", "ranges": [[{"subnet": "$(pod_network "$node")"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
END
  criu_set "$node"
  if is_crio "$node"; then crio_machine "$node"; else containerd_machine "$node"; fi
  runtime_start "$node"
  is_crio "$node" || in_machine "$node" ctr -n k8s.io images import "$IMAGES/pause.tar" >/dev/null
}

runtime_start() { if is_crio "$1"; then crio_start "$1"; else containerd_start "$1"; fi; }
runtime_endpoint() { if is_crio "$1"; then echo unix:///run/crio/crio.sock; else echo unix:///run/containerd/containerd.sock; fi; }

# criu_set NODE: the CRIU that its spec says, at the place of the tree's.
criu_set() {
  local option criu=''
  for option in "${!CRIU_DIRECTORY[@]}"; do
    if has_option "$1" "$option"; then criu=${CRIU_DIRECTORY[$option]}/bin/criu; fi
  done
  if has_option "$1" no-criu; then criu=none; fi
  criu_link "$1" "$criu"
}

# criu_link NODE [PATH|none]: the tree's own where nothing is said.
criu_link() {
  in_machine "$1" bash -euc '
    cd /usr/sbin
    [ -e criu.off ] || mv criu criu.off
    rm -f criu
    case $0 in
      none) ;;
      "") mv criu.off criu ;;
      *) [ -e "$0" ] && ln -s "$0" criu ;;
    esac' "${2:-}"
}

# kubelets: starts those that do not run, and waits for them.
kubelets() {
  local node started=()
  for node in $(nodes); do
    service_running "$node" kubelet || { kubelet_start "$node" true && started+=("$node"); }
  done
  for node in "${started[@]}"; do node_wait "$node" 0; done
  wait_until 120 "the default ServiceAccount" kubectl get serviceaccount default # without it no pod can be made
}

# kubelet_start NODE GATE: with the feature gate ContainerCheckpoint at true or false.
kubelet_start() {
  local node=$1 gate=$2 config=$RUN/machines/$1/kubelet.yaml
  # cgroupRoot: kubelets that share /kubepods take each other's pods for orphans and destroy them.
  # failCgroupV1: version 1 is still what some machines have.
  # webhook: a right that was given or taken holds at once.
  cat >"$config" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {x509: {clientCAFile: $RUN/pki/ca.crt}, webhook: {enabled: true, cacheTTL: 1s}, anonymous: {enabled: false}}
authorization: {mode: Webhook, webhook: {cacheAuthorizedTTL: 1s, cacheUnauthorizedTTL: 1s}}
containerRuntimeEndpoint: $(runtime_endpoint "$node")
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP/$node
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
makeIPTablesUtilChains: false
resolvConf: ""
runtimeRequestTimeout: 10m
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 1Mi, nodefs.available: 1%, imagefs.available: 1%}
featureGates: {ContainerCheckpoint: $gate}
END
  local command=(kubelet --config="$config" --kubeconfig="$RUN/machines/$node/$node.conf" --hostname-override="$node"
    --node-ip="$(node_ip "$node")" --v=2)
  if is_crio "$node"; then mapfile -d '' command < <(without_huge_pages "${command[@]}"); fi
  service_start "$node" kubelet "${command[@]}"
}

# node_wait NODE SINCE: until the node is ready, by a heartbeat not older than SINCE (seconds since 1970), and its kubelet works.
node_wait() { service_wait "$1" kubelet node_ready "$1" "$2"; }

node_ready() {
  local status heartbeat known uid
  read -r status heartbeat < <(kubectl get node "$1" \
    -o 'jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.lastHeartbeatTime}{end}')
  [ "$status" = True ] && [ "$(date -d "$heartbeat" +%s)" -ge "$2" ] || return 1
  kubectl get --raw "/api/v1/nodes/$1/proxy/runningpods/" || return 1 # goes through to the runtime
  # A kubelet that has just started serves for a second before it knows its pods.
  known=$(kubectl get --raw "/api/v1/nodes/$1/proxy/pods")
  for uid in $(kubectl get pods --all-namespaces --field-selector "spec.nodeName=$1" -o 'jsonpath={.items[*].metadata.uid}'); do
    [[ $known == *$uid* ]] || return 1
  done
}
