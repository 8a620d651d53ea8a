// What an inspection once left out, or had otherwise: images made for it. Real programs are compared in e2e/dumps.test.ts.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import { verb as inspect } from "../../src/commands/inspect.ts";
import { verb as verify } from "../../src/commands/verify.ts";
import { FdinfoEntrySchema, FileEntrySchema, MemfdInodeEntrySchema } from "../../src/criu/gen/files_pb.ts";
import { CgroupEntrySchema } from "../../src/criu/gen/cgroup_pb.ts";
import { TaskKobjIdsEntrySchema } from "../../src/criu/gen/namespaces_pb.ts";
import { CoreEntrySchema } from "../../src/criu/gen/process_pb.ts";
import type { Inspection } from "../../src/model/inspection.ts";
import { checkpoint, image, MAGIC, message, pagemapImage, STATUS, type Files } from "../criu/synthetic.ts";
import { runVerb } from "./running.ts";

const CGROUP = 0x59383330;
const O_PATH = 0o10000000;
const BASE = 0x10000000n;

/** Of images alone they lie at the top. */
function directory(t: TestContext, files: Files): string {
  const isWhole = "config.dump" in files;
  const folder = mkdtempSync(join(tmpdir(), "shown-"));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [member, bytes] of Object.entries(files)) {
    const name = isWhole ? member : member.replace("checkpoint/", "");
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
  return folder;
}

async function inspected(t: TestContext, files: Files): Promise<Inspection> {
  const { document } = await runVerb(inspect, [directory(t, files)], { all: true, output: "json" });
  return document as Inspection;
}

async function verified(t: TestContext, files: Files): Promise<{ problems: string[]; checks: { check: string; message: string }[] }> {
  const { document } = await runVerb(verify, [directory(t, files)], { output: "json" });
  const [item, ...others] = (document as { items: { problems: string[]; checks: { check: string; message: string }[] }[] }).items;
  assert.ok(item !== undefined && others.length === 0);
  return item;
}

test("O_PATH, seals, SO_MARK; the signal at a parent's end, subreapers, interval timers, control groups, namespaces", async (t) => {
  const core = message(CoreEntrySchema, {
    mtype: 1,
    tc: {
      taskState: 1,
      comm: "main",
      childSubreaper: true,
      cgSet: 1,
      timers: { real: { isec: 3n, vsec: 9n, vusec: 500_000n }, virt: {}, prof: {} },
    },
    threadCore: { pdeathSig: 9, comm: "main" },
  });
  const files = [
    message(FileEntrySchema, { type: 1, id: 1, reg: { id: 1, name: "/" } }),
    message(FileEntrySchema, { type: 1, id: 2, reg: { id: 2, name: "/etc/shadow", flags: O_PATH } }),
    message(FileEntrySchema, { type: 15, id: 3, memfd: { id: 3, inodeId: 7 } }),
    message(FileEntrySchema, {
      type: 2,
      id: 4,
      isk: { id: 4, ino: 5, family: 2, type: 2, proto: 17, state: 7, srcPort: 53, srcAddr: [0], dstAddr: [0], opts: { soMark: 77 } },
    }),
  ];
  const descriptor = (fd: number, id: number, type: number) => message(FdinfoEntrySchema, { fd, id, type });
  const { processes, memfds } = await inspected(t, {
    ...checkpoint({ processes: [{ pid: 1 }] }),
    "checkpoint/core-1.img": image(MAGIC.core, [core]),
    "checkpoint/files.img": image(MAGIC.files, files),
    "checkpoint/fdinfo-1.img": image(MAGIC.fdinfo, [descriptor(3, 2, 1), descriptor(4, 3, 15), descriptor(5, 4, 2)]),
    "checkpoint/memfd.img": image(MAGIC.memfd, [message(MemfdInodeEntrySchema, { name: "m", shmid: 8, inodeId: 7n, seals: 0xf })]),
    "checkpoint/cgroup.img": image(CGROUP, [
      message(CgroupEntrySchema, { sets: [{ id: 1, ctls: [{ name: "", path: "/kubepods/pod1" }] }] }),
    ]),
    "checkpoint/ids-1.img": image(MAGIC.ids, [message(TaskKobjIdsEntrySchema, { filesId: 1, netNsId: 21, mntNsId: 22, utsNsId: 23 })]),
  });
  const [item] = processes;
  const { files: open, sockets, threads, subreaper, timers, cgroups, namespaces } = item ?? assert.fail();
  assert.deepEqual(
    open?.map(({ fd, mode }) => [fd, mode]),
    [
      [3, "path"],
      [4, "r"],
      [5, "r"],
    ],
  );
  assert.deepEqual(
    memfds?.map(({ seals }) => seals),
    [["seal", "shrink", "grow", "write"]],
  );
  assert.equal(sockets?.[0]?.["mark"], "0x4d");
  assert.deepEqual([threads[0]?.parentDeathSignal, subreaper], ["KILL", true]);
  assert.deepEqual(timers, [{ kind: "real", signal: "ALRM", expiresInSeconds: 9.5, everySeconds: 3 }]);
  assert.deepEqual(cgroups, [{ controllers: "", path: "/kubepods/pod1" }]);
  assert.deepEqual([namespaces?.["net"], namespaces?.["mnt"], namespaces?.["uts"]], ["21", "22", "23"]);
});

