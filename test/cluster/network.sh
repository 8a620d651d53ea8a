# shellcheck shell=bash
# The network: a bridge inside `control`, with the host, the nodes and laptops plugged in. On the host there is one link, $LINK,
# so that no firewall or bridge setting of the host's is in the way, and it goes when `control` does.

network_of() { # network_of MACHINE: nsenter's options for its network
  local pid
  read -r pid <"$RUN/machines/$1/init.pid"
  echo "--net=/proc/$pid/ns/net"
}

network_control() {
  local inside pid
  inside=$(network_of control)
  read -r pid <"$RUN/machines/control/init.pid"
  nsenter "$inside" bash -euc '
    ip link set lo up
    # An address of its own: it would take the lowest of its ports, and change, unknown to its neighbours, when laptops come and go.
    ip link add bridge address 02:00:0a:5c:00:01 type bridge
    ip addr add "$1" dev bridge
    ip link set bridge up
    echo 1 >/proc/sys/net/ipv4/ip_forward    # between the pods of different nodes' network_control "$CONTROL_IP/$PREFIX"
  ip link del "$LINK" 2>/dev/null || true # of a killed cluster, whose network is not quite gone yet
  ip link add "$LINK" type veth peer name host netns "$pid"
  ip addr add "$HOST_IP/$PREFIX" dev "$LINK"
  ip link set "$LINK" up
  nsenter "$inside" ip link set host master bridge up
}

network_node() { # network_node NODE
  local node=$1 link inside control pid
  link=node$(node_number "$node") # such a name has 15 letters at most
  inside=$(network_of "$node") control=$(network_of control)
  read -r pid <"$RUN/machines/$node/init.pid"
  nsenter "$control" ip link del "$link" 2>/dev/null || true # of a node that died
  nsenter "$control" ip link add "$link" type veth peer name eth0 netns "$pid"
  nsenter "$control" ip link set "$link" master bridge up
  nsenter "$inside" bash -euc '
    ip link set lo up
    ip addr add "$1" dev eth0
    ip link set eth0 up
    ip route add default via "$2"' network_node "$(node_ip "$node")/$PREFIX" "$CONTROL_IP"
  nsenter "$control" ip route replace "$(pod_network "$node")" via "$(node_ip "$node")"
}
