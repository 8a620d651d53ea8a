# shellcheck shell=bash disable=SC2034
# Versions, places and addresses. Each stands here and nowhere else.

ASKED_VERSION=${KUBERNETES_VERSION:-}
KUBERNETES_VERSION=${KUBERNETES_VERSION:-1.36.3}
DEBIAN_SUITE=forky # older suites' CRIU will not do: see tree.sh

CACHE=${CLUSTER_CACHE:-/var/cache/kubectl-checkpoint} # what is built, by content; a CI may keep it
RUN=${CLUSTER_RUN:-/run/kubectl-checkpoint}           # keys, kubeconfigs, logs of the cluster that is up
STATE=$CACHE/state                                    # the machines' disks: real disk, for /run may be memory
LOCK=$RUN.lock

CGROUP=kubectl-checkpoint # every process of the cluster is below it
LINK=kckpt0               # the one network link that the host sees
NODES_MAX=20

HOST_IP=10.92.0.254
CONTROL_IP=10.92.0.1
PREFIX=16
SERVICE_NETWORK=10.94.0.0/24
SERVICE_IP=10.94.0.1
REGISTRY=$CONTROL_IP:5000
PRIVATE_REGISTRY=$CONTROL_IP:5001 # user test, password test-password

node_ip() { echo "10.92.0.$((10 + ${1#node}))"; }
pod_network() { echo "10.93.${1#node}.0/24"; }
laptop_ip() { echo "10.92.$((100 + $1 / 250 % 100)).$((1 + $1 % 250))"; } # of a process ID

digest() { sha256sum | head -c 12; }

# The three things that are built; the names change with whatever goes into them.
TREE=$CACHE/tree-$({ echo "$DEBIAN_SUITE"; cat "$HERE/tree.sh"; } | digest)
PROGRAMS=$CACHE/kubernetes-$KUBERNETES_VERSION-$(digest <"$HERE/programs.sh")
IMAGES=$CACHE/images-$({ echo "${TREE##*/}"; cat "$HERE/images.sh"; } | digest)
