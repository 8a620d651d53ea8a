// Archives that are made to be read wrong: registers that point anywhere, locks that are none, and many of everything.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { verb as extract } from "../../src/commands/extract.ts";
import { verb as inspect } from "../../src/commands/inspect.ts";
import type { Inspection, ThreadItem } from "../../src/model/inspection.ts";
import { tar } from "../archive/tars.ts";
import { PstreeEntrySchema } from "../../src/criu/gen/process_pb.ts";
import { AARCH64, checkpoint, image, MAGIC, message, type CheckpointSpec, type Files } from "../criu/synthetic.ts";
import { runVerb } from "./running.ts";

const folder = mkdtempSync(join(tmpdir(), "threads-"));
after(() => rmSync(folder, { recursive: true }));
let made = 0;

function archiveOf(spec: CheckpointSpec, change: (files: Files) => Files = (files) => files): string {
  const path = join(folder, `${(made += 1)}.tar`);
  const files = Object.entries(change(checkpoint(spec))).map(([name, data]) => ({ name, data }));
  writeFileSync(path, tar({ name: "config.dump", data: "{}" }, ...files));
  return path;
}

async function threadsOf(archive: string): Promise<{ threads: readonly ThreadItem[]; inspection: Inspection }> {
  const { document } = await runVerb(inspect, [archive], { threads: true, output: "json" });
  const inspection = document as Inspection;
  return { inspection, threads: inspection.processes[0]?.threads ?? [] };
}

const AT = 0x7f0000000000n;
const FUTEX = 202n;
const TOP = 2n ** 64n - 1n;

/** One page of memory with words at offsets. */
function page(words: Readonly<Record<number, number | bigint>>): Buffer {
  const bytes = Buffer.alloc(4096);
  for (const [offset, word] of Object.entries(words)) {
    if (typeof word === "bigint") bytes.writeBigUInt64LE(word, Number(offset));
    else bytes.writeUInt32LE(word, Number(offset));
  }
  return bytes;
}

/** Threads that wait on a futex each, as the kernel and CRIU leave their registers. */
function waiting(
  bytes: Buffer,
  futexes: Readonly<Record<number, readonly [address: bigint, operation: bigint, value: bigint]>>,
): CheckpointSpec {
  const threads = Object.keys(futexes).map(Number);
  return {
    processes: [
      {
        pid: threads[0] ?? 1,
        threads,
        mappings: [{ start: AT, pages: 1 }],
        runs: [{ vaddr: AT, pages: 1, flags: 4 }],
        bytes,
        registers: (tid) => {
          const [di = 0n, si = 0n, dx = 0n] = futexes[tid] ?? [];
          return { gpregs: { di, si, dx, ax: FUTEX, origAx: FUTEX, cx: 0x1002n, ip: 0x1000n, fsBase: BigInt(tid) << 32n, mode: 1 } };
        },
      },
    ],
  };
}

const MUTEX = { lock: 0, count: 4, owner: 8, users: 12, kind: 16 } as const;
const PRIVATE = 128n;

test("a mutex is believed only where every field is as it has to be", async () => {
  const sound = { [MUTEX.lock]: 2, [MUTEX.owner]: 2, [MUTEX.users]: 1 };
  const owner = async (words: Readonly<Record<number, number | bigint>>, operation = PRIVATE, value = 2n, offset = 0n) => {
    const { threads, inspection } = await threadsOf(
      archiveOf(waiting(page(words), { 1: [AT + offset, operation, value], 2: [AT + 0x800n, PRIVATE, 0n] })),
    );
    assert.equal(inspection.deadlocks, undefined);
    return threads[0]?.waitsFor?.owner?.tid;
  };
  assert.equal(await owner(sound), 2);
  for (const [what, change] of Object.entries({
    "no user": { [MUTEX.users]: 0 },
    "a count without recursion": { [MUTEX.count]: 1 },
    "an unknown kind": { [MUTEX.kind]: 0x4000 },
    "an owner that no thread can be": { [MUTEX.owner]: 0x7f000000 },
    "not contended any more": { [MUTEX.lock]: 1 },
    "in a list, and not robust": { 24: AT },
    "a pointer in the place of owner and users": { [MUTEX.owner]: 0x10, [MUTEX.users]: 0x7f00 },
  })) {
    assert.equal(await owner({ ...sound, ...change }), undefined, what);
  }
  assert.equal(await owner(sound, 0n), undefined, "shared, and its kind says private");
  assert.equal(await owner(sound, PRIVATE, 3n), undefined, "another value than it waits for");
  // A rwlock of musl with one reader, and a FILE of Rust's making.
  assert.equal(await owner({ 4: 0x80000001, 8: 1 }, PRIVATE, 0x80000001n, 4n), undefined, "musl's rwlock");
  assert.equal(await owner({ 0: 0x40000002 }, PRIVATE | 9n, 0x40000002n), undefined, "Rust's rwlock");
});

