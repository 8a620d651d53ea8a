import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { verb as diff } from "../../src/commands/diff.ts";
import { differenceViews } from "../../src/commands/diff/views.ts";
import { FileEntrySchema } from "../../src/criu/gen/files_pb.ts";
import { CoreEntrySchema, FsEntrySchema } from "../../src/criu/gen/process_pb.ts";
import type { Difference } from "../../src/model/difference.ts";
import type { MountItem } from "../../src/model/inspection.ts";
import { plain } from "../../src/model/phrase.ts";
import { tar } from "../archive/tars.ts";
import { checkpoint, image, MAGIC, message, pagemapImage, STATUS, type CheckpointSpec, type Files } from "../criu/synthetic.ts";
import { altered, without } from "./altered.ts";
import { REGISTRY, requestOf, runVerb } from "./running.ts";

const ARCHIVES = "test/data/archives";
const ZOO = `${ARCHIVES}/containerd-zoo.tar.gz`;
const BEFORE = `${ARCHIVES}/containerd-counter-before.tar.gz`;
const AFTER = `${ARCHIVES}/containerd-counter-after.tar.gz`;
const REPLICAS = [`${ARCHIVES}/containerd-a.tar`, `${ARCHIVES}/containerd-2.1.9-criu4.2.1.tar`] as const;

const folder = mkdtempSync(join(tmpdir(), "diff-"));
after(() => rmSync(folder, { recursive: true }));

async function difference(from: string, to: string) {
  const { document, exitCode, errors } = await runVerb(diff, [from, to], { output: "json" });
  return { ...(JSON.parse(JSON.stringify(document)) as Difference), exitCode, errors };
}

const NOTHING = { added: [], removed: [], changed: [] };

function bothWays(a: string, b: string): [from: string, to: string][] {
  return [
    [a, b],
    [b, a],
  ];
}

/** What every process that lives has, and what all of them have open. */
const LIVING = {
  "checkpoint/fs-1.img": image(MAGIC.fs, [message(FsEntrySchema, { cwdId: 1, rootId: 1 })]),
  "checkpoint/files.img": image(MAGIC.files, [message(FileEntrySchema, { id: 1, type: 1, reg: { id: 1, name: "/" } })]),
};

/** An archive of one container and its process 1, with files in its root file system's change. */
function made(name: string, spec: CheckpointSpec, rootfs: Record<string, string> = {}, id = "c1", more: Files = {}): string {
  const path = join(folder, name);
  const change = tar(...Object.entries(rootfs).map(([member, data]) => ({ name: member, data })));
  const engine = { "config.dump": Buffer.from(JSON.stringify({ id })), "rootfs-diff.tar": change };
  const files = { ...LIVING, ...checkpoint(spec), ...engine, ...more };
  writeFileSync(path, tar(...Object.entries(files).map(([member, data]) => ({ name: member, data }))));
  return path;
}

test("words become a request", () => {
  assert.deepEqual(requestOf(diff, ["a", "-"]), {
    from: "a",
    to: "-",
    sections: new Set(),
    addresses: false,
    registry: REGISTRY,
  });
  assert.deepEqual(requestOf(diff, ["a", "b"], { sockets: true, changes: true, addresses: true }), {
    from: "a",
    to: "b",
    sections: new Set(["sockets", "changes"]),
    addresses: true,
    registry: REGISTRY,
  });
  for (const words of [[], ["a"], ["a", "b", "c"], ["-", "-"], ["a", ""]])
    assert.throws(() => requestOf(diff, words), { reason: "Usage", exitCode: 2 });
});

test("an archive and itself are the same: exit status 0, and nothing is printed", async () => {
  for (const path of [BEFORE, `${ARCHIVES}/containerd-zoo.tar.gz`, `${ARCHIVES}/podman-zstd.tar.zst`]) {
    const { lines, exitCode, document } = await runVerb(diff, [path, path]);
    assert.deepEqual([lines, exitCode, (document as Difference).same], [[], 0, true], path);
  }
});

