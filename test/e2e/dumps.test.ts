// Processes of every kind are dumped by runc on a node: what inspect tells of them is what /proc had just before.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { nameText } from "../../src/model/name.ts";
import type { Inspection, ProcessItem, SeccompFilterItem } from "../../src/model/inspection.ts";
import { clusterTest, onNode, plugin, shareCluster } from "./harness.ts";

shareCluster();

/** Of these every run makes a dump; of the others only the long one. */
const KINDS = ["files", "sockets", "ipc", "threads", "mappings", "rights", "spaces", "zombie"];
const MORE_KINDS = (
  "timers locks flight filters family options families watches memfds deleted paths pipes growing " +
  "scheduled limited pending shared segments deep sessions words terminals zombies"
).split(" ");
const FULL = process.env["FULL"] !== undefined;

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
  readonly cgroup: string;
  readonly uidMap: readonly string[];
  /** What the process itself knows: parts of documents. */
  readonly said: Said | null;
  readonly oomScoreAdjust: number;
  readonly threads: readonly { readonly tid: number; readonly comm: string; readonly nice: number }[];
  readonly files: Readonly<Record<string, { readonly link: string; readonly pos: number; readonly flags: number }>>;
  readonly maps: readonly (readonly [range: string, access: string])[];
  readonly cwd: string;
  readonly exe: string;
  readonly mountNamespace: string;
  readonly mounts: readonly string[];
}

interface Said {
  readonly process?: object;
  /** By descriptor. */
  readonly files?: Readonly<Record<string, object>>;
  readonly sockets?: Readonly<Record<string, object>>;
  readonly locks?: readonly object[];
  readonly regions?: readonly { readonly start: string }[];
  readonly deletedFiles?: readonly { readonly path: string }[];
  /** Calls by what its filters answer, the last filter first. */
  readonly filters?: Readonly<Record<string, readonly string[]>>;
}

const SOURCES = join(import.meta.dirname, "dumps");

/** As documents have names. */
const shown = (bytes: string): string => nameText(Buffer.from(bytes, "latin1"));
const words = (text: string): string[] => text.split("\0").slice(0, -1).map(shown);

async function dumped(directory: string, words: readonly string[]): Promise<Proc> {
  const onTheNode = `/var/tmp/dump-${process.pid}`;
  const [work, take] = ["work.py", "take.py"].map((name) => readFileSync(join(SOURCES, name)).toString("base64"));
  const put = `mkdir ${onTheNode} && echo ${work} | base64 -d >${onTheNode}/work.py && echo ${take} | base64 -d >${onTheNode}/take.py`;
  await onNode("node1", "sh", "-c", put);
  const packed = await onNode("node1", "python3", `${onTheNode}/take.py`, ...words);
  execFileSync("tar", ["-xzf", "-", "-C", directory], { input: Buffer.from(packed, "base64") });
  return JSON.parse(readFileSync(join(directory, "proc.json"), "utf8")) as Proc;
}

function byPid({ processes }: Inspection): Map<number, ProcessItem> {
  const all = (items: readonly ProcessItem[]): ProcessItem[] => items.flatMap((item) => [item, ...all(item.children)]);
  return new Map(all(processes).map((item) => [item.pid, item]));
}

