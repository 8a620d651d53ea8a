import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { openArchive } from "../../src/archive/open.ts";
import type { Archive } from "../../src/archive/archive.ts";
import { CoreEntrySchema } from "../../src/criu/gen/process_pb.ts";
import { ThreadInfoAarch64Schema } from "../../src/criu/gen/registers_pb.ts";
import { interruptedThreads, tellsOfInterruptions } from "../../src/criu/interrupted.ts";
import { systemCallName } from "../../src/criu/syscalls.ts";
import { checkpoint, image, MAGIC, memoryArchive, message } from "./synthetic.ts";

const ARCHIVES = join(import.meta.dirname, "../data/archives");
const DUMPS = join(import.meta.dirname, "../data/dumps");

async function interruptedIn(file: string) {
  await using archive = await openArchive(file, { keep: tellsOfInterruptions });
  return await interruptedThreads(archive);
}

void test("threads whose call the checkpoint ended, with what the program itself then said of its calls", async () => {
  // interrupted.c printed "-1 4" (EINTR) of exactly these.
  assert.deepEqual(await interruptedIn(join(DUMPS, "interrupted.tar.zst")), {
    threads: [
      { tid: 11, comm: "t-nanosleep", call: "clock_nanosleep" },
      { tid: 12, comm: "t-poll", call: "poll" },
      { tid: 13, comm: "t-epoll", call: "epoll_wait" },
      { tid: 14, comm: "t-futex", call: "futex" },
      { tid: 6, comm: "t-nanosleep", call: "clock_nanosleep" },
      { tid: 8, comm: "t-nanosleep", call: "clock_nanosleep" },
      { tid: 9, comm: "t-poll", call: "poll" },
      { tid: 10, comm: "t-epoll", call: "epoll_wait" },
    ],
    unidentified: 0,
  });
});

void test("a shell that counts with sleep: the sleep", async () => {
  const { threads, unidentified } = await interruptedIn(join(ARCHIVES, "containerd-counter-after.tar.gz"));
  assert.deepEqual([threads.map(({ comm, call }) => [comm, call]), unidentified], [[["sleep", "clock_nanosleep"]], 0]);
});

/** Process 5 with threads 5 and 7; on the node they are 905 and 907. Registers as the kernel of aarch64 leaves them. */
function onArm(log: readonly string[]): Archive {
  const files = checkpoint({ processes: [{ pid: 5, threads: [5, 7] }] });
  const core = (call: bigint) => {
    const regs = Array.from({ length: 31 }, (_, index) => (index === 0 ? 2n ** 64n - 4n : index === 8 ? call : 0n));
    const tiAarch64 = message(ThreadInfoAarch64Schema, { gpregs: { regs } });
    return image(MAGIC.core, [message(CoreEntrySchema, { mtype: 3, tiAarch64, threadCore: { comm: "arm" } })]);
  };
  files["checkpoint/core-5.img"] = core(115n);
  files["checkpoint/core-7.img"] = core(73n);
  files["dump.log"] = Buffer.from(log.join("\n"));
  return memoryArchive(files);
}

const WARNING = "(00.1) Warn  (compel/arch/aarch64/src/lib/infect.c:106): Will restore 907 with interrupted system call";

void test("on aarch64 the log alone tells, which numbers threads as the node does", async () => {
  const log = [
    "(00.0) Dumping task (pid: 905 comm: arm)",
    "(00.1) sid=5 pgid=5 pid=5",
    "(00.1) Dumping core for thread (pid: 907)",
    WARNING,
  ];
  assert.deepEqual(await interruptedThreads(onArm(log)), { threads: [{ tid: 7, comm: "arm", call: "ppoll" }], unidentified: 0 });
  // A log of warnings only relates no numbers.
  assert.deepEqual(await interruptedThreads(onArm([WARNING])), { threads: [], unidentified: 1 });
  // The name of a file that a container opened.
  assert.deepEqual(await interruptedThreads(onArm([`(00.0) Dumping path for 0 fd via self 15 [/tmp/${WARNING}]`])), {
    threads: [],
    unidentified: 0,
  });
});

void test("numbers of system calls", () => {
  assert.deepEqual(
    [0, 59, 202, 232, 334, 435, 462].map((number) => systemCallName("x86-64", number)),
    ["read", "execve", "futex", "epoll_wait", "rseq", "clone3", "mseal"],
  );
  assert.deepEqual(
    [22, 63, 98, 221, 260, 435].map((number) => systemCallName("aarch64", number)),
    ["epoll_pwait", "read", "futex", "execve", "wait4", "clone3"],
  );
  assert.equal(systemCallName("aarch64", 250), undefined);
  assert.equal(systemCallName("s390x", 1), undefined);
});
