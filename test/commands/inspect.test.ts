import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { verb as inspect } from "../../src/commands/inspect.ts";
import { FdinfoEntrySchema } from "../../src/criu/gen/files_pb.ts";
import type { FileItem, Inspection, ProcessItem } from "../../src/model/inspection.ts";
import { tar } from "../archive/tars.ts";
import { checkpoint, image, MAGIC, message, type Files } from "../criu/synthetic.ts";
import { REGISTRY, requestOf, runVerb } from "./running.ts";

const ARCHIVES = "test/data/archives";
const ZOO = `${ARCHIVES}/containerd-zoo.tar.gz`;
const OLD = `${ARCHIVES}/podman-5.4.2-criu4.1.1-oldpagemap.tar.gz`;
const REDIS = `${ARCHIVES}/containerd-2.1.9-criu4.2.1-k8s-redis.tar`;
/** The same workload on all three engines. */
const ENGINES = {
  containerd: `${ARCHIVES}/containerd-2.1.9-criu4.2.1.tar`,
  "cri-o": `${ARCHIVES}/crio-1.34.11-criu4.2.1.tar`,
  podman: `${ARCHIVES}/podman-zstd.tar.zst`,
};

const request = (words: string[], flags: Record<string, string | boolean> = {}) => requestOf(inspect, words, flags);

async function document(archive: string, flags: Record<string, string | boolean> = { all: true }): Promise<Inspection> {
  const { document: found, errors } = await runVerb(inspect, [archive], { output: "json", ...flags });
  assert.deepEqual(errors, []);
  return JSON.parse(JSON.stringify(found)) as Inspection;
}

function everyProcess(processes: readonly ProcessItem[]): ProcessItem[] {
  return processes.flatMap((process) => [process, ...everyProcess(process.children)]);
}

function processOf({ processes }: Inspection, pid: number): ProcessItem {
  const process = everyProcess(processes).find((one) => one.pid === pid);
  assert.ok(process, `process ${pid}`);
  return process;
}

test("words and flags become a request", () => {
  assert.deepEqual(request(["a.tar"]), {
    file: "a.tar",
    previous: undefined,
    registry: REGISTRY,
    sections: new Set(["totals"]),
    pid: undefined,
  });
  assert.deepEqual(request(["-"], { sockets: true, pid: "7", previous: "b.tar" }), {
    file: "-",
    previous: "b.tar",
    registry: REGISTRY,
    sections: new Set(["totals", "sockets"]),
    pid: 7,
  });
  assert.deepEqual(request(["a.tar"], { output: "json", files: true }).sections, new Set(["totals", "files"]));
  const everything = ["totals", "ps", "threads", "env", "files", "sockets", "mounts", "memory", "ipc", "changes", "stats"];
  assert.deepEqual(request(["a.tar"], { all: true }).sections, new Set(everything));
  // The environment holds secrets: it is never there unasked.
  assert.deepEqual(
    request(["a.tar"], { output: "yaml" }).sections,
    new Set(everything.filter((name) => name !== "env" && name !== "threads")),
  );
  for (const [words, flags] of [
    [[], {}],
    [["a", "b"], {}],
    [["a"], { pid: "x" }],
    [["a"], { pid: "0" }],
  ] as const) {
    assert.throws(() => request([...words], flags), { reason: "Usage" });
  }
});

test("the process tree, as people see it", async () => {
  const { lines, exitCode } = await runVerb(inspect, [ENGINES.containerd]);
  assert.equal(exitCode, 0);
  assert.deepEqual(lines, [
    "counter in pod default/pod-b",
    "image localhost/bb:1, checkpointed 2026-11-24T02:15:08Z, by containerd with CRIU 4.2.1",
    "4 processes, 4 threads, 276 KiB of memory in the archive, frozen by CRIU for 218ms, x86-64, 4 KiB pages",
    "system calls that the checkpoint interrupted: clock_nanosleep of thread 10 (sleep), clock_nanosleep of thread 15 (sleep)",
    "",
    "PID|THREADS|MEMORY|COMMAND",
    "1|1|72.0 KiB|/bin/sh -c echo hi > /data/new; rm /etc/to-delete; httpd -p 8080 -h /data; sleep 100000 & i=0; while true; do i=$((i+1)); echo $i; sleep 1; done",
    "9|1|76.0 KiB|├─ httpd -p 8080 -h /data",
    "10|1|64.0 KiB|├─ sleep 100000",
    "15|1|64.0 KiB|└─ sleep 1",
  ]);
});

function valueOf({ env = [] }: ProcessItem, name: string): string | undefined {
  return env.find((variable) => variable.name === name)?.value;
}