test("a mapping that grows down is a stack only where it is one", async (t) => {
  const mapping = (start: bigint, status: number) => ({
    start,
    pages: 1,
    status: STATUS.regular | STATUS.anonymous | status,
    flags: 0x122,
  });
  const { processes } = await inspected(
    t,
    checkpoint({ processes: [{ pid: 1, mappings: [mapping(BASE, 0), mapping(2n * BASE, 1 << 1)] }] }),
  );
  assert.deepEqual(
    processes[0]?.memory?.regions?.map(({ kind, growsDown }) => [kind, growsDown]),
    [
      ["anonymous", true],
      ["stack", undefined],
    ],
  );
});

test("shared memory that is left over from an earlier checkpoint is a note, and its pages are not counted", async (t) => {
  const shared = STATUS.regular | STATUS.shared;
  const files = checkpoint({
    processes: [{ pid: 1, mappings: [{ start: BASE, pages: 2, status: shared, flags: 0x21, shmid: 6n }] }],
  });
  const all: Files = {
    ...files,
    "checkpoint/pagemap-shmem-6.img": pagemapImage(2, [{ vaddr: 0n, pages: 2, flags: 4 }]),
    "checkpoint/pages-2.img": Buffer.alloc(2 * 4096, 1),
  };
  const sound = await verified(t, all);
  assert.deepEqual(sound.problems, []);
  const { problems } = await verified(t, {
    ...all,
    "checkpoint/pagemap-shmem-9.img": pagemapImage(2, [{ vaddr: 0n, pages: 5, flags: 4 }]),
  });
  assert.deepEqual(problems, []);
  // Without what tells that nothing maps it, it counts.
  const { "checkpoint/mm-1.img": mm, ...rest } = all;
  assert.ok(mm !== undefined);
  const unsure = await verified(t, { ...rest, "checkpoint/pagemap-shmem-9.img": pagemapImage(2, [{ vaddr: 0n, pages: 5, flags: 4 }]) });
  assert.ok(
    unsure.problems.some((problem) => /pages-2\.img has 8192 bytes, but pagemaps count 7 pages/.test(problem)),
    unsure.problems.join(),
  );
});

test("what plugins of CRIU wrote is no damage, and is named", async (t) => {
  const files = {
    ...checkpoint({ processes: [{ pid: 1 }] }),
    "checkpoint/amdgpu-kfd-1.img": Buffer.from("\x08\x01 not an image of CRIU's own"),
    "checkpoint/amdgpu-pages-1-1002.img": Buffer.alloc(100, 7),
    "checkpoint/amdgpu-renderD-128.img": Buffer.from("\x0a\x02xy"),
  };
  const { problems } = await verified(t, files);
  assert.deepEqual(problems, []);
  const { unknownImages } = await inspected(t, files);
  assert.deepEqual(
    unknownImages,
    Object.keys(files).filter((name) => name.includes("amdgpu")),
  );
});

test("an unpacked archive is verified as an archive, whatever archives lie in it", async (t) => {
  const files = { ...checkpoint({ processes: [{ pid: 1 }] }), "rootfs-diff.tar": Buffer.alloc(1024), "spec.dump": Buffer.from("{}") };
  const { checks } = await verified(t, { ...files, "config.dump": Buffer.from("not JSON") });
  assert.ok(
    checks.some(({ check, message: text }) => check === "members" && /config\.dump is not JSON/.test(text)),
    JSON.stringify(checks),
  );
});
