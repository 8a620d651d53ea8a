// Dumps of test/data/threads/locks.c and locks.py: a process for each way to wait.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { openArchive } from "../../src/archive/open.ts";
import { verb as inspect } from "../../src/commands/inspect.ts";
import { oneEntry } from "../../src/criu/entries.ts";
import { CoreEntrySchema, SignalQueueEntrySchema, TaskTimersEntrySchema, type TaskCoreEntry } from "../../src/criu/gen/process_pb.ts";
import type { Inspection, ProcessItem, ThreadItem } from "../../src/model/inspection.ts";
import { tar } from "../archive/tars.ts";
import { image, MAGIC } from "../criu/synthetic.ts";
import { runVerb } from "./running.ts";

const DATA = join(import.meta.dirname, "../data");
const GLIBC = ["glibc-2.42", "glibc-2.36-static"];

async function inspection(file: string): Promise<Inspection> {
  const { document } = await runVerb(inspect, [resolve(DATA, file)], { threads: true, output: "json" });
  return JSON.parse(JSON.stringify(document)) as Inspection;
}

const everyProcess = (items: readonly ProcessItem[]): ProcessItem[] => items.flatMap((item) => [item, ...everyProcess(item.children)]);

/** Of the process by its name, without its main thread, in the order in which they were made. */
function threadsOf({ processes }: Inspection, comm: string): readonly ThreadItem[] {
  const process = everyProcess(processes).find((one) => one.comm === comm);
  assert.ok(process, comm);
  return process.threads.slice(1);
}

/** The names of the processes that are in each deadlock, and its text with letters in place of ids. */
function told({ processes, deadlocks = [] }: Inspection): string[] {
  const names = new Map(everyProcess(processes).map(({ pid, comm }) => [pid, comm]));
  return deadlocks
    .map(({ threads, text }) => {
      const letters = new Map<string, string>();
      const letter = (id: string): string =>
        letters.get(id) ?? (letters.set(id, String.fromCodePoint(65 + letters.size)), letters.get(id) ?? "");
      const comms = [...new Set(threads.map(({ pid }) => names.get(pid) ?? ""))];
      return `${comms.join("+")}: ${text.replaceAll(/\d+/g, letter)}`;
    })
    .sort();
}

const INHERITED =
  "fork-child: thread A waits for a lock that thread B of process C locked before a fork: no thread of process A can release it";
const SHARED =
  "shared-1+shared-2: thread A of process A waits for a lock that thread B of process B holds, which waits for one that thread A of process A holds";
const PIPES =
  "pipe-1+pipe-2: thread A of process A waits for data in pipe:[B], which only process C can write to; thread C of process C waits for data in pipe:[D], which only process A can write to";
const THREE =
  "recursive: thread A waits for a lock that thread B holds, which waits for one that thread C holds, which waits for one that thread A holds";

const ALL = [
  "cycle: thread A waits for a lock that thread B holds, which waits for one that thread A holds",
  INHERITED,
  "join: thread A waits for a lock that thread B holds, which waits for the end of thread A",
  PIPES,
  THREE,
  "rwlock: thread A waits for a lock that thread B holds, which waits for a read-write lock that thread A holds",
  "self: thread A waits for a lock that it holds itself",
  SHARED,
  "stream: thread A waits for a lock that thread B holds, which waits for a stream (FILE) that thread A has locked",
];

for (const name of GLIBC) {
  test(`${name}: each deadlock is named, and nothing else`, async () => {
    assert.deepEqual(told(await inspection(`threads/${name}.tar.zst`)), ALL);
  });

  test(`${name}: who has a lock is said where the lock tells, of those that are no deadlock too`, async () => {
    const found = await inspection(`threads/${name}.tar.zst`);
    const [holder, timed, cond, sem, barrier, , writer, sleeping, waiting, spinning] = threadsOf(found, "harmless");
    assert.equal(timed?.waitsFor?.kind, "mutex");
    assert.equal(timed.waitsFor.owner?.tid, holder?.tid);
    assert.equal(timed.call?.state, "interrupted");
    assert.equal(timed.call.until?.clock, "realtime");
    // A reader is only counted, and what has no owner gets none.
    for (const thread of [cond, sem, barrier, writer])
      assert.deepEqual([thread?.waitsFor?.kind, thread?.waitsFor?.owner], ["futex", undefined]);
    assert.equal(waiting?.waitsFor?.owner?.tid, sleeping?.tid);
    assert.ok(spinning?.registers?.["rip"]);
    assert.equal(spinning.call, undefined);
    const [first, second] = threadsOf(found, "priority");
    assert.equal(first?.waitsFor?.owner?.tid ?? second?.waitsFor?.owner?.tid, first?.waitsFor ? second?.tid : first?.tid);
  });

  test(`${name}: what calls wait for, and for how long`, async () => {
    const [poll, select, epoll, receive, read, absolute] = threadsOf(await inspection(`threads/${name}.tar.zst`), "calls");
    assert.deepEqual(
      poll?.call?.descriptors?.map(({ type, events }) => [type, events]),
      [
        ["pipe", ["in"]],
        ["socket", ["in", "pri"]],
      ],
    );
    assert.equal(poll.call.timeoutSeconds, 77777);
    assert.equal(poll.call.state, "interrupted");
    assert.deepEqual(select?.call?.descriptors?.[0]?.events, ["in"]);
    assert.ok(Math.abs((select.call.timeoutSeconds ?? 0) - 88888) < 5, String(select.call.timeoutSeconds));
    assert.equal(epoll?.call?.descriptors?.[0]?.watches?.[0]?.type, "socket");
    assert.equal(receive?.call?.descriptors?.[0]?.protocol, "unix");
    assert.equal(receive.call.descriptors[0].otherEnds?.length, 1);
    assert.deepEqual([read?.call?.name, read?.call?.state, read?.call?.descriptors?.[0]?.type], ["read", "waiting", "pipe"]);
    assert.deepEqual(absolute?.call?.until, { clock: "realtime", seconds: 4_000_000_000 });
  });
}

