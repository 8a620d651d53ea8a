// Runs on Linux and macOS only: it looks at file modes and kills a process.
// Whose a part is: a process is known by when it started, not by a number that the next one gets.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Directory } from "../../src/local/directory.ts";
import { Part } from "../../src/local/part.ts";
import { isRunning, ownIdentity, type ProcessIdentity } from "../../src/local/process.ts";
import { temporaryDirectory } from "../e2e/harness.ts";

const SOURCE = { node: "n", name: "a.tar", bytes: 1000, identity: "1000 1 2" };
const ROOT = join(import.meta.dirname, "../..");

/** Another process, its identity by its own words. */
async function another(t: TestContext): Promise<{ identity: ProcessIdentity; end: () => Promise<void> }> {
  const program = `import { ownIdentity } from "${join(ROOT, "src/local/process.ts")}"; console.log(JSON.stringify(await ownIdentity())); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  t.after(() => void child.kill("SIGKILL"));
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return {
    identity: JSON.parse(line.toString()) as ProcessIdentity,
    end: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function leftBy(t: TestContext, writer: object): Promise<string> {
  const path = await temporaryDirectory(t);
  writeFileSync(join(path, "a.tar.part"), Buffer.alloc(500), { mode: 0o600 });
  writeFileSync(join(path, "a.tar.part.json"), JSON.stringify({ version: 2, writer, ...SOURCE, done: [[0, 500]] }), { mode: 0o600 });
  return path;
}

async function resumed(path: string): Promise<Part["done"]> {
  await using directory = await Directory.open(path);
  const part = await Part.open(directory, "a.tar", SOURCE);
  const { done } = part;
  await part.close();
  return done;
}

test("a part that a living process writes is not disturbed; once it has ended, it is resumed", async (t) => {
  const { identity, end } = await another(t);
  assert.equal(await isRunning(identity), true);
  const path = await leftBy(t, identity);
  await assert.rejects(resumed(path), { reason: "AlreadyCopying", why: `process ${identity.pid} is writing it` });
  await end();
  assert.equal(await isRunning(identity), false);
  assert.deepEqual(await resumed(path), [[0, 500]]);
  const { writer } = JSON.parse(readFileSync(join(path, "a.tar.part.json"), "utf8")) as { writer: unknown };
  assert.deepEqual(writer, await ownIdentity());
});

test("the number of a process that ended belongs to another one by now", async (t) => {
  const { identity } = await another(t);
  const path = await leftBy(t, { ...identity, started: String(Number(identity.started) - 5_000_000) });
  assert.deepEqual(await resumed(path), [[0, 500]]);
});

test("a process elsewhere cannot be seen: what was written lately is left alone, what is old is taken over", async (t) => {
  const { identity } = await another(t);
  const path = await leftBy(t, { ...identity, place: "another machine" });
  await assert.rejects(resumed(path), { reason: "AlreadyCopying", why: /in another container or on another machine/ });
  const old = Date.now() / 1000 - 600;
  utimesSync(join(path, "a.tar.part.json"), old, old);
  assert.deepEqual(await resumed(path), [[0, 500]]);
});

test("one command does not copy two archives to one name at once", async (t) => {
  await using directory = await Directory.open(await temporaryDirectory(t));
  const part = await Part.open(directory, "a.tar", SOURCE);
  await assert.rejects(Part.open(directory, "a.tar", { ...SOURCE, name: "b.tar" }), { reason: "AlreadyCopying" });
  await part.close();
  await (await Part.open(directory, "a.tar", SOURCE)).discard();
  assert.deepEqual(await directory.names(), []);
});
