import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { openArchive } from "../../src/archive/open.ts";
import { readMember } from "../../src/archive/read.ts";
import { PagemapBlocksSchema, PagemapEntrySchema, PagemapHeadSchema } from "../../src/criu/gen/memory_pb.ts";
import { entryBatches, openImage } from "../../src/criu/image.ts";
import { decodeLz4 } from "../../src/criu/lz4.ts";
import { pagemap } from "../../src/criu/pagemap.ts";
import { pageSize } from "../../src/criu/pagesize.ts";
import { decode } from "../../src/criu/decode.ts";
import { memoryProblems } from "../../src/flows/examine/verify/memory.ts";
import { encodeLz4 } from "./lz4.ts";
import { image, MAGIC, memoryArchive, message, type Files } from "./synthetic.ts";

const PAGE = 4096;
const ZOO = join(import.meta.dirname, "../data/archives/containerd-zoo.tar.gz");

void test("a block of the lz4 program, and what it writes of pages", () => {
  // printf '…' | lz4 -9: its frame's only block.
  const block = Buffer.from(
    "ff046b75626563746c20636865636b706f696e7420130012cf3a206f7665726c6170732061010040b020616e642061207461696c",
    "hex",
  );
  const text = `${"kubectl checkpoint ".repeat(3).trimEnd()}: overlaps ${"a".repeat(84)} and a tail`;
  const into = Buffer.alloc(300);
  const length = decodeLz4(block, into);
  assert.equal(into.toString("latin1", 0, length), text);
});

void test("a damaged block is refused, and nothing is written outside of the room for it", () => {
  const whole = encodeLz4(Buffer.from("abcdabcdabcdabcdabcdabcdabcdabcdabcdabcd, and more than that"));
  for (let at = 0; at < whole.length; at += 1) {
    for (const flip of [1, 0x80, 0xff]) {
      const block = Buffer.from(whole);
      block[at] = (block[at] ?? 0) ^ flip;
      const room = Buffer.alloc(80, 0xee);
      decodeLz4(block, room.subarray(0, 60));
      assert.ok(room.subarray(60).every((byte) => byte === 0xee));
    }
    assert.equal(decodeLz4(whole.subarray(0, at), Buffer.alloc(60)) === 60, false, `cut at ${at}`);
  }
});

type Schema = "message" | "list" | "list with its number of pages";

/** The images of the zoo's memory, its pages compressed in blocks of so many. */
async function compressed(schema: Schema, perBlock: number): Promise<{ plain: Files; packed: Files; maps: string[] }> {
  await using archive = await openArchive(ZOO);
  const [plain, packed]: [Files, Files] = [{}, {}];
  const maps: string[] = [];
  for (const { name, type } of archive.members.values()) {
    if (type === "file" && /^checkpoint\/(mm|pstree|core|pages-|pagemap-)/.test(name))
      plain[name] = Buffer.from(await readMember(archive, name, 1 << 30));
  }
  Object.assign(packed, plain);
  for (const name of Object.keys(plain)) {
    if (!/pagemap-/.test(name)) continue;
    maps.push(name);
    const entries: Buffer[] = [];
    let [offset, out] = [0, Buffer.alloc(0)];
    let pagesName = "";
    for await (const batch of entryBatches(await openImage(archive, name))) {
      for (const { bytes } of batch) {
        if (pagesName === "") {
          const head = decode(PagemapHeadSchema, bytes, name);
          pagesName = `checkpoint/pages-${head.pagesId}.img`;
          entries.push(message(PagemapHeadSchema, { pagesId: head.pagesId }));
          continue;
        }
        const { vaddr, nrPages, flags } = decode(PagemapEntrySchema, bytes, name);
        const pages = Number(nrPages);
        if ((flags & 4) === 0) {
          entries.push(Buffer.from(bytes));
          continue;
        }
        const raw = (plain[pagesName] ?? Buffer.alloc(0)).subarray(offset, offset + pages * PAGE);
        offset += raw.length;
        const blocks: Buffer[] = [];
        for (let at = 0; at < raw.length; at += perBlock * PAGE) {
          const block = raw.subarray(at, at + perBlock * PAGE);
          const small = encodeLz4(block);
          blocks.push(block.every((byte) => byte === 0) ? Buffer.alloc(0) : small.length < block.length ? small : block);
        }
        // Every other entry begins where a page would.
        const aligned = entries.length % 2 === 0;
        if (aligned) out = Buffer.concat([out, Buffer.alloc((PAGE - (out.length % PAGE)) % PAGE)]);
        out = Buffer.concat([out, ...blocks]);
        const sizes = blocks.map(({ length }) => length);
        entries.push(
          message(PagemapEntrySchema, {
            vaddr,
            nrPages,
            flags: aligned ? flags | 8 : flags,
            blocks: schema === "message" ? blocksMessage(sizes, perBlock) : list(sizes),
            ...(schema === "list with its number of pages" ? { regionPages: perBlock } : {}),
          }),
        );
      }
    }
    packed[name] = image(MAGIC.pagemap, entries);
    if (pagesName in plain) packed[pagesName] = out;
  }
  return { plain, packed, maps };
}

