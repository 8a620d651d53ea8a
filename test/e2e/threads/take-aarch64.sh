#!/usr/bin/env bash
# Dumps test/data/threads/locks.c on aarch64: `take-aarch64.sh DIR` writes DIR/aarch64-glibc-*.tar.zst, as test/data/threads has them. Needs root, Debian
# and about ten minutes: qemu-system-arm emulates a machine with pointer authentication, on Debian forky's cloud kernel, CRIU and runc.
# apt-get install qemu-system-arm gcc-aarch64-linux-gnu libc6-dev-arm64-cross cpio zstd
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd) && repository=$(cd "$here/../../.." && pwd)
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
out=$(cd "$1" && pwd) && cd "$work"

# Debian's packages for arm64, by apt, with lists of its own.
mkdir -p apt/lists/partial apt/archives/partial debs root/{modules,new,bundle/rootfs/{bin,lib,tmp,proc,dev,sys}} && touch apt/status
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian forky main" >apt/sources
apt=(-q -o "Dir::State=$work/apt" -o "Dir::State::status=$work/apt/status" -o "Dir::Etc::sourcelist=$work/apt/sources" -o Dir::Etc::sourceparts=/dev/null
  -o "Dir::Cache=$work/apt" -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root)
apt-get "${apt[@]}" update >&2
version=$(apt-cache "${apt[@]}" depends linux-image-cloud-arm64 | sed -n 's/.*Depends: linux-image-\(.*\)-cloud-arm64$/\1/p')
(cd debs && apt-get "${apt[@]}" download "linux-"{binary,modules}"-$version-cloud-arm64" runc libseccomp2 >&2)
for deb in debs/runc_* debs/libseccomp2_*; do dpkg-deb -x "$deb" root; done
for deb in debs/linux-*; do dpkg-deb -x "$deb" kernel; done
modules=kernel/usr/lib/modules/$version-cloud-arm64
for module in net/unix/unix net/ipv4/{inet,tcp,udp,raw} net/netlink/netlink net/packet/af_packet; do
  xz -dc "$modules/kernel/${module}_diag.ko.xz" >"root/modules/$(basename "$module")_diag.ko"
done
# busybox, CRIU and their libraries: the layer of the helper image.
node --input-type=module - >layer.tar <<END
import { readFileSync } from "node:fs";
import { packagesLayer } from "$repository/.ci/package/helper/layer.ts";
process.stdout.write(await packagesLayer(JSON.parse(readFileSync("$repository/.ci/package/helper/packages.json", "utf8")), "arm64"));
END
tar --keep-directory-symlink -xf layer.tar -C root
for applet in switch_root insmod poweroff base64; do ln -sf busybox "root/usr/bin/$applet"; done

cp "$repository/test/data/threads/locks.c" .
for kind in static pie; do
  aarch64-linux-gnu-gcc -g -O1 "-$kind" -pthread -mbranch-protection=standard -w -o "root/bundle/rootfs/bin/locks-$kind" locks.c
done
for library in libc.so.6 ld-linux-aarch64.so.1; do cp -L "root/usr/lib/aarch64-linux-gnu/$library" root/bundle/rootfs/lib; done
mkdir -p root/etc/criu && echo "network-lock skip" >root/etc/criu/runc.conf
cat >root/bundle/config.in <<'END'
{"ociVersion": "1.0.2", "hostname": "arm", "root": {"path": "rootfs", "readonly": false},
 "process": {"terminal": false, "user": {"uid": 0, "gid": 0}, "args": ["/bin/locks-KIND", "/tmp/ready"], "env": ["PATH=/bin"], "cwd": "/", "noNewPrivileges": true},
 "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
  {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]}],
 "linux": {"namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}], "cgroupsPath": "/KIND"}}
END
# runc changes its root, which the first one cannot be changed to.
cat >root/init <<'END'
#!/bin/sh
mount -t tmpfs -o size=80% tmpfs /new
cd / && cp -a usr bin sbin lib lib64 modules etc tmp proc sys dev run root bundle init2 /new/
exec switch_root /new /init2
END
cat >root/init2 <<'END'
#!/bin/sh
export PATH=/usr/bin:/usr/sbin:/bin:/sbin
mount -t proc proc /proc && mount -t sysfs sysfs /sys && mount -t devtmpfs dev /dev && mount -t tmpfs run /run && mount -t cgroup2 cgroup /sys/fs/cgroup
for module in inet unix tcp udp raw netlink af_packet; do insmod /modules/${module}_diag.ko; done
ifconfig lo up
cd /bundle
for kind in static pie; do
  sed "s/KIND/$kind/g" config.in >config.json
  rm -f rootfs/tmp/ready
  runc --log /tmp/runc.log run -d $kind </dev/null >/dev/null 2>&1 || cat /tmp/runc.log
  while [ ! -e rootfs/tmp/ready ]; do sleep 1; done
  # Emulated, it takes its time until each waits.
  sleep 20
  mkdir -p /tmp/$kind/checkpoint
  runc checkpoint --image-path /tmp/$kind/checkpoint --work-path /tmp/$kind/work --ext-unix-sk $kind >/dev/null 2>&1 || tail -30 /tmp/$kind/work/dump.log
  echo "== BEGIN $kind"; tar -C /tmp/$kind -cf - checkpoint | zstd -q | base64; echo "== END $kind"
  runc delete --force $kind
done
poweroff -f
END
chmod +x root/init root/init2
(cd root && find . -print0 | cpio -0o -H newc --quiet | gzip -1) >initrd.gz
nice qemu-system-aarch64 -machine virt -cpu max,sve=off,pauth-impdef=on -smp 1 -m 1400 -kernel "$modules/vmlinuz" -initrd initrd.gz \
  -append "console=ttyAMA0 panic=-1 quiet" -nographic -no-reboot -serial file:serial -monitor none -nic none

for kind in static pie; do
  mkdir -p "$kind" && sed -n "/^== BEGIN $kind/,/^== END $kind/p" serial | grep -v ^== | tr -d '\r' | base64 -d | zstd -dc | tar -xf - -C "$kind"
done
# The program's bytes, which hold its code and symbols, as if it had been put into the container.
tar --owner=0 --group=0 -C root/bundle/rootfs -cf static/rootfs-diff.tar bin/locks-static
tar --sort=name --owner=0 --group=0 -C static -cf - checkpoint rootfs-diff.tar | zstd -19 -q -f -o "$out/aarch64-glibc-2.36-static.tar.zst"
tar --sort=name --owner=0 --group=0 -C pie -cf - checkpoint | zstd -19 -q -f -o "$out/aarch64-glibc-2.43.tar.zst"
