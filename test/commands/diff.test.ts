import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import * as diff from "../../src/commands/diff.ts";
import type { Difference } from "../../src/model/difference.ts";
import { tar } from "../archive/tars.ts";
import { checkpoint, STATUS, type CheckpointSpec } from "../criu/synthetic.ts";
import { runCommand } from "./running.ts";

const ARCHIVES = "test/data/archives";
const BEFORE = `${ARCHIVES}/containerd-counter-before.tar.gz`;
const AFTER = `${ARCHIVES}/containerd-counter-after.tar.gz`;
const REPLICAS = [`${ARCHIVES}/containerd-a.tar`, `${ARCHIVES}/containerd-2.1.9-criu4.2.1.tar`] as const;

const folder = mkdtempSync(join(tmpdir(), "diff-"));
after(() => rmSync(folder, { recursive: true }));

async function difference(from: string, to: string) {
  const { document, exitCode, errors } = await runCommand(diff, [from, to], { output: "json" });
  return { ...(JSON.parse(JSON.stringify(document)) as Difference), exitCode, errors };
}

/** An archive of one container with files in its root file system's change. */
function made(name: string, spec: CheckpointSpec, rootfs: Record<string, string> = {}, id = "c1"): string {
  const path = join(folder, name);
  const change = tar(...Object.entries(rootfs).map(([member, data]) => ({ name: member, data })));
  const files = { ...checkpoint(spec), "config.dump": Buffer.from(JSON.stringify({ id })), "rootfs-diff.tar": change };
  writeFileSync(path, tar(...Object.entries(files).map(([member, data]) => ({ name: member, data }))));
  return path;
}

test("words become a request", () => {
  assert.deepEqual(diff.diffRequest(["a", "-"]), { from: "a", to: "-" });
  for (const words of [[], ["a"], ["a", "b", "c"], ["-", "-"], ["a", ""]])
    assert.throws(() => diff.diffRequest(words), { reason: "Usage", exitCode: 2 });
});

test("an archive and itself are the same: exit status 0, and nothing is printed", async () => {
  for (const path of [BEFORE, `${ARCHIVES}/containerd-zoo.tar.gz`, `${ARCHIVES}/podman-zstd.tar.zst`]) {
    const { lines, exitCode, document } = await runCommand(diff, [path, path]);
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
  const { lines } = await runCommand(diff, [BEFORE, AFTER]);
  assert.deepEqual(lines.slice(2), [
    "",
    "Processes",
    "- 11 sleep 0.2",
    "+ 15 sleep 0.2",
    "",
    "Process 1: /bin/sh -c i=0; while true; do i=$((i+1)); echo $i; sleep 0.2; done",
    "memory: 20.0 KiB of 76.0 KiB changed, 26.3%",
    "ADDRESS|KIND|CHANGED|OF|PERCENT|NAME",
    "0x2aab5000|heap|12.0 KiB|16.0 KiB|75%|[heap]",
    "0x7fff24435000|stack|8.0 KiB|16.0 KiB|50%|[stack]",
  ]);
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
  await assert.rejects(runCommand(diff, [from, join(folder, "absent.tar")]), { exitCode: 2 });
});
