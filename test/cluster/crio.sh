# shellcheck shell=bash
# CRI-O on a node.

# crio_machine NODE: what a machine needs for CRI-O that containerd does without.
crio_machine() {
  in_machine "$1" bash -euc '
    mkdir -p /etc/containers /var/lib/containers/storage
    echo "{\"default\": [{\"type\": \"insecureAcceptAnything\"}]}" >/etc/containers/policy.json
    # CRI-O gives privileged containers every capability that the kernel knows, also those that this machine lacks (24: CAP_SYS_RESOURCE).
    read -r _ bounding < <(grep ^CapBnd: /proc/self/status)
    if ! ((0x$bounding >> 24 & 1)); then
      for program in runc crun; do
        cp -L "/usr/bin/$program" "/usr/bin/$program.real"
        rm "/usr/bin/$program"
      done
      tee /usr/bin/{runc,crun} >/dev/null
      chmod +x /usr/bin/{runc,crun}
    fi' <"$HERE/oci-wrapper.py"
  # Its sandboxes' image can only be pulled.
  wait_until 120 "the registry" in_machine control skopeo --insecure-policy copy --quiet --preserve-digests "oci:$IMAGES/pause" "docker://$REGISTRY/pause:1"
}

# without_huge_pages COMMAND…: for the kubelet of such a node. Where there is no hugetlb hierarchy, CRI-O cannot leave out limits on huge
# pages: the kubelet sends none where no size is to be seen. Not for the whole machine: a mount below /sys would keep the kernel from giving
# pods with user namespaces a sysfs.
without_huge_pages() {
  # shellcheck disable=SC2016 # expanded inside
  printf '%s\0' unshare --mount --propagation unchanged bash -euc '
    if [ ! -e /sys/fs/cgroup/cgroup.controllers ] && [ ! -e /sys/fs/cgroup/hugetlb ]; then
      mount --make-private /sys
      mount -t tmpfs tmpfs /sys/kernel/mm/hugepages
    fi
    exec "$@"' kubelet "$@"
}

crio_start() {
  crio_configuration "$1" >"$RUN/machines/$1/crio.conf"
  service_start "$1" crio crio --config "$RUN/machines/$1/crio.conf" --config-dir ""
  service_wait "$1" crio in_machine "$1" test -S /run/crio/crio.sock
}

crio_configuration() {
  cat <<END
[crio]
root = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
storage_driver = "overlay"
version_file = "/run/crio/version"
clean_shutdown_file = "/var/lib/containers/clean.shutdown"
[crio.api]
listen = "/run/crio/crio.sock"
[crio.runtime]
conmon = "/usr/bin/conmon"
conmon_cgroup = "pod"
cgroup_manager = "cgroupfs"
default_runtime = "$(if has_option "$1" crun; then echo crun; else echo runc; fi)"
enable_criu_support = $(if has_option "$1" no-checkpoint; then echo false; else echo true; fi)
pinns_path = "$(programs_of "$1")/bin/pinns"
apparmor_profile = "unconfined"
hooks_dir = []
[crio.runtime.runtimes.runc]
runtime_path = "/usr/bin/runc"
runtime_root = "/run/runc"
[crio.runtime.runtimes.crun]
runtime_path = "/usr/bin/crun"
runtime_root = "/run/crun"
[crio.image]
pause_image = "$REGISTRY/pause:1"
pause_command = "/bin/sleep 2147483647"
[crio.network]
network_dir = "/etc/cni/net.d"
plugin_dirs = ["/usr/lib/cni"]
END
}
