# shellcheck shell=bash
# The cluster's cgroups. Below $CGROUP in every hierarchy:
#   build    what an `up` builds with, so that the next one can end what a killed one left
#   daemons  the machines' own processes
#   nodeN    a kubelet's pods: its cgroupRoot

cgroup2() { [ -e /sys/fs/cgroup/cgroup.controllers ]; }

# The roots of all hierarchies: one of version 2, several of version 1 (with a "unified" beside them on hybrid machines).
cgroup_roots() {
  if cgroup2; then
    echo /sys/fs/cgroup
    return
  fi
  local root
  for root in /sys/fs/cgroup/*; do
    if [ -e "$root/cgroup.procs" ] && [ ! -L "$root" ]; then echo "$root"; fi
  done
}

# The one hierarchy in which `build` and `daemons` are told apart. Not cpuset, which refuses processes until it is set up.
tracking_root() {
  local root
  for root in /sys/fs/cgroup /sys/fs/cgroup/pids /sys/fs/cgroup/freezer /sys/fs/cgroup/systemd; do
    if [ -e "$root/cgroup.procs" ]; then echo "$root" && return; fi
  done
  die "no cgroups at /sys/fs/cgroup"
}

# create_cgroup NAME: in every hierarchy, with every controller.
create_cgroup() {
  local root
  for root in $(cgroup_roots); do mkdir -p "$root/$CGROUP/$1"; done
  if cgroup2; then
    # In a container /sys/fs/cgroup is not the true root: a group with processes of its own may not give controllers to its children.
    if [ -e /sys/fs/cgroup/cgroup.type ]; then
      mkdir -p /sys/fs/cgroup/init
      local pid
      while read -r pid; do echo "$pid" >/sys/fs/cgroup/init/cgroup.procs || true; done </sys/fs/cgroup/cgroup.procs
    fi
    local controller
    while read -r -d ' ' controller; do
      echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control || true
      echo "+$controller" >"/sys/fs/cgroup/$CGROUP/cgroup.subtree_control" || true
    done 2>/dev/null < <(tr '\n' ' ' </sys/fs/cgroup/cgroup.controllers)
  fi
}

# join_cgroup NAME: moves the calling shell.
join_cgroup() {
  local group
  group=$(tracking_root)/$CGROUP/$1
  mkdir -p "$group" && echo "$BASHPID" >"$group/cgroup.procs"
}

in_our_cgroup() { grep -qs "/$CGROUP/" "/proc/$1/cgroup"; }

# our_cgroups [NAME]: every cgroup of ours (below NAME), deepest first.
our_cgroups() {
  local root
  for root in $(cgroup_roots); do
    find "$root/$CGROUP${1:+/$1}" -depth -type d 2>/dev/null || true
  done
}

# kill_cgroup [NAME]: ends every process of ours (below NAME).
kill_cgroup() {
  local round group groups pids
  for round in {1..150}; do
    mapfile -t groups < <(our_cgroups "$@")
    [ ${#groups[@]} -gt 0 ] || return 0
    pids=$({ cat "${groups[@]/%//cgroup.procs}" 2>/dev/null || true; } | sort -un | tr '\n' ' ')
    [ -n "$pids" ] || return 0
    # A checkpoint that was cut off leaves its container frozen, and on version 1 a frozen process does not die.
    for group in "${groups[@]}"; do
      if [ -e "$group/freezer.state" ]; then echo THAWED >"$group/freezer.state"; fi
    done 2>/dev/null
    # shellcheck disable=SC2086
    kill -KILL $pids 2>/dev/null || true
    sleep 0.1
  done
  die "after $((round / 10)) s these processes have not ended: $pids"
}

# remove_cgroups [NAME]
remove_cgroups() {
  local group
  for group in $(our_cgroups "$@"); do rmdir "$group" 2>/dev/null || true; done
  [ -z "$(our_cgroups "$@")" ] || die "cannot remove cgroups: $(our_cgroups "$@" | tr '\n' ' ')"
}
