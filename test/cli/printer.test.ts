import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { Printer } from "../../src/cli/printer.ts";
import { usageError } from "../../src/model/error.ts";
import { say } from "../../src/model/phrase.ts";

function printerTo(stdout: PassThrough, format?: string): Printer {
  const stream = stdout as unknown as NodeJS.WriteStream;
  const stderr = new PassThrough() as unknown as NodeJS.WriteStream;
  return new Printer({ stdout: stream, stderr, env: {}, format, color: "never", quiet: true, level: 0, exchangeLog: undefined });
}

const BYTES = Buffer.from([0, 27, 91, 255, 10, 13]);

async function* pieces(count: number): AsyncGenerator<Uint8Array> {
  for (let done = 0; done < count; done += 1) yield await Promise.resolve(BYTES);
}

test("raw bytes reach stdout as they are, whatever the format, and wait for a slow reader", async () => {
  for (const format of [undefined, "json", "name"]) {
    const stdout = new PassThrough({ highWaterMark: 16 });
    const received: Buffer[] = [];
    setTimeout(() => stdout.on("data", (data: Buffer) => received.push(data)), 5);
    await printerTo(stdout, format).piece({ bytes: pieces(100) });
    assert.ok(Buffer.concat(received).equals(Buffer.concat(Array.from({ length: 100 }, () => BYTES))), String(format));
  }
});

test("a terminal never gets raw bytes", async () => {
  const stdout = Object.assign(new PassThrough(), { isTTY: true });
  await assert.rejects(
    printerTo(stdout).piece({ bytes: pieces(1) }),
    usageError("binary output is not written to a terminal", "redirect it to a file or a pipe"),
  );
  assert.equal(stdout.read(), null);
});

test("a reader that went away ends it as SIGPIPE does", async () => {
  const stdout = new PassThrough({ highWaterMark: 16 });
  setTimeout(() => stdout.destroy(Object.assign(new Error("write EPIPE"), { code: "EPIPE" })), 5);
  await assert.rejects(printerTo(stdout).piece({ bytes: pieces(100) }), { name: "Interrupted", signal: "SIGPIPE" });
});

test("a line waits for a slow reader, as long as there is one", async () => {
  const stdout = new PassThrough({ highWaterMark: 16 });
  const printer = printerTo(stdout);
  let printed = 0;
  const printing = (async () => {
    for (; printed < 20; printed += 1) await printer.piece({ text: say`a line of its own` });
  })();
  await new Promise((done) => setTimeout(done, 5));
  assert.equal(printed, 0);
  stdout.once("data", () => stdout.pause());
  stdout.resume();
  await new Promise((done) => setTimeout(done, 5));
  assert.ok(printed > 0 && printed < 20, `${printed} printed`);
  stdout.on("error", () => {});
  stdout.destroy(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
  // The command is told by its signal, and cleans up.
  await printing;
});

test("a document waits for a slow reader, and ends with it", async () => {
  const document = { kind: "List", items: Array.from({ length: 200 }, () => "x".repeat(10_000)) };
  for (const format of ["json", "yaml"]) {
    const stdout = new PassThrough();
    const printing = printerTo(stdout, format).outcome({ document, exitCode: 0 });
    await new Promise((done) => setTimeout(done, 50));
    assert.ok(stdout.readableLength + stdout.writableLength < 300_000, `${stdout.writableLength} written ahead`);
    stdout.on("error", () => {});
    stdout.destroy(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
    await printing;
  }
});
