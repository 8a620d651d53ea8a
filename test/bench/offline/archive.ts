// Archives of a given size for the benchmark: a real process dumped by a real CRIU, in the form that containerd writes.
import { execFileSync, spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  globSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { TAR_END, tarHeader } from "../../archive/tars.ts";
import { corpus } from "../../fuzz/corpus.ts";

/** Kept between runs: making 4 GiB takes a minute. */
export const CACHE = join(tmpdir(), "kubectl-checkpoint-bench");

/** The archive of a process of so many MiB; made where it is not there yet. Throws where CRIU cannot be had. */
export async function archiveOf(mib: number): Promise<string> {
  const path = join(CACHE, `process-${mib}MiB.tar`);
  if (existsSync(path)) return path;
  mkdirSync(CACHE, { recursive: true, mode: 0o700 });
  const images = join(CACHE, `images-${mib}`);
  rmSync(images, { recursive: true, force: true });
  mkdirSync(images);
  const ready = join(CACHE, "ready");
  rmSync(ready, { force: true });
  const holder = spawn("python3", [join(import.meta.dirname, "process.py"), String(mib), ready], { detached: true, stdio: "ignore" });
  try {
    while (!existsSync(ready)) {
      if (holder.exitCode !== null) throw new Error("python3 could not run the process that is to be dumped");
      await sleep(100);
    }
    const [criu, ...args] = criuCommand();
    execFileSync(criu, [...args, "dump", "-t", String(holder.pid), "-D", images, "-o", "dump.log", "--leave-running"]);
  } finally {
    holder.kill("SIGKILL");
  }
  pack(images, path);
  rmSync(images, { recursive: true });
  return path;
}

/** The machine's own, or the one of the test cluster's tree with the libraries it is built for. */
function criuCommand(): [string, ...string[]] {
  const trees = globSync(["/var/cache/kubectl-checkpoint/tree-*", "/var/cache/checkpoint-cluster/rootfs"]);
  const tree = trees.find((directory) => existsSync(`${directory}/usr/sbin/criu`));
  if (tree === undefined) return ["criu"];
  const libraries = [`${tree}/lib/x86_64-linux-gnu`, `${tree}/usr/lib/x86_64-linux-gnu`].join(":");
  return [`${tree}/lib64/ld-linux-x86-64.so.2`, "--library-path", libraries, `${tree}/usr/sbin/criu`];
}

/** As containerd writes it: the images first, then what it adds, taken here from a real archive. */
function pack(images: string, path: string): void {
  const real = corpus().find((members) => members.some(({ name }) => name === "status.dump")) ?? [];
  const part = `${path}.part`;
  const file = openSync(part, "w", 0o600);
  writeSync(file, tarHeader({ name: "checkpoint/", type: "5", mode: 0o700 }));
  for (const name of readdirSync(images).sort()) {
    if (name.endsWith(".img")) addFile(file, `checkpoint/${name}`, join(images, name));
  }
  for (const { name, header, data } of real) {
    if (name.startsWith("checkpoint/")) continue;
    if (existsSync(join(images, name))) addFile(file, name, join(images, name));
    else for (const bytes of [header, data, padding(data.length)]) writeSync(file, bytes);
  }
  writeSync(file, TAR_END);
  closeSync(file);
  renameSync(part, path);
}

function addFile(to: number, name: string, path: string): void {
  const { size } = statSync(path);
  writeSync(to, tarHeader({ name, size }));
  const from = openSync(path, "r");
  const buffer = Buffer.alloc(4 << 20);
  for (let count = readSync(from, buffer); count > 0; count = readSync(from, buffer)) writeSync(to, buffer, 0, count);
  closeSync(from);
  writeSync(to, padding(size));
}

function padding(size: number): Buffer {
  return Buffer.alloc((512 - (size % 512)) % 512);
}

/** What a process read last from /proc of its peak memory, in bytes. */
export function peakOf(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Milliseconds of processor time that a process had when it was looked at last. */
export function processorOf(pid: number): number {
  try {
    // After the name, which may have spaces: utime and stime, in ticks of 10 ms.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return 0;
  }
}