test("one container at two times: processes by pid, memory by address", async () => {
  const { same, sameContainer, processes, mounts, rootfs, exitCode } = await difference(BEFORE, AFTER);
  assert.deepEqual([same, sameContainer, exitCode], [false, true, 1]);
  assert.deepEqual(
    processes.removed.map(({ pid, args }) => [pid, args?.join(" ")]),
    [[11, "sleep 0.2"]],
  );
  assert.deepEqual(
    processes.added.map(({ pid, args }) => [pid, args?.join(" ")]),
    [[15, "sleep 0.2"]],
  );
  const [shell, ...others] = processes.changed;
  assert.deepEqual([shell?.pid, others.length], [1, 0]);
  assert.deepEqual([shell?.memory?.changedBytes, shell?.memory?.comparedBytes, shell?.memory?.percent], [20_480, 77_824, 26.3]);
  assert.deepEqual(
    shell?.memory?.regions.map(({ kind, changedBytes, comparedBytes, percent }) => [kind, changedBytes, comparedBytes, percent]),
    [
      ["heap", 12_288, 16_384, 75],
      ["stack", 8192, 16_384, 50],
    ],
  );
  assert.deepEqual(
    [mounts, rootfs],
    [
      { added: [], removed: [], changed: [] },
      { added: [], removed: [], changed: [] },
    ],
  );
});

test("two replicas: processes by tree and command, the kernel's numbers aside", async () => {
  const { sameContainer, processes, mounts } = await difference(...REPLICAS);
  assert.equal(sameContainer, false);
  assert.deepEqual(
    processes.added.map(({ args }) => args?.[0]),
    ["httpd"],
  );
  assert.deepEqual(processes.removed, []);
  assert.deepEqual(
    processes.changed.map(({ pid, otherPid }) => [pid, otherPid]),
    [
      [8, 1],
      [17, 10],
      [22, 15],
    ],
  );
  for (const { environment, files, sockets, fields } of processes.changed) {
    assert.deepEqual(environment.changed, [{ from: { name: "HOSTNAME", value: "pod-a" }, to: { name: "HOSTNAME", value: "pod-b" } }]);
    assert.deepEqual([files, sockets, fields], [{ added: [], removed: [], changed: [] }, { added: [], removed: [], changed: [] }, []]);
  }
  assert.deepEqual(mounts, { added: [], removed: [], changed: [] });
});

test("people see what diff would print", async () => {
  const { lines } = await runVerb(diff, [BEFORE, AFTER]);
  assert.deepEqual(lines.slice(2), [
    "",
    "Processes",
    "- 11 sleep 0.2",
    "+ 15 sleep 0.2",
    "",
    "Memory",
    "process 1: /bin/sh -c i=0; while true; do i=$((i+1)); echo $i; sleep 0.2; done",
    "20.0 KiB of 76.0 KiB changed, 26.3%",
    "ADDRESS|KIND|CHANGED|OF|PERCENT|NAME",
    "0x2aab5000|heap|12.0 KiB|16.0 KiB|75%|[heap]",
    "0x7fff24435000|stack|8.0 KiB|16.0 KiB|50%|[stack]",
  ]);
});

test("sections: only they are compared, and only they decide whether the archives are the same", async () => {
  const memory = await runVerb(diff, [BEFORE, AFTER], { memory: true });
  assert.deepEqual(
    memory.lines.filter((line) => ["Memory", "Mounts", "Changed files"].includes(line)),
    ["Memory"],
  );
  assert.equal(memory.exitCode, 1);
  const mounts = await runVerb(diff, [BEFORE, AFTER], { mounts: true });
  assert.deepEqual([mounts.lines, mounts.exitCode, (mounts.document as Difference).same], [[], 0, true]);
  // A process that only one has may have had sockets.
  const sockets = await runVerb(diff, [BEFORE, AFTER], { sockets: true });
  assert.deepEqual(sockets.lines.slice(3), ["Processes", "- 11 sleep 0.2", "+ 15 sleep 0.2"]);
});

