#!/usr/bin/env bash
# npm run demo: the main job end to end on a real cluster on this machine. Leaves the cluster up.
set -euo pipefail
source "$(dirname "$0")/setup.sh"

reason=$(no_cluster_because)
[ -z "$reason" ] || { say "the demo cannot run here: $reason"; exit 2; }

dependencies
build
test/cluster/cluster up --nodes 2 >&2
eval "$(test/cluster/cluster env)"
# The cluster's own registry has what the helper pods run.
export PATH=$PWD/dist:$PATH KUBECTL_CHECKPOINT_HELPER_IMAGE=10.92.0.1:5000/busybox:1

show() { # show COMMAND…: as if it had been typed
  if [ -t 1 ]; then printf '\n\033[1m$ %s\033[0m\n' "$*"; else printf '\n$ %s\n' "$*"; fi
  "$@"
}

say "a pod that counts"
kubectl delete pod counter --ignore-not-found --grace-period=0 --force >/dev/null 2>&1
kubectl run counter --image=10.92.0.1:5000/busybox:1 --restart=Never -- \
  sh -c 'i=0; while true; do i=$((i+1)); echo $i; sleep 1; done' >/dev/null
kubectl wait --for=condition=Ready pod/counter --timeout=60s >/dev/null
sleep 2

show kubectl logs counter --tail=1
show kubectl checkpoint counter -c counter
show kubectl logs counter --tail=1
say "the container kept counting: it was frozen for a moment, not stopped"

say "copy the archive to this machine, remove it from the node, and read it"
archives=$(mktemp -d)
# Archives are named by the second: one of the same would be written over the last one.
sleep 1
show kubectl checkpoint counter -c counter --copy="$archives/" --remove
show kubectl checkpoint show "$archives"/*.tar
show kubectl checkpoint verify "$archives"/*.tar
rm -r "$archives"

cat <<END

The cluster stays up. Try it yourself:

  cd $PWD
  eval "\$($PWD/test/cluster/cluster env)"; export PATH=$PWD/dist:\$PATH KUBECTL_CHECKPOINT_HELPER_IMAGE=$KUBECTL_CHECKPOINT_HELPER_IMAGE
  kubectl checkpoint                     # pick a container from a list
  kubectl checkpoint counter -o json     # the result as a document
  kubectl checkpoint --help

End it with: npm run cluster -- down
END
