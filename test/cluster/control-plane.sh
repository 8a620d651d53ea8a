# shellcheck shell=bash
# The machine `control`: etcd, the apiserver, the controller manager, the scheduler and two registries.

# control_machine: the keys, the machine and its network.
control_machine() {
  machine_running control && return
  mkdir -p "$RUN"/{pki,users}
  in_tree "$TREE" bash "$HERE/pki.sh" cluster "$RUN/pki" "$RUN" "https://$CONTROL_IP:6443" "$SERVICE_IP"
  remember_kernel_settings
  machine_start control
  network_control
}

control_plane() {
  service_running control etcd ||
    service_start control etcd etcd --data-dir /var/lib/etcd --unsafe-no-fsync --log-level warn
  service_running control apiserver || apiserver_start
  controllers_start
  # What kubeadm gives the apiserver. It lacks nodes/checkpoint: see grant.
  kubectl create clusterrolebinding apiserver-kubelet --clusterrole=system:kubelet-api-admin --user=kube-apiserver-kubelet-client \
    --dry-run=client -o yaml | kubectl apply -f -
}

apiserver_start() {
  local pki=$RUN/pki
  cp "$HERE/audit-policy.yaml" "$RUN/machines/control/"
  service_start control apiserver kube-apiserver \
    --advertise-address="$CONTROL_IP" --service-cluster-ip-range="$SERVICE_NETWORK" --etcd-servers=http://127.0.0.1:2379 \
    --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt" \
    --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file="$pki/sa.pub" --service-account-signing-key-file="$pki/sa.key" \
    --kubelet-client-certificate="$pki/kubelet-client.crt" --kubelet-client-key="$pki/kubelet-client.key" \
    --kubelet-preferred-address-types=InternalIP `# nobody resolves the nodes' names` \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
    --audit-policy-file="$RUN/machines/control/audit-policy.yaml" --audit-log-path="$RUN/log/audit.log"
  service_wait control apiserver kubectl get --raw /readyz
}

controllers_start() {
  # Without ports of their own: nobody asks for their metrics.
  service_running control controller-manager || service_start control controller-manager kube-controller-manager \
    --kubeconfig="$RUN/controller-manager.conf" --secure-port=0 --leader-elect=false --use-service-account-credentials \
    --service-account-private-key-file="$RUN/pki/sa.key" --root-ca-file="$RUN/pki/ca.crt"
  service_running control scheduler || service_start control scheduler kube-scheduler \
    --kubeconfig="$RUN/scheduler.conf" --secure-port=0 --leader-elect=false
}

# The right that checkpoints need and that kubeadm's clusters lack: the apiserver's own identity may create nodes/checkpoint.
grant() {
  local node
  case ${1:-} in
    yes)
      kubectl create clusterrole kubelet-checkpoint --verb=create --resource=nodes/checkpoint --dry-run=client -o yaml | kubectl apply -f -
      kubectl create clusterrolebinding kubelet-checkpoint --clusterrole=kubelet-checkpoint --user=kube-apiserver-kubelet-client \
        --dry-run=client -o yaml | kubectl apply -f -
      ;;
    no)
      kubectl delete clusterrolebinding,clusterrole kubelet-checkpoint --ignore-not-found
      ;;
    *) usage_error "grant yes or no" ;;
  esac >/dev/null
  for node in $(nodes); do
    if service_running "$node" kubelet; then wait_until 30 "$node to take notice" probe_answers "$node" "$1"; fi
  done
}

# probe NODE: what a checkpoint of a pod that does not exist is told.
probe() { kubectl create --raw "/api/v1/nodes/$1/proxy/checkpoint/default/none/none" -f /dev/null 2>&1 || true; }

probe_answers() {
  if [ "$2" = no ]; then [[ $(probe "$1") == *'subresource(s)=[checkpoint]'* ]]; else [[ $(probe "$1") != *'subresource(s)=[checkpoint]'* ]]; fi
}

# Kubelets set these for the whole machine, above all kernel.panic_on_oops=1; the `down` of the last cluster puts them back.
KERNEL_SETTINGS=(vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes)
# And this is ours: a node takes some ten of the 128 that root may have, and the last is CRIU's ("Can't create inotify").
INOTIFY=fs/inotify/max_user_instances
INOTIFY_LEAST=8192

remember_kernel_settings() {
  local setting other
  for other in $(others_kernel_settings); do cp "$other" "$RUN/kernel-settings" && break; done
  touch "$RUN/kernel-settings"
  for setting in "${KERNEL_SETTINGS[@]}" "$INOTIFY"; do
    if [ -e "/proc/sys/$setting" ] && ! grep -q "^$setting " "$RUN/kernel-settings"; then
      echo "$setting $(cat "/proc/sys/$setting")" >>"$RUN/kernel-settings"
    fi
  done
  if [ "$(cat "/proc/sys/$INOTIFY")" -lt $INOTIFY_LEAST ]; then echo $INOTIFY_LEAST >"/proc/sys/$INOTIFY"; fi
}
others_kernel_settings() { find "$RUNS"* -maxdepth 1 -name kernel-settings ! -path "$RUN/*" 2>/dev/null || true; }
restore_kernel_settings() {
  local setting value
  if [ ! -e "$RUN/kernel-settings" ] || [ -n "$(others_kernel_settings)" ]; then return; fi
  while read -r setting value; do
    if [ "$(cat "/proc/sys/$setting")" != "$value" ]; then echo "$value" >"/proc/sys/$setting"; fi
  done <"$RUN/kernel-settings"
}