test("files, processes and sockets come first; regions of one archive and cgroup paths are counted, and listed with --addresses", () => {
  const mount = (type: string, root: string): MountItem => ({ path: `/${type}`, type, source: type, root, options: [] }) as never;
  const socket = { fd: 3, protocol: "tcp", local: "10.0.0.1:80", remote: "" } as never;
  const region = { kind: "anonymous", name: "", comparedBytes: 4096, changedBytes: 4096, percent: 100 };
  const none = { added: [], removed: [], changed: [] };
  const difference: Difference = {
    apiVersion: "",
    kind: "Difference",
    same: false,
    sameContainer: true,
    from: { path: "a" },
    to: { path: "b" },
    processes: {
      added: [],
      removed: [],
      changed: [
        {
          pid: 1,
          comm: "web",
          fields: [{ name: "state", from: "alive", to: "stopped" }],
          environment: none,
          files: none,
          sockets: { ...none, added: [socket] },
          memory: {
            comparedBytes: 8192,
            changedBytes: 8192,
            percent: 100,
            regions: [
              { ...region, start: "0x1000", only: "from" },
              { ...region, start: "0x2000", only: "to" },
            ],
          },
        },
      ],
    },
    mounts: {
      ...none,
      changed: [
        { from: mount("cgroup2", "/a"), to: mount("cgroup2", "/b") },
        { from: mount("ext4", "/a"), to: mount("ext4", "/b") },
      ],
    },
    rootfs: { ...none, added: [{ path: "/tmp/x", change: "added", type: "file" } as never] },
    problems: [],
  };
  const texts = (addresses: boolean): string[] =>
    [...differenceViews(difference, addresses)].map((view) =>
      "columns" in view ? view.rows.map(([start = ""]) => plain(start)).join() : plain(view).trim(),
    );
  const shown = texts(false);
  const titles = new Set(["Changed files", "Processes", "Sockets", "Open files", "Environment", "Mounts", "Memory"]);
  assert.deepEqual(
    shown.filter((line) => titles.has(line)),
    ["Changed files", "Processes", "Sockets", "Mounts", "Memory"],
  );
  assert.ok(shown.includes("1 cgroup path differs (--addresses shows them)"), shown.join("\n"));
  assert.ok(shown.includes("2 regions of 8.0 KiB in one archive only, or moved (--addresses shows them)"));
  assert.ok(!shown.join().includes("0x1000") && shown.join().includes("ext4[/b]"));
  const all = texts(true);
  assert.ok(all.includes("-0x1000,+0x2000") && all.join().includes("cgroup2[/b]"));
  assert.doesNotMatch(all.join(), /--addresses/);
});

const heap = STATUS.regular | STATUS.heap | STATUS.anonymous;
const pages = (letters: string): Buffer => Buffer.concat(letters.split("").map((letter) => Buffer.alloc(4096, letter)));

test("pages that only one archive has count as changed, region by region", async () => {
  const at = (start: bigint) => ({
    pid: 1,
    mappings: [
      { start, pages: 8, status: heap },
      { start: start + 0x100000n, pages: 2 },
    ],
  });
  const from = made("from.tar", {
    processes: [
      {
        ...at(0x10000n),
        runs: [
          { vaddr: 0x10000n, pages: 3, flags: 4 },
          { vaddr: 0x15000n, pages: 2, flags: 4 },
        ],
        bytes: pages("abcde"),
      },
    ],
  });
  // The same three pages, of which one differs, one more, and another region touched.
  const to = made("to.tar", {
    processes: [
      {
        ...at(0x10000n),
        runs: [
          { vaddr: 0x10000n, pages: 4, flags: 4 },
          { vaddr: 0x110000n, pages: 1, flags: 4 },
        ],
        bytes: pages("aXcdz"),
      },
    ],
  });
  const { processes, exitCode } = await difference(from, to);
  assert.equal(exitCode, 1);
  assert.deepEqual(
    processes.changed[0]?.memory?.regions.map(({ kind, changedBytes, comparedBytes }) => [kind, changedBytes / 4096, comparedBytes / 4096]),
    [
      ["heap", 4, 6],
      ["anonymous", 1, 1],
    ],
  );
  // Of another container at other addresses the regions are told by what they are.
  const other = made(
    "other.tar",
    {
      processes: [
        {
          ...at(0x730000n),
          runs: [
            { vaddr: 0x730000n, pages: 3, flags: 4 },
            { vaddr: 0x735000n, pages: 2, flags: 4 },
          ],
          bytes: pages("abcdX"),
        },
      ],
    },
    {},
    "c2",
  );
  const replica = await difference(from, other);
  assert.deepEqual(
    replica.processes.changed[0]?.memory?.regions.map(({ kind, changedBytes, percent }) => [kind, changedBytes / 4096, percent]),
    [["heap", 1, 20]],
  );
});

