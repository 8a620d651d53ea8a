#!/bin/bash
# Keys, certificates and kubeconfigs. Runs inside the tree, whose openssl can make certificates that have expired.
#   pki.sh cluster PKI CONFIGS SERVER                       the CA and everything that the control plane needs
#   pki.sh user    PKI CONFIGS SERVER NAME SUBJECT [openssl x509 OPTION…]   one client: NAME.key, NAME.crt, NAME.conf in CONFIGS
set -euo pipefail
mode=$1 pki=$2 configs=$3 server=$4
shift 4
cd "$pki"

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null; }

# certificate PATH SUBJECT SANS [OPTION…]: PATH.key and PATH.crt, signed by the CA.
certificate() {
  local path=$1 subject=$2 sans=$3
  shift 3
  [ $# -gt 0 ] || set -- -days 365
  key "$path"
  openssl req -new -key "$path.key" -subj "$subject" |
    openssl x509 -req -CA ca.crt -CAkey ca.key -out "$path.crt" "$@" \
      -extfile <(printf 'extendedKeyUsage=clientAuth,serverAuth\n%s' "${sans:+subjectAltName=$sans}") 2>/dev/null
}

base64_of() { base64 -w 0 "$1"; }

# client FILES NAME SUBJECT [OPTION…]: a certificate in the directory FILES and the kubeconfig that holds it.
client() {
  local files=$1
  shift
  certificate "$files/$1" "$2" "" "${@:3}"
  (umask 077 && cat >"$configs/$1.conf") <<END
apiVersion: v1
kind: Config
current-context: kubectl-checkpoint
clusters: [{name: kubectl-checkpoint, cluster: {server: "$server", certificate-authority-data: $(base64_of ca.crt)}}]
users: [{name: "$1", user: {client-certificate-data: $(base64_of "$files/$1.crt"), client-key-data: $(base64_of "$files/$1.key")}}]
contexts: [{name: kubectl-checkpoint, context: {cluster: kubectl-checkpoint, user: "$1"}}]
END
}

case $mode in
  cluster)
    key ca
    openssl req -x509 -key ca.key -out ca.crt -days 3650 -subj /CN=kubectl-checkpoint
    key sa
    openssl pkey -in sa.key -pubout -out sa.pub
    host=${server#https://}
    host=${host%:*}
    certificate apiserver /CN=kube-apiserver "IP:127.0.0.1,IP:$host,IP:$1,DNS:kubernetes.default.svc"
    certificate registry /CN=registry "IP:$host"
    certificate kubelet-client /CN=kube-apiserver-kubelet-client "" # as kubeadm's: not in system:masters
    client . admin /O=system:masters/CN=kubernetes-admin
    client . controller-manager /CN=system:kube-controller-manager
    client . scheduler /CN=system:kube-scheduler
    ;;
  user)
    client "$configs" "$@"
    ;;
esac
