# shellcheck shell=bash
# containerd on a node, of each version.

# containerd_machine NODE: a patient runc, where it takes patience.
containerd_machine() {
  cgroup2 || in_machine "$1" bash -euc 'cd /usr/sbin && mv runc runc.real && cat >runc && chmod 755 runc' <"$HERE/runc-wrapper.sh"
}

containerd_start() {
  containerd_configuration "$1" >"$RUN/machines/$1/containerd.toml"
  service_start "$1" containerd containerd --config "$RUN/machines/$1/containerd.toml"
  service_wait "$1" containerd in_machine "$1" ctr version
}

# Containers and machines may lack CAP_SYS_RESOURCE, which lowering oom_score_adj takes; AppArmor's profiles are not loaded here.
containerd_configuration() {
  local runtime="io.containerd.cri.v1.runtime" switches=''
  if [ "$(runtime_of "$1")" = containerd-1.7 ]; then
    cat <<'END'
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
END
    runtime="io.containerd.grpc.v1.cri"
  else
    if has_option "$1" restore; then switches+=$'  enable_experimental_restore_via_create = true\n'; fi
    if has_option "$1" no-checkpoint; then switches+=$'  enable_criu = false\n'; fi
    cat <<END
version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "localhost/pause:1"
[plugins.'$runtime']
  restrict_oom_score_adj = true
  disable_apparmor = true
$switches  [plugins.'$runtime'.cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "/etc/cni/net.d"
END
  fi
  if has_option "$1" crun; then
    cat <<END
  [plugins.'$runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins.'$runtime'.containerd.runtimes.runc.options]
      BinaryName = "/usr/bin/crun"
END
  fi
}