test("registers that point anywhere are shown, and nothing is read there", async () => {
  for (const address of [0n, 1n, TOP, TOP - 3n, AT + 4094n, AT + 4096n, 1n << 63n]) {
    for (const number of [FUTEX, 7n, 23n, 271n, 230n, 219n, 281n, 99999n]) {
      const spec = waiting(page({}), { 1: [address, address, address] });
      const registers = () => ({
        gpregs: { di: address, si: address, dx: address, r10: address, r8: address, ax: number, origAx: number, cx: 2n, ip: 0n, mode: 1 },
      });
      const { threads, inspection } = await threadsOf(
        archiveOf({ processes: spec.processes.map((process) => ({ ...process, registers })) }),
      );
      assert.deepEqual(inspection.problems, []);
      assert.equal(threads[0]?.call?.arguments[0], `0x${address.toString(16)}`);
      assert.equal(threads[0].waitsFor?.owner, undefined);
    }
  }
});

test("two that wait for each other by damaged locks: one with a timeout is no deadlock, memory that is not there is none", async () => {
  const both = page({ 0: 2, 8: 2, 12: 1, 0x100: 2, 0x108: 1, 0x10c: 1 });
  const ring = waiting(both, { 1: [AT, PRIVATE, 2n], 2: [AT + 0x100n, PRIVATE, 2n] });
  assert.equal((await threadsOf(archiveOf(ring))).inspection.deadlocks?.length, 1);
  const lost = archiveOf(ring, (files) => Object.fromEntries(Object.entries(files).filter(([name]) => !name.includes("/core-2"))));
  assert.equal((await threadsOf(lost)).inspection.deadlocks, undefined);
  const parent = { processes: ring.processes.map((process) => ({ ...process, runs: [{ vaddr: AT, pages: 1, flags: 1 }] })) };
  assert.equal((await threadsOf(archiveOf(parent))).inspection.deadlocks, undefined);
});

test("aarch64: a futex call that cannot be over waits for its lock; of others only the last call is known", async () => {
  const regs = (di: bigint, si: bigint, dx: bigint, call: bigint): bigint[] =>
    Array.from({ length: 31 }, (_, index) => [di, si, dx][index] ?? (index === 8 ? call : 0n));
  const spec = (result: boolean): CheckpointSpec => ({
    machine: AARCH64,
    processes: [
      {
        pid: 1,
        threads: [1, 2],
        mappings: [{ start: AT, pages: 1 }],
        runs: [{ vaddr: AT, pages: 1, flags: 4 }],
        bytes: page({ 0: 2, 8: 2, 12: 1, 0x100: 2, 0x108: 1, 0x10c: 1 }),
        registers: (tid) => ({
          tls: BigInt(tid) << 32n,
          gpregs: { regs: regs(result && tid === 1 ? 0n : AT + (tid === 1 ? 0n : 0x100n), PRIVATE, 2n, 98n), sp: AT, pc: 0x1000n },
        }),
      },
    ],
  });
  const { threads, inspection } = await threadsOf(archiveOf(spec(false)));
  assert.deepEqual(
    threads.map(({ call, waitsFor }) => [call?.name, call?.state, waitsFor?.owner?.tid]),
    [
      ["futex", "last", 2],
      ["futex", "last", 1],
    ],
  );
  assert.match(
    inspection.deadlocks?.[0]?.text ?? "",
    /^thread 1 waits for a lock that thread 2 holds, which waits for one that thread 1 holds$/,
  );
  assert.equal((await threadsOf(archiveOf(spec(true)))).inspection.deadlocks, undefined);
});