async function compared(
  t: TestContext,
  words: readonly string[],
): Promise<{ proc: Proc; inspection: Inspection; items: Map<number, ProcessItem> }> {
  const directory = mkdtempSync(join(tmpdir(), "dumps-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const proc = await dumped(directory, words);
  const { code, stdout, stderr } = await plugin(["inspect", directory, "--all", "-o", "json"]);
  assert.equal(code, 0, stderr);
  const inspection = JSON.parse(stdout) as Inspection;
  assert.deepEqual(inspection.problems, []);
  const items = byPid(inspection);
  for (const one of proc.processes) {
    const item = items.get(one.pid);
    assert.ok(item !== undefined, `process ${one.pid}`);
    sameProcess(one, item);
    sameFiles(one, item);
    sameMappings(one, item);
    const mounts = (inspection.mounts ?? []).filter(({ namespace }) => namespace === item.namespaces?.["mnt"]);
    assert.deepEqual(mounts.map(({ path }) => path).sort(), [...one.mounts].sort(), `mounts of ${item.comm}`);
    if (one.said !== null) asSaid(one.said, item, inspection);
  }
  sameSockets(proc, [...items.values()]);
  sameIpc(proc, inspection);
  return { proc, inspection, items };
}

clusterTest("ten processes with files, sockets, IPC, 64 threads, 5,000 mappings, namespaces: as /proc has them", async (t) => {
  const { proc, items } = await compared(t, KINDS);
  assert.equal(proc.processes.length, 10);
  const zombie = [...items.values()].find(({ state }) => state === "zombie");
  assert.equal(zombie?.exitCode, 7);
});

for (const kind of FULL ? MORE_KINDS : []) {
  clusterTest(`a program that does ${kind}: as /proc and the program have it`, async (t) => {
    const { items } = await compared(t, [kind]);
    const zombie = [...items.values()].find(({ state }) => state === "zombie");
    assert.equal(zombie?.exitSignal, kind === "zombies" ? "KILL" : undefined);
  });
}

if (FULL) {
  clusterTest("a container with a user namespace: users are those in it, and on the node", async (t) => {
    const { inspection, items } = await compared(t, ["--user-namespace", "files", "threads", "family", "memfds"]);
    const space = inspection.namespaces?.find(({ type }) => type === "user");
    assert.deepEqual(space?.uidMap, [{ inside: 0, outside: 100_000, count: 65_536 }]);
    assert.equal(items.get(1)?.threads[0]?.credentials?.uid.outside, 100_000);
  });
}

/** Whether all of `part` is in it: of an object its fields, of a list each in its place. */
function asPart(part: unknown, whole: unknown, where: string): void {
  if (Array.isArray(part)) {
    assert.ok(Array.isArray(whole) && whole.length === part.length, `${where}: ${JSON.stringify(whole)}, not ${JSON.stringify(part)}`);
    for (const [index, one] of part.entries()) asPart(one, (whole as unknown[])[index], `${where}[${index}]`);
  } else if (typeof part === "object" && part !== null) {
    for (const [name, value] of Object.entries(part))
      asPart(value, (whole as Record<string, unknown> | undefined)?.[name], `${where}.${name}`);
  } else assert.equal(whole, part, where);
}

function asSaid(said: Said, item: ProcessItem, inspection: Inspection): void {
  const { comm, pid } = item;
  asPart(said.process ?? {}, item, comm);
  for (const [fd, file] of Object.entries(said.files ?? {}))
    asPart(
      file,
      item.files?.find((one) => String(one.fd) === fd),
      `${comm} fd ${fd}`,
    );
  for (const [fd, socket] of Object.entries(said.sockets ?? {}))
    asPart(
      socket,
      item.sockets?.find((one) => String(one.fd) === fd),
      `${comm} socket ${fd}`,
    );
  const inOrder = (locks: readonly object[]): object[] => locks.toSorted((a, b) => order(a).localeCompare(order(b)));
  const order = (lock: object): string => ["kind", "start"].map((name) => String((lock as Record<string, unknown>)[name])).join();
  if (said.locks !== undefined)
    asPart(inOrder(said.locks), inOrder((inspection.locks ?? []).filter((one) => one.pid === pid)), `locks of ${comm}`);
  for (const region of said.regions ?? [])
    asPart(
      region,
      item.memory?.regions?.find(({ start }) => start === region.start),
      `${comm} ${region.start}`,
    );
  for (const file of said.deletedFiles ?? [])
    asPart(
      file,
      inspection.deletedFiles?.find(({ path }) => path === file.path),
      `${comm} ${file.path}`,
    );
  for (const [answer, calls] of Object.entries(said.filters ?? {})) {
    const installed = filtersOf(item, inspection);
    asPart(
      calls,
      installed.map((filter) => filter.calls?.[answer]),
      `${comm} ${answer}`,
    );
  }
}

/** As they were installed. */
function filtersOf({ threads }: ProcessItem, { seccompFilters = [] }: Inspection): SeccompFilterItem[] {
  const filters: SeccompFilterItem[] = [];
  const find = (id: number | undefined): SeccompFilterItem | undefined => seccompFilters.find((one) => one.id === id);
  for (let filter = find(threads[0]?.seccompFilter); filter !== undefined; filter = find(filter.next)) filters.push(filter);
  return filters;
}

function sameProcess({ pid, status, cmdline, environ, limits, uidMap, ...one }: ProcProcess, item: ProcessItem): void {
  const numbers = (field: string): number[] => (status[field] ?? "").trim().split(/\s+/).filter(Boolean).map(Number);
  const main = item.threads.find(({ tid }) => tid === pid);
  const { uid, gid, groups, capabilities, noNewPrivileges } = main?.credentials ?? {};
  // Lines of three numbers: the first inside, the first outside, how many.
  const [first = 0, outside = 0] = uidMap.map(Number);
  const inside = (id: number): number => id - outside + first;
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
      limits: item.limits,
      seccomp: [main?.seccomp, main?.seccompFilters ?? 0],
      pending: item.signals.pending.length,
      state: item.state,
      cgroup: item.cgroups?.find(({ controllers }) => controllers === "")?.path,
    },
    {
      args: words(cmdline),
      env: words(environ),
      cwd: one.cwd,
      executable: one.exe,
      umask: status["Umask"],
      session: [numbers("NSpgid").at(-1), numbers("NSsid").at(-1)],
      uid: numbers("Uid").map(inside),
      gid: numbers("Gid").map(inside),
      groups: numbers("Groups").map(inside),
      capabilities: [bits("CapEff"), bits("CapPrm"), bits("CapBnd")],
      noNewPrivileges: status["NoNewPrivs"] === "1",
      blocked: bits("SigBlk"),
      oomScoreAdjust: one.oomScoreAdjust,
      threads: one.threads.map(({ comm, ...thread }) => ({ ...thread, comm: shown(comm) })).sort((a, b) => a.tid - b.tid),
      limits: limitsIn(limits),
      seccomp: [SECCOMP[Number(status["Seccomp"])], Number(status["Seccomp_filters"])],
      pending: bits("SigPnd") + bits("ShdPnd"),
      state: (status["State"] ?? "").startsWith("T") ? "stopped" : "alive",
      cgroup: one.cgroup.trim().split(":").at(-1),
    },
    `process ${pid} ${item.comm}`,
  );
}

