# shellcheck shell=bash
# Parts that can fail and come back, each alone.

fault_apiserver() {
  case ${1:-} in
    stop | kill) "service_$1" control apiserver ;;
    start) service_running control apiserver || apiserver_start ;;
    *) usage_error "apiserver stop, kill or start" ;;
  esac
}

fault_containerd() {
  need_node "${1:-}"
  case ${2:-} in
    stop | kill) "service_$2" "$1" containerd ;;
    start)
      service_running "$1" containerd || containerd_start "$1"
      if service_running "$1" kubelet && service_running control apiserver; then node_wait "$1" 0; fi
      ;;
    *) usage_error "containerd NODE stop, kill or start" ;;
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
      service_running "$node" containerd || die "$node's containerd does not run, and a kubelet ends without one: cluster containerd $node start"
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
    off) in_machine "$1" sh -c '[ ! -e /usr/sbin/criu ] || mv /usr/sbin/criu /usr/sbin/criu.off' ;;
    on) in_machine "$1" sh -c '[ ! -e /usr/sbin/criu.off ] || mv /usr/sbin/criu.off /usr/sbin/criu' ;;
    *) usage_error "criu NODE on or off" ;;
  esac
}