for (const [engine, path] of Object.entries(ENGINES)) {
  test(`the known facts of the workload, from ${engine}`, async () => {
    const found = await document(path);
    assert.equal(found.engine, engine);
    assert.equal(found.criu.architecture, "x86-64");
    assert.equal(found.criu.pageSize, 4096);
    const shell = processOf(found, 1);
    assert.equal(valueOf(shell, "SECRET_TOKEN"), "s3cr3t-value-123");
    assert.equal(shell.executable, "/bin/busybox");
    const httpd = everyProcess(found.processes).find(({ args }) => args?.[0] === "httpd");
    assert.deepEqual(httpd?.args, ["httpd", "-p", "8080", "-h", "/data"]);
    assert.equal(httpd?.cwd, "/data");
    const [listener] = httpd?.sockets ?? [];
    assert.deepEqual([listener?.protocol, listener?.family, listener?.state, listener?.local], ["tcp", "inet6", "LISTEN", "[::]:8080"]);
    assert.equal(
      found.stats?.pagesWritten,
      everyProcess(found.processes).reduce((sum, { memory }) => sum + (memory?.archivedBytes ?? 0), 0) / 4096,
    );
    assert.ok(found.mounts?.some(({ path: mount, type }) => mount === "/proc" && type === "proc"));
    assert.ok(found.mounts?.every((mount) => [mount.id, mount.parent, mount.namespace].every((value) => typeof value === "string")));
  });
}

test("Podman's workload: the child's secret, the deleted file that it holds, awk's heap", async () => {
  const found = await document(OLD);
  const child = processOf(found, 3);
  assert.equal(valueOf(child, "CHILD_SECRET"), "child-s3cr3t-456");
  const ghost = child.files?.find(({ fd }) => fd === 3);
  assert.deepEqual([ghost?.name, ghost?.deleted, ghost?.position], ["/tmp/ghost", true, 12]);
  assert.deepEqual(found.deletedFiles, [
    {
      path: "/tmp/ghost",
      bytes: 12,
      mode: "0644",
      uid: 0,
      gid: 0,
      openedBy: [
        { pid: 3, fd: 3 },
        { pid: 7, fd: 3 },
      ],
      runBy: [],
      mappedBy: [],
      image: "checkpoint/ghost-file-1.img",
    },
  ]);
  const awk = processOf(found, 4);
  assert.equal(awk.comm, "awk");
  assert.ok((awk.memory?.archivedBytes ?? 0) > 7e6);
});

test("redis: a title for arguments, named threads, both listeners", async () => {
  const found = await document(REDIS);
  const redis = processOf(found, 1);
  assert.deepEqual(redis.args, ["redis-server *:6379"]);
  assert.deepEqual(redis.env, []);
  assert.deepEqual(
    redis.threads.map(({ comm }) => comm),
    ["redis-server", "bio_close_file", "bio_aof", "bio_lazy_free", "jemalloc_bg_thd", "jemalloc_bg_thd"],
  );
  assert.deepEqual(
    redis.sockets?.map(({ local, state }) => [local, state]),
    [
      ["0.0.0.0:6379", "LISTEN"],
      ["[::]:6379", "LISTEN"],
    ],
  );
});

test("files of every kind, each by what it is", async () => {
  const files = new Map((processOf(await document(ZOO), 1).files ?? []).map((file) => [file.fd, file]));
  const details = (fd: number, ...names: (keyof FileItem)[]): unknown[] => names.map((name) => files.get(fd)?.[name]);
  const all = (fd: number) => [1, 9, 10, 12].map((pid) => ({ pid, fd }));
  assert.deepEqual(details(3, "type", "name", "mode", "position", "size"), ["file", "/data/log.txt", "rw,append", 12, 12]);
  assert.deepEqual(details(4, "type", "name", "deleted"), ["file", "/tmp/ghost", true]);
  assert.deepEqual(details(5, "type", "name", "queuedBytes", "otherEnds"), ["fifo", "/data/fifo", 11, all(5)]);
  assert.deepEqual(details(6, "type", "mode", "queuedBytes", "otherEnds"), ["pipe", "r", 11, all(7)]);
  assert.deepEqual(details(7, "mode", "otherEnds"), ["w", all(6)]);
  assert.deepEqual(details(1, "type", "otherEnds"), ["pipe", []]);
  assert.deepEqual(details(20, "type", "counter"), ["eventfd", 7]);
  assert.deepEqual(details(21, "type", "clock", "everySeconds"), ["timerfd", "monotonic", 3600]);
  assert.deepEqual(details(22, "type", "signals"), ["signalfd", ["USR1", "TERM"]]);
  assert.deepEqual(details(23, "type", "watches"), ["inotify", [{ path: "/dev/shm", events: ["create", "delete"], wd: 1 }]]);
  assert.deepEqual(details(24, "type", "watches"), [
    "epoll",
    [
      { fd: 21, events: ["in"], type: "timerfd" },
      { fd: 23, events: ["in"], type: "inotify" },
      { fd: 22, events: ["in"], type: "signalfd" },
      { fd: 20, events: ["in"], type: "eventfd" },
    ],
  ]);
  assert.deepEqual(details(25, "type", "process", "closeOnExec"), ["pidfd", 1, true]);
  assert.deepEqual(details(27, "type", "name", "size", "position"), ["memfd", "memfd:zoo-unmapped", 24, 24]);
});