/** Regions of process 1 as they are told: where they are, whether one side alone has them, and pages changed of those compared. */
async function regionsOf(from: string, to: string): Promise<[string, string | undefined, number, number][]> {
  const { processes } = await difference(from, to);
  const regions = processes.changed[0]?.memory?.regions ?? [];
  return regions.map(({ start, only, changedBytes, comparedBytes }) => [start, only, changedBytes / 4096, comparedBytes / 4096]);
}

test("one container's pages are compared by address, whatever has become of their regions", async () => {
  const memory = (name: string, mappings: readonly { start: bigint; pages: number }[], vaddr: bigint, letters: string): string =>
    made(name, {
      processes: [{ pid: 1, mappings, runs: [{ vaddr, pages: letters.length, flags: 4 }], bytes: pages(letters) }],
    });
  const one = memory("one.tar", [{ start: 0x10000n, pages: 4 }], 0x10000n, "abcd");
  const halves = [
    { start: 0x10000n, pages: 1 },
    { start: 0x11000n, pages: 3 },
  ];
  const split = memory("split.tar", halves, 0x10000n, "abcd");
  const grownDown = memory("down.tar", [{ start: 0xe000n, pages: 6 }], 0x10000n, "abcd");
  for (const other of [split, grownDown]) {
    for (const pair of bothWays(one, other)) assert.equal((await difference(...pair)).exitCode, 0, pair.join(" "));
  }
  // Of each page the region that it is in now; of what is gone the first one's, or what has become of it.
  const changed = memory("changed.tar", halves, 0x10000n, "aXYd");
  assert.deepEqual(await regionsOf(one, changed), [["0x11000", undefined, 2, 3]]);
  assert.deepEqual(await regionsOf(changed, one), [["0x10000", undefined, 2, 4]]);
  const longer = memory("longer.tar", [{ start: 0x10000n, pages: 8 }], 0x10000n, "abcdef");
  assert.deepEqual(await regionsOf(one, longer), [["0x10000", undefined, 2, 6]]);
  assert.deepEqual(await regionsOf(longer, one), [["0x10000", undefined, 2, 6]]);
  const elsewhere = memory("elsewhere.tar", [{ start: 0x90000n, pages: 4 }], 0x90000n, "abcd");
  assert.deepEqual(await regionsOf(one, elsewhere), [
    ["0x10000", "from", 4, 4],
    ["0x90000", "to", 4, 4],
  ]);
});

test("the same of shared memory", async () => {
  const shared = (name: string, mappings: readonly { start: bigint; pages: number; pgoff?: bigint }[], letters: string): string => {
    const status = STATUS.regular | STATUS.shared;
    const spec = { processes: [{ pid: 1, mappings: mappings.map((mapping) => ({ ...mapping, status, flags: 1, shmid: 7n })) }] };
    return made(name, spec, {}, "c1", {
      "checkpoint/pagemap-shmem-7.img": pagemapImage(7, [{ vaddr: 0n, pages: letters.length, flags: 4 }]),
      "checkpoint/pages-7.img": pages(letters),
    });
  };
  const one = shared("s1.tar", [{ start: 0x10000n, pages: 4 }], "abcd");
  const split = shared(
    "s2.tar",
    [
      { start: 0x10000n, pages: 2 },
      { start: 0x12000n, pages: 2, pgoff: 0x2000n },
    ],
    "abcX",
  );
  assert.deepEqual(await regionsOf(one, split), [["0x12000", undefined, 1, 2]]);
});

