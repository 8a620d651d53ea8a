import assert from "node:assert/strict";
import { test } from "node:test";
import { commandLine, environment } from "../../src/criu/arguments.ts";
import { placedRuns, processMemory, type ProcessMemory } from "../../src/criu/memory.ts";
import { readMemory } from "../../src/criu/read.ts";
import { memoryTotals, regionUses } from "../../src/criu/totals.ts";
import type { UserError } from "../../src/model/error.ts";
import { checkpoint, image, MAGIC, memoryArchive, pagemapImage, STATUS, type ProcessSpec } from "./synthetic.ts";

function thrown(problem: UserError): never {
  throw problem;
}

async function memoryOf(spec: ProcessSpec, pageSize = 4096, more: Record<string, Buffer> = {}): Promise<ProcessMemory> {
  const memory = await processMemory(
    memoryArchive({ ...checkpoint({ processes: [spec], pageSize }), ...more }),
    spec.pid,
    pageSize,
    thrown,
  );
  assert.ok(memory);
  return memory;
}

async function pieces(memory: ProcessMemory, start: bigint, end: bigint): Promise<string[]> {
  const all: string[] = [];
  let at = start;
  for await (const piece of readMemory(memory, { start, end })) {
    assert.equal(piece.start, at, "no gap between pieces");
    at = piece.end;
    all.push(
      `${(piece.end - piece.start).toString()} ${"bytes" in piece ? `"${String.fromCharCode(piece.bytes[0] ?? 0)}"` : piece.absent}`,
    );
  }
  assert.equal(at, end);
  return all;
}

const pages = (letters: string, pageSize = 4096): Buffer =>
  Buffer.concat(letters.split("").map((letter) => Buffer.alloc(pageSize, letter)));

test("a range comes whole: bytes, or why they are not there", async () => {
  const memory = await memoryOf({
    pid: 1,
    mappings: [
      { start: 0x10000n, pages: 4 },
      { start: 0x20000n, pages: 2, status: STATUS.regular | STATUS.file, shmid: 5n },
      { start: 0x30000n, pages: 2 },
    ],
    runs: [
      { vaddr: 0x11000n, pages: 1, flags: 4 },
      { vaddr: 0x12000n, pages: 1, flags: 4 },
      { vaddr: 0x21000n, pages: 1, flags: 4 },
      { vaddr: 0x30000n, pages: 1, flags: 1 },
      { vaddr: 0x31000n, pages: 1, flags: 2 },
    ],
    bytes: pages("abc"),
  });
  assert.deepEqual(await pieces(memory, 0xf000n, 0x33000n), [
    "4096 unmapped",
    "4096 untouched",
    '4096 "a"',
    '4096 "b"',
    "4096 untouched",
    "49152 unmapped",
    "4096 file",
    '4096 "c"',
    "57344 unmapped",
    "4096 parent",
    "4096 lazy",
    "4096 unmapped",
  ]);
  assert.deepEqual(await pieces(memory, 0x11ff0n, 0x12010n), ['16 "a"', '16 "b"']);
});

test("pages of 64 KiB", async () => {
  const memory = await memoryOf(
    { pid: 1, mappings: [{ start: 0x100000n, pages: 2 }], runs: [{ vaddr: 0x110000n, pages: 1, flags: 4 }], bytes: pages("z", 65_536) },
    65_536,
  );
  assert.deepEqual(await pieces(memory, 0x100000n, 0x120000n), ["65536 untouched", '65536 "z"']);
});

test("shared memory is read where it is mapped, from the part that is", async () => {
  const spec: ProcessSpec = {
    pid: 1,
    mappings: [
      { start: 0x10000n, pages: 2, status: STATUS.regular | STATUS.shared, flags: 0x21, shmid: 7n, pgoff: 0x1000n },
      { start: 0x20000n, pages: 3, status: STATUS.regular | STATUS.shared, flags: 0x21, shmid: 7n },
    ],
    runs: [],
  };
  const memory = await memoryOf(spec, 4096, {
    "checkpoint/pagemap-shmem-7.img": pagemapImage(9, [
      { vaddr: 0n, pages: 2, flags: 4 },
      { vaddr: 0x2000n, pages: 1, flags: 4 },
    ]),
    "checkpoint/pages-9.img": pages("xyz"),
  });
  assert.deepEqual(await pieces(memory, 0x10000n, 0x23000n), ['4096 "y"', '4096 "z"', "57344 unmapped", '8192 "x"', '4096 "z"']);
  const { kinds, all } = memoryTotals(await regionUses(memory));
  assert.deepEqual(kinds.get("shared"), { regions: 2, mapped: 5 * 4096, archived: 5 * 4096, elsewhere: 0 });
  assert.equal(all.archived, 5 * 4096);
});