function blocksMessage(blockSizes: number[], pagesPerBlock: number): Buffer {
  const totalPayloadSize = BigInt(blockSizes.reduce((sum, size) => sum + size, 0));
  return message(PagemapBlocksSchema, { blockSizes, totalPayloadSize, pagesPerBlock });
}

/** Packed varints. */
function list(sizes: number[]): Buffer {
  const bytes: number[] = [];
  for (let size of sizes) {
    for (; size > 127; size = Math.floor(size / 128)) bytes.push((size % 128) + 128);
    bytes.push(size);
  }
  return Buffer.from(bytes);
}

async function problemsOf(files: Files): Promise<string[]> {
  const problems: string[] = [];
  for await (const problem of memoryProblems(memoryArchive(files))) problems.push(problem);
  return problems;
}

async function contents(files: Files, maps: readonly string[]): Promise<string[]> {
  const archive = memoryArchive(files);
  const all: string[] = [];
  for (const name of maps) {
    const map = await pagemap(archive, name.slice("checkpoint/".length), PAGE);
    for await (const batch of map?.runs() ?? []) {
      for (const { address, pages, content, source, offset } of batch) {
        const bytes = await source?.read(offset, pages * PAGE);
        all.push(`${name} ${address} ${pages} ${content} ${bytes?.toString("base64")}`);
        // A part of a page, and one that begins in one block and ends in the next.
        if (bytes !== undefined && source !== undefined)
          assert.deepEqual(await source.read(offset + 7, bytes.length - 11), bytes.subarray(7, -4));
      }
    }
  }
  return all;
}

for (const [schema, perBlock] of [
  ["message", 1],
  ["message", 64],
  ["list", 1],
  ["list", 4],
  ["list", 64],
  ["list with its number of pages", 16],
] as const) {
  void test(`real pages compressed ${perBlock} by ${perBlock}, sizes in a ${schema}: the same memory`, async () => {
    const { plain, packed, maps } = await compressed(schema, perBlock);
    const size = (files: Files): number =>
      Object.entries(files).reduce((sum, [name, { length }]) => sum + (/pages-/.test(name) ? length : 0), 0);
    assert.ok(size(packed) < size(plain) / 2, "it is compressed");
    assert.equal(await pageSize(memoryArchive(packed)), PAGE);
    assert.deepEqual(await contents(packed, maps), await contents(plain, maps));
    const problems = await problemsOf(packed);
    assert.deepEqual(problems, [], "verify counts by the sizes of the blocks");
    const short = { ...packed, "checkpoint/pages-1.img": (packed["checkpoint/pages-1.img"] ?? Buffer.alloc(0)).subarray(1) };
    assert.match((await problemsOf(short)).join(), /pages-1\.img has \d+ bytes, but pagemaps count \d+ bytes of compressed pages/);
  });
}

void test("blocks whose sums are wrong, or that decode to less, are damage: nothing is shown of them", async () => {
  const entry = (blocks: Buffer, pages = 2n): Files => ({
    "checkpoint/pagemap-1.img": image(MAGIC.pagemap, [
      message(PagemapHeadSchema, { pagesId: 1 }),
      message(PagemapEntrySchema, { vaddr: 0x1000n, nrPages: pages, flags: 4, blocks }),
    ]),
    "checkpoint/pages-1.img": Buffer.alloc(PAGE, 1),
  });
  const read = async (files: Files) => await contents(files, ["checkpoint/pagemap-1.img"]);
  const total = message(PagemapBlocksSchema, { blockSizes: [5, 6], totalPayloadSize: 12n, pagesPerBlock: 1 });
  for (const blocks of [total, blocksMessage([5, 6], 64), list([1, 2, 3])])
    await assert.rejects(read(entry(blocks)), { reason: "ImageDamaged" });
  await assert.rejects(read(entry(blocksMessage([100, 100], 1))), { reason: "ImageDamaged", message: /block at 0 is damaged/ });
  await assert.rejects(read(entry(blocksMessage([9000, 100], 1))), { reason: "ImageDamaged" });
  await assert.rejects(read(entry(blocksMessage([PAGE, PAGE], 1))), { reason: "ImageDamaged", message: /fewer than the pages/ });
  await assert.rejects(read(entry(blocksMessage([PAGE], 1 << 20), 2000n)), {
    reason: "ImageDamaged",
    message: /blocks of 4294967296 bytes/,
  });
});