test("the root file system: added, removed, changed in content", async () => {
  const spec: CheckpointSpec = { processes: [{ pid: 1 }] };
  const from = made("r1.tar", spec, { "data/same": "x", "data/gone": "x", "data/changed": "abc", "etc/.wh.old": "" });
  const to = made("r2.tar", spec, { "data/same": "x", "data/new": "x", "data/changed": "abd", "etc/.wh.old": "" });
  const { rootfs, exitCode } = await difference(from, to);
  assert.equal(exitCode, 1);
  assert.deepEqual(
    [rootfs.added, rootfs.removed, rootfs.changed.map(({ to: item }) => item)].map((items) => items.map(({ path }) => path)),
    [["/data/new"], ["/data/gone"], ["/data/changed"]],
  );
});

test("what one archive does not tell is trouble, not a difference", async () => {
  const cases: [image: string, problem: RegExp][] = [
    [
      "files.img",
      /^not compared of processes 1, 9, 10, 12: .*executable, cwd, root, .*some open files.*, which .*altered.tar does not tell$/,
    ],
    ["ids-9.img", /^not compared of process 9: open files, sockets, which /],
    ["fdinfo-2.img", /^not compared of process 1: open files, sockets, which /],
    ["fs-9.img", /^not compared of process 9: cwd, root, umask, which /],
    ["mm-9.img", /^not compared of process 9: args, executable, environment, memory, which /],
    ["pagemap-9.img", /^not compared of process 9: args, executable, environment, which /],
    ["core-1.img", /^not compared of process 1: comm, state, threads, groups, /],
    ["memfd.img", /^not compared of processes 1, 9, 10, 12: some open files, memory, which /],
    ["mountpoints-13.img", /^mounts were not compared: .*altered.tar has none$/],
  ];
  for (const [image, problem] of cases) {
    const damaged = await without(ZOO, `checkpoint/${image}`);
    for (const pair of bothWays(ZOO, damaged)) {
      const { processes, mounts, rootfs, problems, exitCode } = await difference(...pair);
      assert.deepEqual([processes, mounts, rootfs, exitCode], [NOTHING, NOTHING, NOTHING, 2], image);
      assert.ok(
        problems.some((told) => problem.test(told)),
        problems.join("\n"),
      );
      assert.equal(new Set(problems).size, problems.length);
    }
  }
});

test("a process that has become a zombie is one difference: memory and files no zombie has", async () => {
  const alive = made("alive.tar", { processes: [{ pid: 1 }] });
  const core = image(MAGIC.core, [message(CoreEntrySchema, { mtype: 1, tc: { taskState: 2, comm: "test" } })]);
  const zombie = made("zombie.tar", { processes: [{ pid: 1 }] }, {}, "c1", { "checkpoint/core-1.img": core });
  const { processes, problems, exitCode } = await difference(alive, zombie);
  assert.deepEqual([problems, exitCode], [[], 1]);
  assert.deepEqual(processes.changed[0]?.fields[0], { name: "state", from: "alive", to: "zombie" });
});