const SECCOMP = ["disabled", "strict", "filter"];

/** Names of /proc/PID/limits, as prlimit has them. */
const LIMITS: Readonly<Record<string, string>> = {
  "cpu time": "cpu",
  "file size": "fsize",
  "data size": "data",
  "stack size": "stack",
  "core file size": "core",
  "resident set": "rss",
  processes: "nproc",
  "open files": "nofile",
  "locked memory": "memlock",
  "address space": "as",
  "file locks": "locks",
  "pending signals": "sigpending",
  "msgqueue size": "msgqueue",
  "nice priority": "nice",
  "realtime priority": "rtprio",
  "realtime timeout": "rttime",
};

function limitsIn(text: string): ProcessItem["limits"] {
  const value = (word = ""): number | string => (word === "unlimited" ? word : Number(word));
  const rows = [...text.matchAll(/^Max ([a-z ]+?) +(\d+|unlimited) +(\d+|unlimited)/gm)];
  return Object.fromEntries(rows.map(([, name = "", soft, hard]) => [LIMITS[name] ?? name, { soft: value(soft), hard: value(hard) }]));
}

/** How /proc calls what has no path. */
const NAMES: Readonly<Record<string, string>> = {
  "anon_inode:[eventpoll]": "epoll",
  "anon_inode:[eventfd]": "eventfd",
  "anon_inode:[timerfd]": "timerfd",
  "anon_inode:[signalfd]": "signalfd",
  "anon_inode:inotify": "inotify",
};
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
  const states: Readonly<Record<string, string>> = {
    "01": "ESTABLISHED",
    "05": "FIN_WAIT2",
    "07": "UNCONNECTED",
    "08": "CLOSE_WAIT",
    "0A": "LISTEN",
  };
  for (const kind of ["tcp", "tcp6", "udp"] as const) {
    for (const [, local = "", , state = "", queues = "", , , , , inode] of lines(kind)) {
      const socket = all.find((one) => one.inode === inode);
      assert.ok(socket !== undefined, `${kind} ${inode}`);
      const [send, receive] = queues.split(":").map((text) => Number.parseInt(text, 16));
      assert.equal(socket.state, states[state], `${kind} ${inode}`);
      assert.equal(Number(socket.local.split(":").at(-1)), Number.parseInt(local.split(":")[1] ?? "", 16));
      if (state === "01") assert.deepEqual([socket.sendQueue, socket.receiveQueue], [send, receive], `${kind} ${inode}`);
    }
  }
  for (const [, , , , , , inode, path] of lines("unix")) {
    const socket = all.find((one) => one.inode === inode);
    assert.ok(socket?.family === "unix", `unix ${inode}`);
    if (path !== undefined) assert.ok(path.startsWith("@") ? socket.local.startsWith("@dump abstract") : socket.local === path, path);
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
