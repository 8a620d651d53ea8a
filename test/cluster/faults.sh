# shellcheck shell=bash
# Parts that can fail and come back, each alone.

fault_apiserver() {
  case ${1:-} in
    stop | kill) "service_$1" control apiserver ;;
    start) service_running control apiserver || apiserver_start ;;
    *) usage_error "apiserver stop, kill or start" ;;
  esac
}

fault_runtime() {
  local service
  need_node "${1:-}"
  service=$(runtime_service "$1")
  case ${2:-} in
    stop | kill) "service_$2" "$1" "$service" ;;
    start)
      service_running "$1" "$service" || runtime_start "$1"
      if service_running "$1" kubelet && service_running control apiserver; then node_wait "$1" 0; fi
      ;;
    *) usage_error "runtime NODE stop, kill or start" ;;
  esac
}

fault_kubelet() {
  need_node "${1:-}"
  local node=$1 gate=true since
  case ${3:-} in
    '' | --checkpoint-gate=on) ;;
    --checkpoint-gate=off) gate=false ;;
    *) usage_error "kubelet does not know $3" ;;
  esac
  case ${2:-} in
    stop | kill) "service_$2" "$node" kubelet ;;
    start)
      if service_running "$node" kubelet; then
        grep -q "ContainerCheckpoint: $gate" "$RUN/machines/$node/kubelet.yaml" && return
        service_stop "$node" kubelet
      fi
      service_running "$node" "$(runtime_service "$node")" || die "$node's runtime does not run, and a kubelet ends without one: cluster runtime $node start"
      since=$(date +%s)
      kubelet_start "$node" "$gate"
      if service_running control apiserver; then node_wait "$node" "$since"; fi
      ;;
    *) usage_error "kubelet NODE stop, kill or start" ;;
  esac
}

fault_criu() {
  need_node "${1:-}"
  case ${2:-} in
    off) criu_link "$1" none ;;
    on) criu_link "$1" ;;
    *)
      [ -n "${CRIU_DIRECTORY[criu-${2:-}]:-}" ] || usage_error "criu NODE on, off, 3.15, 3.17 or 4.1"
      criu_link "$1" "${CRIU_DIRECTORY[criu-$2]}/bin/criu"
      ;;
  esac
}
