import assert from "node:assert/strict";
import { test } from "node:test";
import { decode } from "../../src/criu/decode.ts";
import { CgroupEntrySchema } from "../../src/criu/gen/cgroup_pb.ts";
import { RegFileEntrySchema } from "../../src/criu/gen/files_pb.ts";
import { MmEntrySchema } from "../../src/criu/gen/memory_pb.ts";
import { PstreeEntrySchema } from "../../src/criu/gen/process_pb.ts";
import { message } from "./synthetic.ts";

const NAME = "checkpoint/x.img";

/** A field of wire type 2. */
function field(number: number, content: Buffer): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(content.length), content]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}

test("unknown fields are passed over, whatever their type", () => {
  const bytes = Buffer.concat([message(PstreeEntrySchema, { pid: 7 }), field(1000, Buffer.from("later")), Buffer.from([0xc8, 0x3e, 5])]);
  assert.equal(decode(PstreeEntrySchema, bytes, NAME).pid, 7);
});

test("packed and unpacked numbers decode alike", () => {
  const unpacked = Buffer.from([0x28, 1, 0x28, 2]);
  assert.deepEqual(decode(PstreeEntrySchema, unpacked, NAME).threads, [1, 2]);
  assert.deepEqual(decode(PstreeEntrySchema, field(5, Buffer.from([1, 2])), NAME).threads, [1, 2]);
});

test("names that are no UTF-8 are names still", () => {
  const { name } = decode(RegFileEntrySchema, field(6, Buffer.from([0x2f, 0x61, 0xff, 0x62])), NAME);
  assert.equal(name, "/a\\xffb");
  // Short ASCII has a way of its own in the library.
  for (const [raw, text] of [
    ["a\n\u001b[31m", "a\\x0a\\x1b[31m"],
    ["a\\xff", "a\\\\xff"],
    [`${"x".repeat(100)}\\`, `${"x".repeat(100)}\\\\`],
    ["né", "né"],
  ] as const)
    assert.equal(decode(RegFileEntrySchema, field(6, Buffer.from(raw)), NAME).name, text);
});

test("what is no message is refused under the image's name", () => {
  for (const bytes of [Buffer.from([0x0a, 0xff, 0xff]), Buffer.from([0xff]), Buffer.alloc(100_000, 0xff), Buffer.alloc(100_000, 0x0b)]) {
    assert.throws(() => decode(RegFileEntrySchema, bytes, NAME), { message: /^checkpoint\/x\.img: an entry/ });
  }
});

test("bombs are refused before they are decoded", () => {
  const heap = process.memoryUsage().heapUsed;
  // Two bytes each that would become an object with ten fields.
  const empties = Buffer.from("7200".repeat(4_000_000), "hex");
  assert.throws(() => decode(MmEntrySchema, empties, NAME), { reason: "ImageTooLarge", message: /more than 300000 parts/ });
  const packed = field(13, Buffer.alloc(8_000_000, 1));
  assert.throws(() => decode(MmEntrySchema, packed, NAME), { reason: "ImageTooLarge" });
  assert.ok(process.memoryUsage().heapUsed - heap < 50e6);
});

test("a name of a gigabyte is refused, and messages that nest without end", () => {
  const name = field(6, Buffer.alloc(30_000_000, 0x61));
  assert.throws(() => decode(RegFileEntrySchema, name, NAME), { reason: "ImageTooLarge", message: /a name of 30000000 bytes/ });
  // Directories of control groups within one another: field 2 of field 2 of …
  let nested: Buffer = Buffer.alloc(0);
  for (let depth = 0; depth < 5000; depth += 1) nested = field(2, nested);
  assert.throws(() => decode(CgroupEntrySchema, field(2, nested), NAME), /checkpoint\/x\.img/);
  const wide = Buffer.concat([nested, Buffer.alloc(0)]);
  assert.throws(() => decode(CgroupEntrySchema, Buffer.concat([field(2, wide), field(9, Buffer.alloc(70_000))]), NAME), /x\.img/);
});
