# shellcheck shell=bash
# The cluster that is up: what it was built from, and its state.

is_up() { [ -e "$RUN/up" ] && machine_running control && [ -x "$RUN/bin/kubectl" ]; }

need_up() {
  is_up || die "the cluster is not up: npm run cluster -- up"
  load_builds
}

# Commands on a running cluster use what it was started with, whatever the scripts say by now.
save_builds() {
  mkdir -p "$RUN"
  ln -sfn "$PROGRAMS/bin" "$RUN/bin"
  printf '%s=%q\n' KUBERNETES_VERSION "$KUBERNETES_VERSION" TREE "$TREE" PROGRAMS "$PROGRAMS" IMAGES "$IMAGES" >"$RUN/builds"
}

load_builds() {
  . "$RUN/builds"
  # shellcheck disable=SC2034 # a laptop's command gets it back
  CALLERS_KUBECONFIG=${KUBECONFIG:-}
  export PATH=$RUN/bin:$PATH KUBECONFIG=$RUN/admin.conf
  unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY # none of them leads to the cluster
}

need_node() { machine_running "$1" || usage_error "no node ${1:-named}; there are: $(nodes | tr '\n' ' ')"; }

status() {
  [ $# = 0 ] || usage_error "status takes no arguments"
  if ! is_up; then
    echo "down"
    return 1
  fi
  load_builds
  local service node
  echo "up: Kubernetes $KUBERNETES_VERSION, https://$CONTROL_IP:6443, admin's kubeconfig $RUN/admin.conf"
  for service in etcd apiserver controller-manager scheduler registry private-registry; do
    printf '  %-20s %s\n' "$service" "$(service_status control "$service")"
  done
  for node in $(nodes); do
    printf '%s: %s, %s, %s\n' "$node" "$(spec_of "$node")" "$(node_ip "$node")" "$(kubectl get node "$node" --request-timeout=3s --no-headers 2>/dev/null | awk '{print $2}')"
    for service in "$(runtime_service "$node")" kubelet; do
      printf '  %-20s %s\n' "$service" "$(service_status "$node" "$service")"
    done
  done
  echo "registries: $REGISTRY (open), $PRIVATE_REGISTRY (user test, password test-password), CA $RUN/pki/ca.crt"
  echo "logs: $RUN/log"
}

service_status() {
  local pid
  if service_running "$1" "$2"; then
    read -r pid <"$RUN/machines/$1/$2.pid"
    echo "process $pid"
  else
    echo "stopped"
  fi
}

print_environment() {
  [ $# = 0 ] || usage_error "env takes no arguments"
  echo "export KUBECONFIG=$RUN/admin.conf PATH=$RUN/bin:\$PATH CLUSTER_NUMBER=$CLUSTER_NUMBER NO_PROXY=$CONTROL_IP\${NO_PROXY:+,\$NO_PROXY}"
}