test("shared memory whose images are missing is told, never read as untouched", async () => {
  const shared = { pages: 1, status: STATUS.regular | STATUS.shared, flags: 0x21 };
  const spec: ProcessSpec = {
    pid: 1,
    mappings: [
      { start: 0x10000n, ...shared, shmid: 7n },
      { start: 0x11000n, ...shared, shmid: 8n },
    ],
    runs: [],
  };
  const memory = await memoryOf(spec, 4096, {
    "checkpoint/pagemap-shmem-8.img": pagemapImage(9, [{ vaddr: 0n, pages: 1, flags: 4 }]),
    "checkpoint/pages-9.img": pages("x"),
  });
  const missing = { reason: "NotInArchive", message: "checkpoint/pagemap-shmem-7.img is not in the archive" };
  await assert.rejects(pieces(memory, 0x10000n, 0x12000n), missing);
  await assert.rejects(regionUses(memory), missing);
  assert.deepEqual(await pieces(memory, 0x11000n, 0x12000n), ['4096 "x"'], "the other is there");
  const told: string[] = [];
  const absences = [];
  for await (const piece of readMemory(memory, { start: 0x10000n, end: 0x12000n }, { tell: ({ message }) => told.push(message) }))
    absences.push("absent" in piece ? piece.absent : piece.bytes.length);
  assert.deepEqual([absences, told], [["lost", 4096], [missing.message]]);
});

test("an address space whose head can be read, but not its mappings", async () => {
  // Field 1 as a group of which the first tag is none: a decoder that believes the schema reads the number 6.
  const mm = image(MAGIC.mm, [Buffer.from([0x0b, 0x06])]);
  await assert.rejects(memoryOf({ pid: 1, mappings: [], runs: [] }, 4096, { "checkpoint/mm-1.img": mm }), {
    reason: "ImageDamaged",
    message: /^checkpoint\/mm-1\.img: /,
  });
});

test("runs are cut where regions begin and end, and those outside of all are told apart", async () => {
  const memory = await memoryOf({
    pid: 1,
    mappings: [
      { start: 0x1000n, pages: 2 },
      { start: 0x3000n, pages: 1, status: STATUS.regular | STATUS.heap | STATUS.anonymous },
    ],
    runs: [{ vaddr: 0x1000n, pages: 5, flags: 4 }],
    bytes: pages("abcde"),
  });
  const placed = [];
  for await (const batch of placedRuns(memory))
    for (const { region, pages: count, offset } of batch) placed.push([region?.kind, count, offset / 4096]);
  assert.deepEqual(placed, [
    ["anonymous", 2, 0],
    ["heap", 1, 2],
    [undefined, 2, 3],
  ]);
});

test("missing and short files of pages are told, never made up", async () => {
  const spec = { pid: 1, mappings: [{ start: 0x1000n, pages: 2 }], runs: [{ vaddr: 0x1000n, pages: 2, flags: 4 }] };
  await assert.rejects(pieces(await memoryOf(spec), 0x1000n, 0x2000n), {
    reason: "NotInArchive",
    message: /pages-1\.img is not in the archive/,
  });
  await assert.rejects(pieces(await memoryOf({ ...spec, bytes: pages("a") }), 0x2000n, 0x3000n), {
    reason: "ImageDamaged",
    message: /fewer than the pages/,
  });
});

test("mappings that overlap or run backwards are refused", async () => {
  const overlap = [
    { start: 0x1000n, pages: 2 },
    { start: 0x2000n, pages: 1 },
  ];
  await assert.rejects(memoryOf({ pid: 1, mappings: overlap }), {
    reason: "ImageDamaged",
    message: /mm-1\.img: the mapping at 0x2000 is out of order/,
  });
});

const at = 0x10000n;
const withWords = (text: string, argsEnd: number, envEnd: number): ProcessSpec => ({
  pid: 1,
  mappings: [{ start: at, pages: 1 }],
  runs: [{ vaddr: at, pages: 1, flags: 4 }],
  bytes: Buffer.concat([Buffer.from(text), Buffer.alloc(4096 - Buffer.byteLength(text))]),
  args: { start: at, end: at + BigInt(argsEnd) },
  env: { start: at + BigInt(argsEnd), end: at + BigInt(envEnd) },
});

test("arguments and environment, empty words among them", async () => {
  const memory = await memoryOf(withWords("sh\0-c\0\0x y\0A=1\0B=\0", 11, 19));
  assert.deepEqual(await commandLine(memory), { words: ["sh", "-c", "", "x y"] });
  assert.deepEqual(await environment(memory), { words: ["A=1", "B="] });
});

test("a title written over the arguments, into the environment", async () => {
  const memory = await memoryOf(withWords("server: worker 1\0=2\0", 10, 20));
  assert.deepEqual(await commandLine(memory), { words: ["server: worker 1"] });
});

test("arguments in memory that is not in the archive, and absurd ranges of them", async () => {
  const spec = withWords("", 10, 20);
  assert.deepEqual(await commandLine(await memoryOf({ ...spec, runs: [{ vaddr: at, pages: 1, flags: 1 }] })), { absent: "parent" });
  const endless = { ...spec, args: { start: 0n, end: 2n ** 63n } };
  await assert.rejects(commandLine(await memoryOf(endless)), { reason: "ImageTooLarge" });
  const backwards = { ...spec, args: { start: at + 10n, end: at } };
  assert.deepEqual(await commandLine(await memoryOf(backwards)), { words: [] });
});
