// Runs on Linux and macOS only: it looks at file modes.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, statSync, writeFileSync, existsSync, chmodSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import type { Codec, PieceRequest } from "../../src/helper/directory.ts";
import { cut } from "../../src/helper/transport.ts";
import { Directory } from "../../src/local/directory.ts";
import { Part } from "../../src/local/part.ts";
import { download } from "../../src/transfer/download.ts";
import { streamFile } from "../../src/transfer/stream.ts";
import { temporaryDirectory } from "../e2e/harness.ts";

const BLOCK = 65_536;
const FILE = Buffer.concat([randomBytes(40 * BLOCK), Buffer.alloc(40 * BLOCK), randomBytes(12_345)]);
const SHA256 = createHash("sha256").update(FILE).digest("hex");
const SOURCE = { node: "n", name: "a.tar", bytes: FILE.length, identity: `${FILE.length} 1 2` };

function encode(codec: Codec, plain: Buffer): Buffer {
  return codec === "gzip" ? gzipSync(plain) : codec === "zstd" ? zstdCompressSync(plain) : plain;
}

/** A node's file, whose answers pass through `fault` on their way. */
function source(codecs: readonly Codec[], fault: (bytes: Buffer, request: PieceRequest) => Buffer = (bytes) => bytes) {
  const requests: { offset: number; length: number; codec: Codec }[] = [];
  const pour = async (request: PieceRequest): Promise<void> => {
    const { offset, length, codec, sink, signal } = request;
    requests.push({ offset, length, codec });
    assert.ok(offset % BLOCK === 0 && (length % BLOCK === 0 || offset + length === FILE.length), "whole blocks");
    const bytes = fault(encode(codec, FILE.subarray(offset, offset + length)), request);
    for (let at = 0; at < bytes.length; at += 10_000) {
      signal.throwIfAborted();
      await sink(bytes.subarray(at, at + 10_000));
      if (request.enough.aborted) return;
    }
  };
  return { codecs, pour, requests };
}

async function fetch(
  t: TestContext,
  from: ReturnType<typeof source>,
  { path, codec = "auto" }: { path?: string; codec?: Codec | "auto" } = {},
) {
  const final = path ?? join(await temporaryDirectory(t), "a.tar");
  await using directory = await Directory.open(dirname(final));
  const part = await Part.open(directory, basename(final), SOURCE);
  try {
    const result = await download({ source: from, part, codec, streams: 2, signal: t.signal, progress: () => undefined });
    return { ...result, final };
  } finally {
    await part.close();
  }
}

test("all bytes arrive, whatever the codec", async (t) => {
  for (const codec of ["none", "gzip", "zstd"] as const) {
    const { sha256, final, wireBytes } = await fetch(t, source(["none", "gzip", "zstd"]), { codec });
    assert.equal(sha256, SHA256, codec);
    assert.ok(readFileSync(`${final}.part`).equals(FILE));
    assert.equal(statSync(`${final}.part`).mode & 0o777, 0o600);
    assert.equal(wireBytes < FILE.length, codec !== "none");
  }
});

test("exec that truncates with exit status 0, tunnels that end too early: only what is missing is asked for again", async (t) => {
  for (const codec of ["none", "gzip", "zstd"] as const) {
    let faults = 6;
    const from = source([codec], (bytes) => ((faults -= 1) >= 0 ? bytes.subarray(0, Math.floor(bytes.length * 0.6)) : bytes));
    assert.equal((await fetch(t, from, { codec })).sha256, SHA256, codec);
  }
});

test("an answer that is longer than what was asked for is not written", async (t) => {
  let faults = 3;
  const from = source(["none"], (bytes) => ((faults -= 1) >= 0 ? Buffer.concat([bytes, Buffer.from("and more")]) : bytes));
  assert.equal((await fetch(t, from)).sha256, SHA256);
});

test("wrong bytes of the right length show in the hash", async (t) => {
  const from = source(["none"], (bytes, { offset }) => (offset === 0 ? Buffer.alloc(bytes.length, 1) : bytes));
  assert.notEqual((await fetch(t, from)).sha256, SHA256);
});

