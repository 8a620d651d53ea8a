import assert from "node:assert/strict";
import { test } from "node:test";
import { entriesWithData } from "../../src/criu/entries.ts";
import { PipeDataEntrySchema } from "../../src/criu/gen/queues_pb.ts";
import { entryBatches, onlyEntry, openImage } from "../../src/criu/image.ts";
import { image, MAGIC, memoryArchive, message } from "./synthetic.ts";

const NAME = "checkpoint/test.img";
const open = async (bytes: Buffer) => await openImage(memoryArchive({ [NAME]: bytes }), NAME);

async function entries(bytes: Buffer): Promise<string[]> {
  const found: string[] = [];
  for await (const batch of entryBatches(await open(bytes))) for (const entry of batch) found.push(entry.bytes.toString());
  return found;
}

test("entries in the byte order of either kind of machine", async () => {
  for (const bigEndian of [false, true]) {
    const bytes = image(MAGIC.mm, [Buffer.from(""), Buffer.from("two"), Buffer.from("three")], { bigEndian });
    assert.equal((await open(bytes)).magic, MAGIC.mm);
    assert.deepEqual(await entries(bytes), ["", "two", "three"]);
  }
});

test("zeros that follow entries are no entries: a million of them take no time", async () => {
  const zeros = image(MAGIC.mm, [Buffer.from("one"), ...Array.from({ length: 1_000_000 }, () => Buffer.alloc(0))]);
  await assert.rejects(entries(zeros), /an entry at byte 15 is empty/);
});

test("the inventory has one word only", async () => {
  const bytes = image(MAGIC.inventory, [Buffer.from("x")]);
  assert.equal((await open(bytes)).magic, MAGIC.inventory);
  assert.deepEqual(await entries(bytes), ["x"]);
});

test("entries longer than a window, and many that end at its border", async () => {
  const long = "x".repeat(300_000);
  assert.deepEqual(await entries(image(MAGIC.mm, [Buffer.from("a"), Buffer.from(long), Buffer.from("b")])), ["a", long, "b"]);
  const many = Array.from({ length: 20_000 }, (_, index) => Buffer.from(String(index)));
  assert.deepEqual(await entries(image(MAGIC.mm, many)), many.map(String));
});

test("data after messages is not read until it is asked for", async () => {
  const data = (pipeId: number, bytes: number) => [message(PipeDataEntrySchema, { pipeId, bytes }), Buffer.alloc(bytes, 0xff)] as const;
  const archive = memoryArchive({ "checkpoint/pipes-data.img": image(MAGIC.pipesData, [data(1, 11), data(2, 500_000), data(3, 0)]) });
  const found: [number, number][] = [];
  for await (const { entry, data: bytes } of entriesWithData(archive, "pipes-data.img", PipeDataEntrySchema, (one) => one.bytes)) {
    found.push([entry.pipeId, bytes.size]);
    if (bytes.size > 0) assert.deepEqual(await bytes.read(bytes.size - 1, 1), Buffer.from([0xff]));
  }
  assert.deepEqual(found, [
    [1, 11],
    [2, 500_000],
    [3, 0],
  ]);
});

test("what is no image, is missing, empty or cut short is named with what is wrong", async () => {
  await assert.rejects(open(Buffer.from("no image at all")), {
    reason: "ImageDamaged",
    message: /^checkpoint\/test\.img: .*does not begin/,
  });
  await assert.rejects(open(Buffer.alloc(0)), { reason: "ImageDamaged" });
  await assert.rejects(openImage(memoryArchive({}), NAME), {
    reason: "NotInArchive",
    message: /checkpoint\/test\.img is not in the archive/,
  });
  await assert.rejects(onlyEntry(await open(image(MAGIC.mm, []))), { reason: "ImageDamaged", message: /it is empty/ });
  const whole = image(MAGIC.mm, [Buffer.from("first"), Buffer.from("second")]);
  const cuts = new Set([8, 17, whole.length]);
  for (let length = 8; length < whole.length; length += 1) {
    if (cuts.has(length)) continue;
    await assert.rejects(entries(whole.subarray(0, length)), { reason: "ImageDamaged" }, `cut at ${length}`);
  }
});

test("absurd lengths are refused without being read", async () => {
  const bytes = Buffer.concat([image(MAGIC.mm, []), Buffer.from([0xff, 0xff, 0xff, 0x7f])]);
  await assert.rejects(entries(bytes), { reason: "ImageDamaged", message: /an entry at byte 8 claims 2147483647 bytes/ });
  const archive = memoryArchive({
    "checkpoint/pipes-data.img": image(MAGIC.pipesData, [message(PipeDataEntrySchema, { pipeId: 1, bytes: 4_000_000_000 })]),
  });
  const read = async (): Promise<void> => {
    for await (const _ of entriesWithData(archive, "pipes-data.img", PipeDataEntrySchema, (entry) => entry.bytes));
  };
  await assert.rejects(read, { reason: "ImageDamaged", message: /claims 4000000000 bytes/ });
});
