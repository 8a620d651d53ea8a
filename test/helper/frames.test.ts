import assert from "node:assert/strict";
import { test } from "node:test";
import { channelFrame, frame, FrameReader } from "../../src/helper/frames.ts";

/** A server's frame: not masked. */
function served(opcode: number, payload: Buffer, final = true): Buffer {
  const head = [(final ? 0x80 : 0) | opcode];
  if (payload.length < 126) return Buffer.concat([Buffer.from([...head, payload.length]), payload]);
  if (payload.length < 0x10000) return Buffer.concat([Buffer.from([...head, 126, payload.length >> 8, payload.length & 255]), payload]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(payload.length));
  return Buffer.concat([Buffer.from([...head, 127]), length, payload]);
}

function read(bytes: Buffer, pieceLength: number) {
  const data = new Map<number, Buffer[]>();
  const pings: string[] = [];
  const closes: number[] = [];
  const reader = new FrameReader({
    data: (channel, piece) => {
      if (!data.has(channel)) data.set(channel, []);
      data.get(channel)?.push(Buffer.from(piece));
    },
    ping: (payload) => void pings.push(payload.toString()),
    close: (code) => void closes.push(code),
  });
  for (let at = 0; at < bytes.length; at += pieceLength) reader.feed(bytes.subarray(at, at + pieceLength));
  return { data: new Map([...data].map(([channel, pieces]) => [channel, Buffer.concat(pieces).toString("latin1")])), pings, closes };
}

test("messages of every length, fragments, pings in between, a close: in pieces of any length", () => {
  const long = "x".repeat(70_000);
  const bytes = Buffer.concat([
    served(2, Buffer.from("\u0000hello ")),
    served(2, Buffer.from(`\u0000${"y".repeat(300)}`)),
    served(9, Buffer.from("are you there")),
    served(2, Buffer.from("\u0001err"), false),
    served(9, Buffer.alloc(0)),
    served(0, Buffer.from("or"), true),
    served(2, Buffer.alloc(0)),
    served(2, Buffer.from(`\u0000${long}`)),
    served(8, Buffer.from([0x03, 0xe8])),
  ]);
  for (const length of [1, 2, 3, 7, 1000, bytes.length]) {
    const { data, pings, closes } = read(bytes, length);
    assert.equal(data.get(0), `hello ${"y".repeat(300)}${long}`);
    assert.equal(data.get(1), "error");
    assert.deepEqual([pings, closes], [["are you there", ""], [1000]]);
  }
  assert.deepEqual(read(served(8, Buffer.alloc(0)), 9).closes, [1005]);
});

test("what is not a server's WebSocket is an error at once", () => {
  const cases: [string, Buffer][] = [
    ["reserved bits", Buffer.from([0xf2, 1, 0])],
    ["masked", Buffer.from([0x82, 0x81, 0, 0, 0, 0, 0])],
    ["unknown kind", Buffer.from([0x83, 0])],
    ["too long", Buffer.concat([Buffer.from([0x89, 126, 1, 0]), Buffer.alloc(256)])],
    ["too long", Buffer.from([0x09, 0])],
    ["absurd length", Buffer.from([0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255])],
    ["reserved bits", Buffer.from("HTTP/1.1 200 OK\r\n\r\n").fill(0x72, 0, 1)],
  ];
  for (const [message, bytes] of cases) assert.throws(() => read(bytes, 64), new RegExp(message));
});

test("a client's frames are masked, and hold what was sent", () => {
  for (const length of [0, 1, 125, 126, 70_000]) {
    const payload = Buffer.alloc(length, "ab");
    const bytes = frame("binary", payload);
    assert.equal(bytes[0], 0x82);
    assert.equal((bytes[1] ?? 0) & 0x80, 0x80);
    const lengthBytes = length < 126 ? 0 : length < 0x10000 ? 2 : 8;
    const mask = bytes.subarray(2 + lengthBytes, 6 + lengthBytes);
    const body = Buffer.from(bytes.subarray(6 + lengthBytes)).map((byte, index) => byte ^ (mask[index % 4] ?? 0));
    assert.ok(Buffer.from(body).equals(payload));
  }
  assert.equal(channelFrame(3, Buffer.from("x")).length, 2 + 4 + 2);
});