test("what is there stays over a failure, and is not fetched again", async (t) => {
  const path = join(await temporaryDirectory(t), "a.tar");
  let pieces = 0;
  const broken = source(["none"], (bytes) => {
    if ((pieces += 1) > 1) throw new Error("boom");
    return bytes;
  });
  const lost = {
    ...broken,
    pour: async (request: PieceRequest) => await broken.pour(request).catch(async () => await Promise.reject(new TypeError("a bug"))),
  };
  await assert.rejects(fetch(t, lost, { path }));
  const state = JSON.parse(readFileSync(`${path}.part.json`, "utf8")) as { done: [number, number][] };
  const there = state.done.reduce((total, [begin, end]) => total + end - begin, 0);
  assert.ok(there > 0);
  const rest = source(["none"]);
  assert.equal((await fetch(t, rest, { path })).sha256, SHA256);
  const asked = rest.requests.reduce((total, { length }) => total + length, 0);
  assert.ok(asked <= FILE.length - there + BLOCK, `${asked} asked for, ${FILE.length - there} missing`);
});

test("a part of another state of the file, or a state that makes no sense, is not gone on with", async (t) => {
  const path = join(await temporaryDirectory(t), "a.tar");
  for (const state of [
    "",
    "{",
    "[]",
    JSON.stringify({ version: 2, ...SOURCE, identity: "other", done: [[0, FILE.length]] }),
    JSON.stringify({ version: 2, ...SOURCE, done: [[0, 1e12]] }),
  ]) {
    writeFileSync(`${path}.part`, Buffer.alloc(FILE.length, 7));
    writeFileSync(`${path}.part.json`, state);
    chmodSync(`${path}.part`, 0o644);
    assert.equal((await fetch(t, source(["none"]), { path })).sha256, SHA256, state);
    assert.equal(statSync(`${path}.part`).mode & 0o777, 0o600);
  }
});

test("interrupted, it ends at once and keeps what came", async (t) => {
  const path = await temporaryDirectory(t);
  await using directory = await Directory.open(path);
  const interrupt = new AbortController();
  const from = source(["none"], (bytes) => {
    setTimeout(() => interrupt.abort(new Error("stop")), 1);
    return bytes;
  });
  const part = await Part.open(directory, "a.tar", SOURCE);
  await assert.rejects(
    download({ source: from, part, codec: "auto", streams: 2, signal: interrupt.signal, progress: () => undefined }),
    /stop/,
  );
  await part.close();
  assert.ok(existsSync(join(path, "a.tar.part")));
  assert.ok(!existsSync(join(path, "a.tar")));
});

test("for a pipe: in order, whole, and the hash of what went through", async (t) => {
  let faults = 3;
  const from = source(["none", "zstd"], (bytes) => {
    if ((faults -= 1) >= 0) throw cut("on purpose");
    return bytes;
  });
  const generator = streamFile(from, FILE.length, "auto", t.signal);
  const pieces: Buffer[] = [];
  let next = await generator.next();
  for (; next.done !== true; next = await generator.next()) pieces.push(next.value);
  assert.ok(Buffer.concat(pieces).equals(FILE));
  assert.equal(next.value.sha256, SHA256);
});

test("for a pipe: a piece that was cut continues after what has been read of it; too long an answer is asked for again", async (t) => {
  for (const codec of ["none", "gzip", "zstd"] as const) {
    let asked = 0;
    const from = source([codec], (bytes) => {
      asked += 1;
      if (asked % 4 === 3) return bytes.subarray(0, Math.floor(bytes.length * 0.8));
      return asked % 4 === 0 && codec === "none" ? Buffer.concat([bytes, Buffer.from("and more")]) : bytes;
    });
    const pieces: Buffer[] = [];
    for await (const piece of streamFile(from, FILE.length, codec, t.signal)) pieces.push(Buffer.from(piece));
    assert.ok(Buffer.concat(pieces).equals(FILE), codec);
    assert.ok(from.requests.length > 3, `${codec}: ${from.requests.length} requests`);
  }
});

test("for a pipe: who reads slowly is waited for", async (t) => {
  const [page, all] = [Buffer.alloc(1 << 20, 1), 128];
  let sent = 0;
  const pour = async ({ length, sink, enough }: PieceRequest): Promise<void> => {
    // On a slow machine pieces are small, and need not be whole pages.
    for (let at = 0; at < length && !enough.aborted; at += page.length) {
      const bytes = page.subarray(0, length - at);
      sent += bytes.length / page.length;
      await sink(bytes);
    }
  };
  let read = 0;
  for await (const { length } of streamFile({ codecs: ["none"], pour }, all * page.length, "none", t.signal)) {
    read += length;
    await new Promise((go) => setImmediate(go));
    assert.ok(sent - read / page.length <= 32, `${sent} of ${read / page.length} MiB`);
  }
  assert.equal(read, all * page.length);
});