test("a damaged process tree: of tasks that it lacks nothing is known, and no thread is of two processes", async () => {
  const both = page({ 0: 2, 8: 2, 12: 1, 0x100: 2, 0x108: 1, 0x10c: 1 });
  const ring = waiting(both, { 1: [AT, PRIVATE, 2n], 2: [AT + 0x100n, PRIVATE, 2n] });
  const tree = (...all: readonly { pid: number; threads: number[] }[]) =>
    archiveOf(ring, (files) => ({
      ...files,
      "checkpoint/pstree.img": image(
        MAGIC.pstree,
        all.map((one) => message(PstreeEntrySchema, one)),
      ),
    }));
  const { inspection } = await threadsOf(tree({ pid: 1, threads: [1] }));
  assert.equal(inspection.deadlocks, undefined);
  await assert.rejects(threadsOf(tree({ pid: 1, threads: [1, 2] }, { pid: 2, threads: [2, 1] })), {
    reason: "ImageDamaged",
    message: "checkpoint/pstree.img: two processes have the thread 2",
  });
});

test("threads without registers are left out of a core, which is said", async () => {
  const spec = waiting(page({}), { 1: [AT, PRIVATE, 2n], 2: [AT, PRIVATE, 2n], 3: [AT, PRIVATE, 2n] });
  const without = checkpoint({ processes: [{ pid: 3 }] })["checkpoint/core-3.img"] ?? Buffer.alloc(0);
  const archive = archiveOf(spec, (files) => ({ ...files, "checkpoint/core-3.img": without }));
  const { errors, exitCode } = await runVerb(extract, [archive], { core: true, pid: "1", to: join(folder, "two-threads") });
  assert.equal(exitCode, 3);
  assert.deepEqual(
    errors.map(({ message: text }) => text),
    ["1 of the 3 threads of process 1 are not in its core"],
  );
});

test("many threads and mappings end in an error before they fill memory", async () => {
  const threads = Array.from({ length: 30_000 }, (_, index) => index + 1);
  const archive = archiveOf({ processes: [{ pid: 1, threads, registers: () => ({ gpregs: { mode: 1 } }) }] });
  const before = process.memoryUsage().rss;
  await runVerb(inspect, [archive], { threads: true }).then(
    ({ errors }) =>
      assert.ok(
        errors.every(({ reason }) => reason === "TooLarge" || reason === "TooSlow" || reason === "NotInArchive"),
        String(errors[0]?.message),
      ),
    (error: { reason?: string }) => assert.match(error.reason ?? "", /^Too(Large|Slow)$/),
  );
  assert.ok(process.memoryUsage().rss - before < 400e6);
});

test("what a core is told to be does not get into gdb's commands", async () => {
  const registers = () => ({ gpregs: { ip: 1n, mode: 1 } });
  const archive = archiveOf({
    processes: [
      {
        pid: 1,
        comm: "x\nshell id\n",
        mappings: [{ start: AT, pages: 1 }],
        runs: [{ vaddr: AT, pages: 1, flags: 4 }],
        bytes: Buffer.alloc(4096),
        registers,
      },
    ],
  });
  const path = join(folder, "core");
  await runVerb(extract, [archive], { core: true, pid: "1", to: path });
  const { readFileSync } = await import("node:fs");
  assert.deepEqual(
    readFileSync(`${path}.gdb`, "utf8")
      .split("\n")
      .filter((line) => /^\s*shell/.test(line)),
    [],
  );
});
