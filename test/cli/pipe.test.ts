// Runs on Linux and macOS only: it pipes through a shell.
// What goes into a pipe arrives whole, however slowly it is read.
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { tar } from "../archive/tars.ts";
import { checkpoint } from "../criu/synthetic.ts";
import { builtCommand } from "./built.ts";

const COMMAND = await builtCommand();
const ARCHIVE = join(import.meta.dirname, "../data/archives/containerd-2.1.9-criu4.2.1-k8s-redis.tar");

test("more than a pipe holds, to a reader that takes its time", () => {
  const words = ["search", ARCHIVE, "e", "--around", "200", "-o", "json"];
  const command = `'${process.execPath}' '${COMMAND}' ${words.map((word) => `'${word}'`).join(" ")} | (sleep 1; cat)`;
  const text = execFileSync("sh", ["-c", command], { encoding: "utf8", maxBuffer: 1 << 28 });
  const { items } = JSON.parse(text) as { items: unknown[] };
  assert.ok(text.length > 200_000 && items.length === 1000, `${text.length} characters, ${items.length} matches`);
});

test("a reader that goes away ends it, quietly", () => {
  const command = `'${process.execPath}' '${COMMAND}' search '${ARCHIVE}' session --around 200 2>&1 >/dev/null | head -c 1; '${process.execPath}' '${COMMAND}' search '${ARCHIVE}' session -o json | head -n 1`;
  assert.equal(execFileSync("sh", ["-c", command], { encoding: "utf8" }), "{\n");
});

const folder = mkdtempSync(join(tmpdir(), "pipe-"));
after(() => rmSync(folder, { recursive: true }));

/** An archive with nothing but this in memory. */
function archiveOf(bytes: Buffer): string {
  const pages = bytes.length / 4096;
  const process = { pid: 1, mappings: [{ start: 0x10000n, pages }], runs: [{ vaddr: 0x10000n, pages, flags: 4 }], bytes };
  const files = { ...checkpoint({ processes: [process] }), "config.dump": Buffer.from("{}") };
  const path = join(folder, "made.tar");
  writeFileSync(path, tar(...Object.entries(files).map(([name, data]) => ({ name, data }))));
  return path;
}

test("a search ends where its reader goes away, and not at its own end", async () => {
  const path = archiveOf(Buffer.alloc(4 << 20, "needle-1 "));
  const child = spawn(process.execPath, [COMMAND, "search", path, "needle-1", "--max", "0"], { stdio: ["ignore", "pipe", "inherit"] });
  const [first] = (await once(child.stdout, "data")) as [Buffer];
  assert.match(first.toString(), /^1 test 0x10000 /);
  child.stdout.destroy();
  assert.deepEqual(await once(child, "exit"), [141, null]);
});

test("a document of much context stays within memory", () => {
  const bytes = Buffer.alloc(4 << 20);
  for (let at = 0; at < bytes.length; at += 8192) bytes.write("N", at);
  const words = [COMMAND, "search", archiveOf(bytes), "--hex", "4e0000", "--around", "65536", "-o", "json"];
  const { status, stdout } = spawnSync(process.execPath, ["--max-old-space-size=200", ...words], { maxBuffer: 1 << 28 });
  assert.equal(status, 2);
  const { items, complete } = JSON.parse(stdout.toString()) as { items: unknown[]; complete: boolean };
  assert.ok(items.length > 50 && !complete, `${items.length} matches`);
});
