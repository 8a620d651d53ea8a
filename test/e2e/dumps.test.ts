// Processes of every kind are dumped by runc on a node: what inspect tells of them is what /proc had just before.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nameText } from "../../src/model/name.ts";
import type { Inspection, ProcessItem } from "../../src/model/inspection.ts";
import { clusterTest, onNode, plugin, shareCluster } from "./harness.ts";

shareCluster();

interface Proc {
  readonly processes: readonly ProcProcess[];
  readonly ipc: Readonly<Record<"shm" | "sem" | "msg", string>>;
  readonly sockets: Readonly<Record<"tcp" | "tcp6" | "udp" | "unix" | "packet" | "netlink", string>>;
}

/** Texts have a character for each byte. */
interface ProcProcess {
  readonly pid: number;
  readonly status: Readonly<Record<string, string>>;
  readonly cmdline: string;
  readonly environ: string;
  readonly limits: string;
  readonly oomScoreAdjust: number;
  readonly threads: readonly { readonly tid: number; readonly comm: string; readonly nice: number }[];
  readonly files: Readonly<Record<string, { readonly link: string; readonly pos: number; readonly flags: number }>>;
  readonly maps: readonly (readonly [range: string, access: string])[];
  readonly cwd: string;
  readonly exe: string;
  readonly mountNamespace: string;
  readonly mounts: readonly string[];
}

const SOURCES = join(import.meta.dirname, "dumps");

/** As documents have names. */
const shown = (bytes: string): string => nameText(Buffer.from(bytes, "latin1"));
const words = (text: string): string[] => text.split("\0").slice(0, -1).map(shown);

async function dumped(directory: string): Promise<Proc> {
  const onTheNode = `/var/tmp/dump-${process.pid}`;
  const [work, take] = ["work.py", "take.py"].map((name) => readFileSync(join(SOURCES, name)).toString("base64"));
  const put = `mkdir ${onTheNode} && echo ${work} | base64 -d >${onTheNode}/work.py && echo ${take} | base64 -d >${onTheNode}/take.py`;
  await onNode("node1", "sh", "-c", put);
  const packed = await onNode("node1", "python3", `${onTheNode}/take.py`);
  execFileSync("tar", ["-xzf", "-", "-C", directory], { input: Buffer.from(packed, "base64") });
  return JSON.parse(readFileSync(join(directory, "proc.json"), "utf8")) as Proc;
}

function byPid({ processes }: Inspection): Map<number, ProcessItem> {
  const all = (items: readonly ProcessItem[]): ProcessItem[] => items.flatMap((item) => [item, ...all(item.children)]);
  return new Map(all(processes).map((item) => [item.pid, item]));
}

clusterTest("ten processes with files, sockets, IPC, 64 threads, 5,000 mappings, namespaces: as /proc has them", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "dumps-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const proc = await dumped(directory);
  const { code, stdout, stderr } = await plugin(["inspect", directory, "--all", "-o", "json"]);
  assert.equal(code, 0, stderr);
  const inspection = JSON.parse(stdout) as Inspection;
  assert.deepEqual(inspection.problems, []);
  const items = byPid(inspection);
  assert.equal(proc.processes.length, 10);
  for (const one of proc.processes) {
    const item = items.get(one.pid);
    assert.ok(item !== undefined, `process ${one.pid}`);
    sameProcess(one, item);
    sameFiles(one, item);
    sameMappings(one, item);
    const mounts = (inspection.mounts ?? []).filter(({ namespace }) => namespace === item.namespaces?.["mnt"]);
    assert.deepEqual(mounts.map(({ path }) => path).sort(), [...one.mounts].sort(), `mounts of ${item.comm}`);
  }
  const zombie = [...items.values()].find(({ state }) => state === "zombie");
  assert.equal(zombie?.exitCode, 7);
  sameSockets(proc, [...items.values()]);
  sameIpc(proc, inspection);
});