test("aarch64: the code of the program tells what each thread was doing, and what it waits for", async () => {
  const found = await inspection("threads/aarch64-glibc-2.36-static.tar.zst");
  assert.deepEqual(told(found), ALL);
  const [holder, timed, cond, , , , writer, sleeping, waiting, spinning] = threadsOf(found, "harmless");
  assert.deepEqual([timed?.waitsFor?.kind, timed?.waitsFor?.owner?.tid, timed?.call?.state], ["mutex", holder?.tid, "waiting"]);
  assert.equal(timed?.call?.until?.clock, "realtime");
  for (const thread of [cond, writer]) assert.deepEqual([thread?.waitsFor?.kind, thread?.waitsFor?.owner], ["futex", undefined]);
  assert.equal(waiting?.waitsFor?.owner?.tid, sleeping?.tid);
  assert.deepEqual([spinning?.call, spinning?.instruction?.symbol?.replace(/\+.*/, "")], [undefined, "spin"]);
  assert.ok(spinning?.registers?.["x30"]);
  const [poll, select, epoll, receive, read, absolute] = threadsOf(found, "calls");
  // Here poll is entered again, and only epoll returns EINTR.
  assert.deepEqual(
    [poll, select, epoll, receive, read, absolute].map((thread) => [thread?.call?.name, thread?.call?.state]),
    [
      ["ppoll", "waiting"],
      ["pselect6", "waiting"],
      ["epoll_pwait", "interrupted"],
      ["recvfrom", "waiting"],
      ["read", "waiting"],
      ["clock_nanosleep", "waiting"],
    ],
  );
  assert.deepEqual(
    poll?.call?.descriptors?.map(({ type, events }) => [type, events]),
    [
      ["pipe", ["in"]],
      ["socket", ["in", "pri"]],
    ],
  );
  assert.deepEqual(absolute?.call?.until, { clock: "realtime", seconds: 4_000_000_000 });
  assert.match(waiting?.instruction?.symbol ?? "", /^__lll_lock_wait\+0x/);
});

test("aarch64 without its code: a futex that is waited for is known by its value, of other calls only the last", async () => {
  const found = await inspection("threads/aarch64-glibc-2.43.tar.zst");
  assert.deepEqual(
    told(found),
    ALL.filter((text) => text !== PIPES),
  );
  const states = new Set(everyProcess(found.processes).flatMap(({ threads }) => threads.flatMap(({ call }) => call?.state ?? [])));
  assert.deepEqual([...states], ["last"]);
});

test("musl: its usual mutexes have no owner; those that check are named", async () => {
  const found = await inspection("threads/musl-1.2.tar.zst");
  assert.deepEqual(told(found), [PIPES, THREE, SHARED]);
  for (const comm of ["cycle", "self"]) assert.deepEqual(threadsOf(found, comm).at(-1)?.waitsFor?.anonymous, true, comm);
  const [first, second] = threadsOf(found, "stream");
  assert.equal(second?.waitsFor?.kind, "FILE");
  assert.equal(second.waitsFor.owner?.tid, first?.tid);
  const harmless = threadsOf(found, "harmless");
  assert.deepEqual(
    harmless.flatMap(({ waitsFor }) => waitsFor?.owner ?? []),
    [],
  );
});

for (const version of ["3.11", "3.14"]) {
  test(`Python ${version}: an RLock tells who has it, a Lock does not`, async () => {
    const found = await inspection(`threads/python-${version}.tar.zst`);
    assert.deepEqual(told(found), [
      `${everyProcess(found.processes)[0]?.comm}: thread A waits for a Python RLock that thread B holds, which waits for one that thread A holds`,
    ]);
    const kinds = everyProcess(found.processes)[0]
      ?.threads.slice(1)
      .map(({ waitsFor }) => [waitsFor?.kind, waitsFor?.anonymous ?? false]);
    assert.deepEqual(kinds, [
      ["Python lock", true],
      ["Python lock", true],
      ["Python RLock", false],
      ["Python RLock", false],
    ]);
    const { lines } = await runVerb(inspect, [join(DATA, `threads/python-${version}.tar.zst`)], { threads: true });
    assert.ok(lines.some((line) => line.includes("py-spy dump --core core.1")));
  });
}

