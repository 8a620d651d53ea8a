# shellcheck shell=bash disable=SC2034
# Versions, places and addresses. Each stands here and nowhere else.

ASKED_VERSION=${KUBERNETES_VERSION:-}
KUBERNETES_VERSION=${KUBERNETES_VERSION:-1.36.3}
DEBIAN_SUITE=forky # older suites' CRIU will not do: see tree.sh

# Which of several clusters beside each other: all that they do not share is made of it (test/e2e/harness.ts knows RUN and REGISTRY).
CLUSTER_NUMBER=${CLUSTER_NUMBER:-0}
NAME=kubectl-checkpoint
[ "$CLUSTER_NUMBER" = 0 ] || NAME+=-$CLUSTER_NUMBER

CACHE=${CLUSTER_CACHE:-/var/cache/kubectl-checkpoint} # what is built, by content, for all clusters; a CI may keep it
RUNS=/run/kubectl-checkpoint                          # begins the path of every cluster's RUN that is not elsewhere
RUN=${CLUSTER_RUN:-/run/$NAME}                        # keys, kubeconfigs, logs of the cluster that is up
STATE=$CACHE/state${NAME#kubectl-checkpoint}          # the machines' disks: real disk, for /run may be memory
LOCK=$RUN.lock

CGROUP=$NAME               # every process of the cluster is below it
LINK=kckpt$CLUSTER_NUMBER # the one network link that the host sees
NODES_MAX=20

NETWORK=10.$((92 + 3 * CLUSTER_NUMBER)) # machines; the next two: pods, services
POD_NETWORK=10.$((93 + 3 * CLUSTER_NUMBER))
SERVICE_NETWORK=10.$((94 + 3 * CLUSTER_NUMBER)).0.0/24
HOST_IP=$NETWORK.0.254
CONTROL_IP=$NETWORK.0.1
PREFIX=16
SERVICE_IP=${SERVICE_NETWORK%.0/24}.1
REGISTRY=$CONTROL_IP:5000
PRIVATE_REGISTRY=$CONTROL_IP:5001 # user test, password test-password

node_ip() { echo "$NETWORK.0.$((10 + $(node_number "$1")))"; }
pod_network() { echo "$POD_NETWORK.$(node_number "$1").0/24"; }
laptop_ip() { echo "$NETWORK.$((100 + $1 / 250 % 100)).$((1 + $1 % 250))"; } # of a process ID

# The runtimes that a node may have, and their versions. Those of Debian are what its suite has.
declare -A RUNTIMES=(
  [containerd-1.7]=1.7.24 # layer.sh: Debian trixie's
  [containerd-2.1]=2.1.9  # tree.sh: Debian forky's
  [containerd-2.2]=2.2.9 [containerd-2.3]=2.3.7 [containerd-2.4]=2.4.2 [crio-1.36]=1.36.3 # runtimes.sh
)

digest() { sha256sum | head -c 12; }

# The things that are built; the names change with whatever goes into them.
TREE=$CACHE/tree-$({ echo "$DEBIAN_SUITE"; cat "$HERE/tree.sh"; } | digest)
PROGRAMS=$CACHE/kubernetes-$KUBERNETES_VERSION-$(digest <"$HERE/programs.sh")
IMAGES=$CACHE/images-$({ echo "${TREE##*/}"; cat "$HERE/images.sh"; } | digest)

layer_directory() { echo "$CACHE/layer-$({ echo "${TREE##*/}"; cat "$HERE/layer.sh"; } | digest)"; }
# runtime_directory RUNTIME: has its programs in bin/; nothing where they are the tree's.
runtime_directory() {
  case $1 in
    containerd-1.7) echo /opt/containerd-1.7 ;; # in the layer
    containerd-2.1) ;;
    *) echo "$CACHE/${1%%-*}-${RUNTIMES[$1]}-$(digest <"$HERE/runtimes.sh")" ;;
  esac
}