function sameProcess({ pid, status, cmdline, environ, limits, ...one }: ProcProcess, item: ProcessItem): void {
  const numbers = (field: string): number[] => (status[field] ?? "").trim().split(/\s+/).filter(Boolean).map(Number);
  const main = item.threads.find(({ tid }) => tid === pid);
  const { uid, gid, groups, capabilities, noNewPrivileges } = main?.credentials ?? {};
  const bits = (field: string): number => BigInt(`0x${status[field]}`).toString(2).replaceAll("0", "").length;
  assert.deepEqual(
    {
      args: item.args,
      env: item.env?.map(({ name, value }) => (value === undefined ? name : `${name}=${value}`)),
      cwd: item.cwd,
      executable: item.executable,
      umask: item.umask,
      session: [item.pgid, item.sid],
      uid: [uid?.real, uid?.effective, uid?.saved, uid?.filesystem],
      gid: [gid?.real, gid?.effective, gid?.saved, gid?.filesystem],
      groups,
      capabilities: [capabilities?.effective.length, capabilities?.permitted.length, capabilities?.bounding.length],
      noNewPrivileges,
      blocked: item.signals.blocked.length,
      oomScoreAdjust: item.oomScoreAdjust,
      threads: item.threads.map(({ tid, comm, nice }) => ({ tid, comm, nice })).sort((a, b) => a.tid - b.tid),
      openFiles: item.limits["nofile"],
    },
    {
      args: words(cmdline),
      env: words(environ),
      cwd: one.cwd,
      executable: one.exe,
      umask: status["Umask"],
      session: [numbers("NSpgid").at(-1), numbers("NSsid").at(-1)],
      uid: numbers("Uid"),
      gid: numbers("Gid"),
      groups: numbers("Groups"),
      capabilities: [bits("CapEff"), bits("CapPrm"), bits("CapBnd")],
      noNewPrivileges: status["NoNewPrivs"] === "1",
      blocked: bits("SigBlk"),
      oomScoreAdjust: one.oomScoreAdjust,
      threads: one.threads.map(({ comm, ...thread }) => ({ ...thread, comm: shown(comm) })).sort((a, b) => a.tid - b.tid),
      openFiles: openFiles(limits),
    },
    `process ${pid} ${item.comm}`,
  );
}

function openFiles(limits: string): { soft: number; hard: number } {
  const [, soft, hard] = /^Max open files +(\d+) +(\d+)/m.exec(limits) ?? [];
  return { soft: Number(soft), hard: Number(hard) };
}

/** How /proc calls what has no path. */
const NAMES: Readonly<Record<string, string>> = { "anon_inode:[eventpoll]": "epoll", "anon_inode:[eventfd]": "eventfd" };
const [O_ACCMODE, O_APPEND, O_NONBLOCK, O_CLOEXEC, O_PATH] = [3, 0o2000, 0o4000, 0o2000000, 0o10000000];

function sameFiles({ files }: ProcProcess, item: ProcessItem): void {
  assert.deepEqual(item.files?.map(({ fd }) => String(fd)).sort(), Object.keys(files).sort());
  for (const { fd, name, mode, closeOnExec, deleted, position, type } of item.files ?? []) {
    const { link, pos, flags } = files[fd] ?? { link: "", pos: 0, flags: 0 };
    const what = `${item.comm} fd ${fd} ${link}`;
    const bare = link.replace(/^\/(memfd:.*) \(deleted\)$/, "$1").replace(/ \(deleted\)$/, "");
    if (type === "socket") assert.ok(name === "packet" || name.replace(/^\w+/, "socket") === link, `${what}: ${name}`);
    else assert.equal(name, NAMES[link] ?? shown(bare), what);
    const access = flags & O_PATH ? "path" : ["r", "w", "rw"][flags & O_ACCMODE];
    const more = [...(flags & O_APPEND ? ["append"] : []), ...(flags & O_NONBLOCK ? ["nonblock"] : [])];
    assert.equal(mode, [access, ...more].join(","), what);
    assert.deepEqual([closeOnExec, deleted], [(flags & O_CLOEXEC) !== 0, link.startsWith("/tmp/") && link.endsWith(" (deleted)")], what);
    if (position !== undefined) assert.equal(position, pos, what);
  }
}

