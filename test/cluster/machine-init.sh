#!/bin/bash
# machine-init.sh NAME ROOTS DISK FILES DIRECTORY…: the first process of a machine, in fresh namespaces. Gives it a root, then only waits.
set -euo pipefail
name=$1 roots=$2 disk=$3 files=$4
shift 4
read -r pid _ </proc/self/stat # while /proc is still the host's, so is the process ID in it
echo "$pid" >"$files/init.pid"
echo "$name" >/proc/sys/kernel/hostname

cd "$disk/root"
mount -t overlay overlay -o "lowerdir=$roots,upperdir=$disk/upper,workdir=$disk/work" .
cd "$disk/root"
mount -t proc proc proc
mount --rbind /dev dev
mount -t sysfs sysfs sys
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount -t cgroup2 cgroup2 sys/fs/cgroup
else
  mount --rbind /sys/fs/cgroup sys/fs/cgroup
  # Without the second version's tree beside the first's: crun refuses such machines, and CRIU, which finds all containers in its root,
  # takes it into every archive, and makes a copy of it at every restore.
  umount sys/fs/cgroup/unified 2>/dev/null || true
fi
mount -t tmpfs tmpfs run
for directory in "$@"; do
  mkdir -p "./$directory"
  mount --bind "$directory" "./$directory"
done
# On disk, not on the overlay: runtimes put overlays of their own there, and CRIU's images, gigabytes of them, go through /tmp.
for directory in containerd containers kubelet; do
  mkdir -p "var/lib/$directory"
  mount --bind "$disk/$directory" "var/lib/$directory"
done
mount --bind "$disk/tmp" tmp
# pivot_root, not chroot: CRIU wants the root to be a mount ("mnt: No parent found for mountpoint").
# The tree's, for newer Debians have it in a package that may be missing.
mkdir -p old
./bin/busybox pivot_root . old
exec bash -c '
  umount --lazy /old
  mount --make-rshared /                 # as systemd does; volumes are propagated from here into containers
  touch "$1"
  while true; do sleep infinity & wait; done   # bash reaps whatever is left to the first process' machine-init "$files/ready"