test("sockets of every family: addresses, states, bytes queued, who is at the other end", async () => {
  const sockets = (processOf(await document(ZOO), 1).sockets ?? []).map(
    ({ fd, protocol, kind, state, local, remote, receiveQueue, peers }) =>
      [fd, protocol, kind, state, local, remote.replace(/:4\d{4}$/, ":…"), receiveQueue, peers?.[0]?.fd]
        .join(" ")
        .replace(/:4\d{4} /, ":… "),
  );
  assert.deepEqual(sockets, [
    "8 tcp stream LISTEN 127.0.0.1:9000  0 ",
    "9 tcp stream ESTABLISHED 127.0.0.1:… 127.0.0.1:9000 0 10",
    "10 tcp stream ESTABLISHED 127.0.0.1:9000 127.0.0.1:… 13 9",
    "11 tcp stream LISTEN [::]:8080  0 ",
    "12 udp datagram UNCONNECTED [::ffff:127.0.0.1]:5300  0 ",
    "13 udp datagram ESTABLISHED 127.0.0.1:5353 127.0.0.1:53 0 ",
    "14 unix stream ESTABLISHED   0 15",
    "15 unix stream ESTABLISHED   14 14",
    "16 unix stream LISTEN /data/zoo.sock  0 ",
    "17 unix datagram UNCONNECTED @zoo-abstract  0 ",
    "18 netlink raw  route:1  0 ",
    "19 packet datagram  arp:*  0 ",
  ]);
});

test("threads, rights and the end of a zombie", async () => {
  const found = await document(ZOO);
  assert.deepEqual(
    processOf(found, 1).threads.map(({ comm }) => comm),
    ["zoo", "worker-1", "evil\\x1b[31mred"],
  );
  assert.deepEqual(processOf(found, 1).signals, { pending: ["USR1"], blocked: ["USR1"] });
  const [thread] = processOf(found, 9).threads;
  assert.deepEqual(thread?.credentials?.groups, [2000, 3000]);
  assert.deepEqual(thread?.credentials?.capabilities.effective, ["NET_BIND_SERVICE"]);
  assert.deepEqual(thread?.credentials?.capabilities.permitted, ["KILL", "NET_BIND_SERVICE"]);
  assert.equal(thread?.credentials?.noNewPrivileges, true);
  const zombie = processOf(found, 11);
  assert.deepEqual([zombie.state, zombie.exitCode, zombie.threads, zombie.args], ["zombie", 3, [], undefined]);
  assert.deepEqual(
    processOf(found, 10).children.map(({ comm }) => comm),
    ["grandchild"],
  );
});

test("memory by kind; addresses are strings, sizes numbers", async () => {
  const { memory } = processOf(await document(ZOO), 1);
  const kinds = Object.fromEntries(memory?.kinds.map(({ kind, regions, archivedBytes }) => [kind, [regions, archivedBytes]]) ?? []);
  assert.deepEqual(kinds, {
    file: [6, 28672],
    anonymous: [6, 28672],
    heap: [1, 24576],
    shared: [3, 12288],
    vdso: [3, 8192],
    stack: [1, 8192],
  });
  assert.deepEqual(
    memory?.regions?.filter(({ kind }) => kind === "shared").map(({ name, access, archivedBytes }) => [name, access, archivedBytes]),
    [
      ["[sysvipc]", "rw-s", 4096],
      ["memfd:zoo-memfd", "rw-s", 4096],
      ["memfd:/dev/zero", "rw-s", 4096],
    ],
  );
  assert.deepEqual(memory?.regions?.at(-1)?.start, "0xffffffffff600000");
});

test("one process alone, and one that is not there", async () => {
  const found = await document(ZOO, { pid: "12" });
  assert.deepEqual(
    found.processes.map(({ pid, comm }) => [pid, comm]),
    [[12, "grandchild"]],
  );
  assert.equal(found.processes[0]?.env, undefined);
  await assert.rejects(runVerb(inspect, [ZOO], { pid: "99" }), { reason: "NoSuchProcess", why: /its processes are 1, 9, 10, 12, 11/ });
});