/** CRIU makes one mapping of the two of the kernel's clocks. */
function sameMappings({ maps }: ProcProcess, item: ProcessItem): void {
  const key = (start: string, end: string, access: string): string => `${BigInt(start).toString(16)}-${BigInt(end).toString(16)} ${access}`;
  const told = item.memory?.regions?.map(({ start, end, access }) => key(start, end, access)) ?? [];
  const had = maps.map(([range, access]) => {
    const [start = "", end = ""] = range.split("-");
    return key(`0x${start}`, `0x${end}`, access);
  });
  const [more, less] = [told.filter((one) => !had.includes(one)), had.filter((one) => !told.includes(one))];
  assert.ok(more.length <= 1 && less.length === 2 * more.length, `${item.comm}: ${more.join(", ")} instead of ${less.join(", ")}`);
}

function sameSockets({ sockets }: Proc, items: readonly ProcessItem[]): void {
  const lines = (kind: keyof Proc["sockets"]): string[][] =>
    sockets[kind]
      .trim()
      .split("\n")
      .slice(1)
      .map((line) => line.trim().split(/\s+/));
  const all = items.flatMap((item) => item.sockets ?? []);
  const states = { "01": "ESTABLISHED", "0A": "LISTEN", "07": "UNCONNECTED" } as const;
  for (const kind of ["tcp", "tcp6", "udp"] as const) {
    for (const [, local = "", , state = "", queues = "", , , , , inode] of lines(kind)) {
      const socket = all.find((one) => one.inode === inode);
      assert.ok(socket !== undefined, `${kind} ${inode}`);
      const [send, receive] = queues.split(":").map((text) => Number.parseInt(text, 16));
      assert.equal(socket.state, states[state as keyof typeof states], `${kind} ${inode}`);
      assert.equal(Number(socket.local.split(":").at(-1)), Number.parseInt(local.split(":")[1] ?? "", 16));
      if (state === "01") assert.deepEqual([socket.sendQueue, socket.receiveQueue], [send, receive], `${kind} ${inode}`);
    }
  }
  for (const [, , , , , , inode, path] of lines("unix")) {
    const socket = all.find((one) => one.inode === inode);
    assert.ok(socket?.family === "unix", `unix ${inode}`);
    if (path !== undefined) assert.match(socket.local, path.startsWith("@") ? /^@dump abstract/ : /^\/tmp\/named\.sock$/);
  }
  assert.equal(all.filter(({ protocol }) => protocol === "packet").length, lines("packet").length);
}

function sameIpc({ ipc }: Proc, inspection: Inspection): void {
  const rows = (kind: keyof Proc["ipc"]): string[][] =>
    ipc[kind]
      .trim()
      .split("\n")
      .slice(1)
      .map((line) => line.trim().split(/\s+/));
  const key = (text: string | undefined): string => `0x${(Number(text) >>> 0).toString(16)}`;
  const mode = (text: string | undefined): string => `0${(Number.parseInt(text ?? "", 8) & 0o777).toString(8)}`;
  const { segments = [], semaphores = [], queues = [] } = inspection.ipc ?? {};
  assert.deepEqual(
    segments.map((one) => [one.key, one.id, one.mode, one.bytes, one.mappedBy.length]),
    rows("shm").map(([name, id, perms, size, , , attached]) => [key(name), Number(id), mode(perms), Number(size), Number(attached)]),
  );
  assert.deepEqual(
    semaphores.map((one) => [one.key, one.id, one.mode, one.values.length]),
    rows("sem").map(([name, id, perms, count]) => [key(name), Number(id), mode(perms), Number(count)]),
  );
  assert.deepEqual(
    queues.map((one) => [one.key, one.id, one.mode, one.messages.reduce((sum, { bytes }) => sum + bytes, 0), one.messages.length]),
    rows("msg").map(([name, id, perms, bytes, count]) => [key(name), Number(id), mode(perms), Number(bytes), Number(count)]),
  );
}
