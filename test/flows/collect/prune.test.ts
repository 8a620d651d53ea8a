import assert from "node:assert/strict";
import { test } from "node:test";
import type { ListedArchive } from "../../../src/flows/collect/nodes/archive.ts";
import { toPrune, whyKept } from "../../../src/flows/collect/nodes/prune.ts";

const HOUR = 3600;
const NOW = 1_800_000_000_000;

interface Given {
  readonly node?: string;
  readonly of?: string;
  /** Seconds; undefined where the node has no times. */
  readonly age?: number;
  readonly complete?: boolean;
}

function archive(name: string, { node = "n", of = "ns/p/c", age, complete = true }: Given = {}): ListedArchive {
  const [namespace, pod, container] = of.split("/");
  return {
    node,
    path: `/d/${name}`,
    complete,
    file: {
      name,
      raw: Buffer.from(name),
      bytes: 1,
      identity: "",
      closed: complete,
      ...(age === undefined ? {} : { age, modifiedAt: NOW / 1000 - age }),
    },
    ...(namespace ? { namespace } : {}),
    ...(pod ? { pod } : {}),
    ...(container ? { container } : {}),
  };
}

function pruned(archives: ListedArchive[], keep?: number, olderThanMs?: number): string[] {
  return toPrune(archives, { keep, olderThanMs }, NOW)
    .map(({ file }) => file.name)
    .sort();
}

test("the newest of each container stay, wherever they lie", () => {
  const archives = [
    archive("a1", { age: 1, node: "x" }),
    archive("a2", { age: 2, node: "y" }),
    archive("a3", { age: 3, node: "x" }),
    archive("b1", { age: 9, of: "ns/p/d" }),
  ];
  assert.deepEqual(pruned(archives, 2), ["a3"]);
  assert.deepEqual(pruned(archives, 0), ["a1", "a2", "a3", "b1"]);
  assert.deepEqual(pruned(archives, 9), []);
});

test("within a second, and without times, the names' times decide", () => {
  assert.deepEqual(pruned([archive("x-00:01", { age: 5 }), archive("x-00:03", { age: 5 }), archive("x-00:02", { age: 5 })], 1), [
    "x-00:01",
    "x-00:02",
  ]);
  assert.deepEqual(pruned([archive("x-1"), archive("x-2")], 1), ["x-1"]);
});

test("between nodes the files' times decide, not when each was asked, nor by which clock that is far off", () => {
  const asked = (name: string, node: string, writtenBefore: number, { late = 0, ahead = 0 } = {}): ListedArchive => {
    const one = archive(name, { node, age: writtenBefore });
    return { ...one, file: { ...one.file, modifiedAt: NOW / 1000 - writtenBefore + ahead, age: writtenBefore + late } };
  };
  // Both at one second; the one that was asked 3 s later seems older.
  const tie = [asked("x-00:02", "b", 50, { late: 3 }), asked("x-00:01", "a", 50)];
  assert.deepEqual(pruned(tie, 1), ["x-00:01"]);
  assert.deepEqual(pruned(tie.toReversed(), 1), ["x-00:01"]);
  assert.deepEqual(pruned([asked("old", "fast", 500, { ahead: 7200 }), asked("new", "right", 50)], 1), ["old"]);
});

test("by age; with both, what is beyond the number and old enough", () => {
  const archives = [1, 2, 3, 4].map((hours) => archive(`a${hours}`, { age: hours * HOUR }));
  assert.deepEqual(pruned(archives, undefined, 3 * HOUR * 1000), ["a3", "a4"]);
  assert.deepEqual(pruned(archives, 3, 1000), ["a4"]);
  assert.deepEqual(pruned(archives, 1, 3.5 * HOUR * 1000), ["a4"]);
  assert.deepEqual(pruned([archive("a")], undefined, 0), [], "one whose age is not known is not older than anything");
});

test("what is not certain never goes", () => {
  const archives = [
    archive("a", { of: "", age: 999_999 }),
    archive("b", { of: "/p/", age: 999_999 }),
    archive("c", { of: "ns/p/", age: 999_999 }),
  ];
  assert.deepEqual(pruned(archives, 0, 0), []);
});

test("an unfinished one goes after an hour, and never takes the place of a whole one", () => {
  const young = archive("young", { age: HOUR - 1, complete: false });
  const old = archive("old", { age: HOUR + 1, complete: false });
  assert.deepEqual(pruned([young, old, archive("whole", { age: 2 * HOUR })], 1), ["old"]);
  assert.deepEqual(pruned([young, old], undefined, 0), ["old"]);
  assert.deepEqual(pruned([archive("ageless", { complete: false })], 0), [], "nobody can say that it is an hour old");
});

test("why archives stay: what is not of a known container, may still be written, is too young, or is one of the newest", () => {
  const all = [
    archive("new", { age: HOUR }),
    archive("young", { age: 2 * HOUR }),
    archive("old", { age: 9 * HOUR }),
    archive("being-written", { age: 10, complete: false }),
    archive("unknown", { of: "", age: 99 * HOUR }),
  ].map((one) =>
    one.file.name === "unknown" ? { ...one, namespace: undefined, pod: undefined, container: undefined } : one,
  ) as ListedArchive[];
  const retention = { keep: 1, olderThanMs: 4 * HOUR * 1000 };
  const going = toPrune(all, retention, NOW);
  assert.deepEqual(
    going.map(({ file }) => file.name),
    ["old"],
  );
  assert.deepEqual(Object.fromEntries(whyKept(all, going, retention, NOW)), { newest: 1, young: 1, written: 1, unknown: 1 });
});