test("poll, select and epoll: named where all that they wait for is known, and cannot come; with a lock of either kind of priority", async () => {
  const found = await inspection("threads/ends-glibc-2.36-static.tar.zst");
  const both = (name: string): string =>
    `${name}-1+${name}-2: thread A of process A waits for data in pipe:[B], which only process C can write to; thread C of process C waits for data in pipe:[D], which only process A can write to`;
  assert.deepEqual(told(found), [
    both("epoll"),
    "mixed: thread A waits for a lock that thread B holds, which waits for one that thread A holds",
    both("poll"),
    both("ppoll"),
    "select-1+select-2: thread A of process A waits for data in a unix connection, which only process B can write to; thread B of process B waits for data in a unix connection, which only process A can write to",
    "star-1+star-2: thread A of process A waits for data in pipe:[B], which only process C can write to, or data in pipe:[D], which only process E can write to; thread C of process C waits for data in pipe:[F], which only processes A, E can write to",
  ]);
});

/** The archive with another core image of a process. */
async function withCore(file: string, pid: number, change: (task: TaskCoreEntry) => void): Promise<Buffer> {
  await using archive = await openArchive(join(DATA, file));
  const members = [];
  for (const { name, type, size } of archive.members.values())
    if (type === "file") members.push({ name, data: await archive.open(name).read(0, size) });
  const core = (await oneEntry(archive, `core-${pid}.img`, CoreEntrySchema)) ?? assert.fail(`core-${pid}.img`);
  change(core.tc ?? assert.fail("no task"));
  const changed = Buffer.from(toBinary(CoreEntrySchema, core));
  return tar(...members.map((one) => (one.name === `checkpoint/core-${pid}.img` ? { ...one, data: image(MAGIC.core, [changed]) } : one)));
}

test("what a process that gets signals waits for is no deadlock, but of locks, which no signal releases", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "threads-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = "threads/glibc-2.42.tar.zst";
  const pidOf = (found: Inspection, comm: string): number =>
    everyProcess(found.processes).find((one) => one.comm === comm)?.pid ?? assert.fail(comm);
  const found = await inspection(file);
  const [pipe, cycle] = [pidOf(found, "pipe-2"), pidOf(found, "cycle")];
  const none = { isec: 0n, iusec: 0n, vsec: 0n, vusec: 0n };
  const alarm = (task: TaskCoreEntry): void => {
    task.timers = create(TaskTimersEntrySchema, { real: { ...none, vsec: 5n }, virt: none, prof: none });
  };
  const pending = (task: TaskCoreEntry): void => {
    const siginfo = Buffer.alloc(128);
    siginfo[0] = 14;
    task.signalsS = create(SignalQueueEntrySchema, { signals: [{ siginfo }] });
  };
  for (const [index, [pid, change, left]] of (
    [
      [pipe, alarm, ALL.filter((text) => text !== PIPES)],
      [pipe, pending, ALL.filter((text) => text !== PIPES)],
      [cycle, alarm, ALL],
    ] as const
  ).entries()) {
    const path = join(folder, `${index}.tar`);
    writeFileSync(path, await withCore(file, pid, change));
    assert.deepEqual(told(await inspection(path)), left, String(index));
  }
});

test("no deadlock is named in archives that have none", async () => {
  const archives = ["archives", "runtimes", "dumps", "faults"].flatMap((directory) =>
    readdirSync(join(DATA, directory))
      .filter((name) => /\.tar(\.gz|\.zst)?$/.test(name))
      .map((name) => `${directory}/${name}`),
  );
  assert.ok(archives.length >= 20);
  for (const archive of archives) assert.equal((await inspection(archive)).deadlocks, undefined, archive);
});

test("the page has what each thread was doing, and with --pid only what concerns it", async () => {
  const { lines } = await runVerb(inspect, [join(DATA, "archives/containerd-2.1.9-criu4.2.1.tar")], { threads: true });
  const page = lines.join("\n");
  assert.match(
    page,
    /\n {4}call {7}wait4\(any\): waiting; a restored thread enters it again\n {4}at {9}\/bin\/busybox\+0x\w+\n {4}registers {2}r15 /,
  );
  assert.match(page, /accept\(0\): waiting.*\n {15}fd 0 is tcp LISTEN \[::\]:8080\n/);
  assert.match(page, /clock_nanosleep\(\) for at most 99995\.\d+s: was waiting; it returns EINTR/);
  const { document } = await runVerb(inspect, [join(DATA, "threads/glibc-2.42.tar.zst")], { threads: true, pid: "22", output: "json" });
  assert.deepEqual((document as Inspection).deadlocks?.length, 1);
});