test("a root file system whose change is not there, or not all of it, is not compared", async () => {
  const spec: CheckpointSpec = { processes: [{ pid: 1 }] };
  const sound = made("sound.tar", spec, { "data/new": "x" });
  const cut = await altered(sound, (files) => {
    files.set("rootfs-diff.tar", files.get("rootfs-diff.tar")?.subarray(0, 600) ?? Buffer.alloc(0));
  });
  for (const [whole, part, problem] of [
    [ZOO, await without(ZOO, "rootfs-diff.tar"), /^the root file system was not compared: .*altered.tar has no rootfs-diff.tar$/],
    [sound, cut, /^the root file system was not compared: rootfs-diff.tar in .*altered.tar is cut short$/],
  ] as const) {
    for (const pair of bothWays(whole, part)) {
      const { rootfs, problems, exitCode } = await difference(...pair);
      assert.deepEqual([rootfs, exitCode], [NOTHING, 2]);
      assert.match(problems.at(-1) ?? "", problem);
    }
  }
  // Podman and CRI-O leave it out where nothing has changed.
  const unchanged = await altered(`${ARCHIVES}/podman-zstd.tar.zst`, (files) => {
    files.delete("rootfs-diff.tar");
    files.delete("deleted.files");
  });
  const { rootfs, exitCode } = await difference(`${ARCHIVES}/podman-zstd.tar.zst`, unchanged);
  assert.deepEqual([rootfs.removed.map(({ path }) => path).sort(), exitCode], [["/data/new", "/etc/to-delete"], 1]);
});

test("an archive that was cut off: the document says so, and what is missing is no difference", async () => {
  const whole = `${ARCHIVES}/containerd-a.tar`;
  const bytes = readFileSync(whole);
  const truncated = join(folder, "truncated.tar");
  writeFileSync(truncated, bytes.subarray(0, bytes.indexOf("rootfs-diff.tar\0") - 700));
  for (const pair of bothWays(whole, truncated)) {
    const { processes, rootfs, problems, exitCode } = await difference(...pair);
    assert.deepEqual([processes, rootfs, exitCode], [NOTHING, NOTHING, 2]);
    assert.equal(problems[0], `${truncated}: it is cut off in the middle of its last member`);
    assert.equal(problems.at(-1), `the root file system was not compared: ${truncated} is cut short`);
  }
});

test("root file systems that differ in more than anyone reads are trouble, and do not fill memory", async () => {
  const spec: CheckpointSpec = { processes: [{ pid: 1 }] };
  const none = made("none.tar", spec);
  const many = await altered(none, (files) => {
    const names = Array.from({ length: 100_001 }, (_, index) => ({ name: `data/${index}` }));
    files.set("rootfs-diff.tar", gzipSync(tar(...names), { level: 1 }));
  });
  const { rootfs, problems, exitCode } = await difference(none, many);
  assert.deepEqual([rootfs, problems, exitCode], [NOTHING, ["rootfs-diff.tar has too much in it to be kept in memory"], 2]);
});

test("exit status as diff's: what could not be compared is trouble", async () => {
  const mapping = { start: 0x10000n, pages: 4 };
  const from = made("p1.tar", {
    processes: [{ pid: 1, mappings: [mapping], runs: [{ vaddr: 0x10000n, pages: 1, flags: 4 }], bytes: pages("a") }],
  });
  const to = made("p2.tar", {
    processes: [
      {
        pid: 1,
        mappings: [mapping],
        runs: [
          { vaddr: 0x10000n, pages: 2, flags: 4 },
          { vaddr: 0x12000n, pages: 1, flags: 1 },
        ],
        bytes: pages("ab"),
      },
    ],
  });
  const { exitCode, problems } = await difference(from, to);
  assert.equal(exitCode, 2);
  assert.deepEqual(problems, ["1 pages of process 1 were not compared: they are not in the archive"]);
  const large = made("p3.tar", { pageSize: 16_384, processes: [{ pid: 1, mappings: [mapping] }] });
  const sizes = await difference(from, large);
  assert.equal(sizes.exitCode, 2);
  assert.match(sizes.problems[0] ?? "", /the first archive has pages of 4096 bytes, the second pages of 16384 bytes/);
  await assert.rejects(runVerb(diff, [from, join(folder, "absent.tar")]), { reason: "NoSuchFile" });
  assert.equal(diff.failureStatus, 2);
});