test("sections for people: the environment when asked for, each process under its name", async () => {
  const { lines } = await runVerb(inspect, [ENGINES.podman], { env: true, pid: "4" });
  assert.ok(lines.includes("Process 4: httpd -p 8080 -h /data"));
  // Of one section alone, the title of the process is enough.
  assert.ok(!lines.includes("Environment of process 4:"));
  assert.ok(lines.includes("SECRET_TOKEN=s3cr3t-value-123"));
  const plain = await runVerb(inspect, [ENGINES.podman]);
  assert.ok(!plain.lines.join("\n").includes("s3cr3t"));
});

test("an archive that is cut short: what is there is shown, and that it is not all", async () => {
  const folder = mkdtempSync(join(tmpdir(), "inspect-"));
  try {
    const cut = (bytes: number): string => {
      const path = join(folder, `${bytes}.tar`);
      writeFileSync(path, readFileSync(`${ARCHIVES}/containerd-a.tar`).subarray(0, bytes));
      return path;
    };
    const some = await runVerb(inspect, [cut(300_000)]);
    assert.equal(some.exitCode, 3);
    assert.match(some.errors[0]?.message ?? "", /cut off in the middle/);
    assert.ok(some.lines.includes("17|1|60.0 KiB|├─ sleep 100000"));
    const few = await runVerb(inspect, [cut(100_000)]);
    assert.equal(few.exitCode, 3);
    assert.match(few.errors.map(({ message }) => message).join(), /pstree\.img is not in the archive: nothing tells who started whom/);
    await assert.rejects(runVerb(inspect, [cut(1024)]), { reason: "NotInArchive", message: /there is no process in the archive/ });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("processes whose images are missing or damaged do not hide the others", async () => {
  const folder = mkdtempSync(join(tmpdir(), "inspect-"));
  try {
    const { "checkpoint/core-2.img": _, ...files } = checkpoint({
      processes: [1, 2, 3].map((pid) => ({ pid, ppid: pid === 1 ? 0 : 1, comm: `p${pid}` })),
    });
    const path = join(folder, "a.tar");
    const damaged = { ...files, "checkpoint/mm-3.img": Buffer.from("not an image"), "config.dump": Buffer.from("{}") };
    writeFileSync(path, tar(...Object.entries(damaged).map(([name, data]) => ({ name, data }))));
    const { lines, errors, exitCode } = await runVerb(inspect, [path]);
    assert.equal(exitCode, 3);
    assert.deepEqual(lines.slice(-3), ["1|1|0 B|[p1]", "2|-|0 B|├─ [?]", "3|1|-|└─ [p3]"]);
    assert.deepEqual(
      errors.map(({ message }) => message),
      ["checkpoint/core-2.img is not in the archive", "checkpoint/mm-3.img: it does not begin as an image of CRIU does"],
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("what is missing of a living process is said, and makes the exit status 3", async () => {
  const folder = mkdtempSync(join(tmpdir(), "inspect-"));
  try {
    const whole: Files = {
      ...checkpoint({ processes: [{ pid: 1 }] }),
      "checkpoint/fdinfo-1.img": image(MAGIC.fdinfo, [message(FdinfoEntrySchema, { id: 1, fd: 3 })]),
      "config.dump": Buffer.from("{}"),
    };
    const inspected = async (changes: Readonly<Record<string, Buffer | undefined>>) => {
      const members = Object.entries({ ...whole, ...changes }).flatMap(([name, data]) => (data === undefined ? [] : { name, data }));
      const path = join(folder, "a.tar");
      writeFileSync(path, tar(...members));
      const { errors, exitCode } = await runVerb(inspect, [path], { all: true });
      return [exitCode, ...errors.map(({ message: text }) => text)];
    };
    assert.deepEqual(await inspected({}), [0]);
    for (const name of ["files", "fs-1", "ids-1", "fdinfo-1"]) {
      const found = await inspected({ [`checkpoint/${name}.img`]: undefined });
      assert.deepEqual(found, [3, `checkpoint/${name}.img is not in the archive`]);
    }
    assert.deepEqual(await inspected({ "checkpoint/files.img": image(MAGIC.files, []) }), [3, "checkpoint/files.img: it is empty"]);
    const unknown = image(MAGIC.fdinfo, [message(FdinfoEntrySchema, { id: 99, fd: 3 })]);
    assert.deepEqual(await inspected({ "checkpoint/fdinfo-1.img": unknown }), [
      3,
      "1 of the files that process 1 had open are not in checkpoint/files.img",
    ]);
    await assert.rejects(inspected({ "checkpoint/pstree.img": image(MAGIC.pstree, []) }), {
      reason: "ImageDamaged",
      message: "checkpoint/pstree.img: it is empty",
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
