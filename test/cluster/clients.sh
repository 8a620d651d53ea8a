# shellcheck shell=bash
# Clients of the cluster: users with certificates, a laptop on a slow link, a shell on a node.

# user NAME [--group GROUP]… [--expired] [--days DAYS]: prints the path of a kubeconfig.
user() {
  local name=${1:-} group subject='' validity=(-days 30)
  [[ $name =~ ^[A-Za-z0-9._:@-]+$ ]] || usage_error "user needs a name"
  shift
  while [ $# -gt 0 ]; do
    case $1 in
      --group) [ $# -ge 2 ] || usage_error "--group needs a name"; set -- "--group=$2" "${@:3}"; continue ;;
      --group=*) group=${1#*=} subject+=/O=${group//\//\\/} ;;
      --days) [ $# -ge 2 ] || usage_error "--days needs a number"; validity=(-days "$2"); shift ;;
      --days=*) validity=(-days "${1#*=}") ;;
      --expired) validity=(-not_before 20200101000000Z -not_after 20200102000000Z) ;;
      *) usage_error "user does not know $1" ;;
    esac
    shift
  done
  in_tree "$TREE" bash "$HERE/pki.sh" user "$RUN/pki" "$RUN/users" "https://$CONTROL_IP:6443" "$name" "$subject/CN=$name" "${validity[@]}"
  echo "$RUN/users/$name.conf"
}

# laptop [--rate RATE] -- COMMAND…: becomes COMMAND, on a machine's place in the network, with a link of that rate in both directions.
# The network namespace has no name, so all of it ends with COMMAND.
laptop() {
  local rate=''
  while [ $# -gt 0 ]; do
    case $1 in
      --rate) [ $# -ge 2 ] || usage_error "--rate needs a rate, as 100mbit"; rate=$2; shift ;;
      --rate=*) rate=${1#*=} ;;
      --) shift; break ;;
      *) usage_error "laptop [--rate RATE] -- COMMAND…" ;;
    esac
    shift
  done
  [ $# -gt 0 ] || usage_error "laptop -- COMMAND…"
  if [ -n "$CALLERS_KUBECONFIG" ]; then export KUBECONFIG=$CALLERS_KUBECONFIG; fi
  exec unshare --net bash -euc '
    control=$1 address=$2 rate=$3; shift 3
    link=laptop$$
    nsenter "$control" ip link add "$link" type veth peer name eth0 netns $$
    nsenter "$control" ip link set "$link" master bridge up
    ip link set lo up
    ip addr add "$address" dev eth0
    ip link set eth0 up
    if [ -n "$rate" ]; then
      nsenter "$control" tc qdisc add dev "$link" root tbf rate "$rate" burst 256kb latency 200ms   # downloads
      tc qdisc add dev eth0 root tbf rate "$rate" burst 256kb latency 200ms                         # uploads
    fi
    exec "$@"' laptop "$(network_of control)" "$(laptop_ip $$)/$PREFIX" "$rate" "$@"
}

# node_shell NODE [-- COMMAND…]
node_shell() {
  need_node "${1:-}"
  local node=$1
  shift
  if [ "${1:-}" = -- ]; then shift; fi
  [ $# -gt 0 ] || set -- bash
  in_machine "$node" "$@"
}
