// Runs on Linux and macOS only: owners and modes of files.
// The start of the command (.ci/build/loader.cjs) keeps what V8 made of its chunks, and runs only what this user alone can have written.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT, temporaryFolder } from "./packaged.ts";

const EXECUTABLE = join(ROOT, "dist/kubectl-checkpoint");
const NPM = join(ROOT, "dist/npm");
const CHUNK = "command.cjs";
const RIGHT = /\(Node\.js /;
const EVIL = /\(Evil\.js /;
const NOBODY = 65_534;
const NOT_ROOT = process.geteuid?.() === 0 ? false : "only root can give files to somebody else";

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function version(env: NodeJS.ProcessEnv, ...command: string[]): Ended {
  const [file = EXECUTABLE, ...args] = command;
  const { status, stdout, stderr } = spawnSync(file, [...args, "--version"], { encoding: "utf8", env });
  return { code: status, stdout, stderr };
}

/** A home in which the command has run once, and the directory that this made. */
async function home(...command: string[]): Promise<{ env: NodeJS.ProcessEnv; folder: string; cache: string }> {
  const folder = await temporaryFolder();
  const env = { HOME: folder };
  assert.equal(version(env, ...command).code, 0);
  const parent = join(folder, ".cache/kubectl-checkpoint");
  return { env, folder, cache: join(parent, readdirSync(parent)[0] ?? "") };
}

/** What a start keeps of a chunk with another text of the same length: what of it is run can be seen. */
async function otherCode(): Promise<Buffer> {
  const folder = await temporaryFolder();
  cpSync(NPM, folder, { recursive: true });
  const chunk = join(folder, CHUNK);
  writeFileSync(chunk, readFileSync(chunk, "utf8").replaceAll("Node.js", "Evil.js"));
  const { env, cache } = await home(process.execPath, join(folder, "kubectl-checkpoint.cjs"));
  assert.match(version(env).stdout, EVIL);
  return readFileSync(join(cache, CHUNK));
}

const other = await otherCode();

test("the second start, of the executable and of the npm package, takes what the first one has kept, for this user alone", async () => {
  const { env, folder, cache } = await home();
  assert.deepEqual(
    [".cache", ".cache/kubectl-checkpoint"].map((name) => lstatSync(join(folder, name)).mode & 0o777),
    [0o700, 0o700],
  );
  assert.equal(lstatSync(cache).mode & 0o777, 0o700);
  for (const name of readdirSync(cache)) assert.equal(lstatSync(join(cache, name)).mode & 0o777, 0o600, name);
  writeFileSync(join(cache, CHUNK), other);
  for (const command of [[EXECUTABLE], [process.execPath, join(NPM, "kubectl-checkpoint.cjs")]])
    assert.match(version(env, ...command).stdout, EVIL);
});

const UNTRUSTED: Record<string, (path: string) => void> = {
  "a changed byte": (path) => writeFileSync(path, Buffer.concat([other.subarray(0, -1), Buffer.of(other.readUInt8(other.length - 1) ^ 1)])),
  "a file that was cut": (path) => writeFileSync(path, other.subarray(0, other.length / 2)),
  "an empty file": (path) => writeFileSync(path, ""),
  "data of another V8": (path) => writeFileSync(path, Buffer.alloc(4096)),
  "a file that others can write": (path) => {
    writeFileSync(path, other);
    chmodSync(path, 0o620);
  },
  "a link": (path) => {
    writeFileSync(`${path}.target`, other);
    execFileSync("rm", [path]);
    symlinkSync(`${path}.target`, path);
  },
  "a pipe": (path) => {
    execFileSync("rm", [path]);
    execFileSync("mkfifo", [path]);
  },
};

for (const [what, make] of Object.entries(UNTRUSTED)) {
  test(`${what} is not run, and is replaced`, async () => {
    const { env, cache } = await home();
    const path = join(cache, CHUNK);
    make(path);
    const { code, stdout, stderr } = version(env);
    assert.deepEqual([code, RIGHT.test(stdout), stderr], [0, true, ""]);
    const { mode } = lstatSync(path);
    assert.equal(mode, 0o100600);
    assert.match(version(env).stdout, RIGHT);
  });
}

test("a file of somebody else is not run; in a home of somebody else nothing is read or written", { skip: NOT_ROOT }, async () => {
  const { env, folder, cache } = await home();
  writeFileSync(join(cache, CHUNK), other);
  chownSync(join(cache, CHUNK), NOBODY, NOBODY);
  assert.match(version(env).stdout, RIGHT);
  writeFileSync(join(cache, CHUNK), other);
  chownSync(folder, NOBODY, NOBODY);
  assert.match(version(env).stdout, RIGHT);
  execFileSync("rm", ["-r", join(folder, ".cache")]);
  assert.match(version(env).stdout, RIGHT);
  assert.equal(existsSync(join(folder, ".cache")), false);
});

test("without a home, and where it is turned off, nothing is kept and nothing is said", async () => {
  const folder = await temporaryFolder();
  for (const env of [{ HOME: join(folder, "none") }, { HOME: folder, NODE_DISABLE_COMPILE_CACHE: "1" }]) {
    const { code, stdout, stderr } = version(env);
    assert.deepEqual([code, RIGHT.test(stdout), stderr], [0, true, ""]);
  }
  assert.deepEqual(readdirSync(folder), []);
});

test("what other builds have kept goes when they were not used for a week", async () => {
  const folder = await temporaryFolder();
  const parent = join(folder, "kubectl-checkpoint");
  const [old, recent] = [join(parent, "code-old"), join(parent, "code-recent")];
  for (const path of [old, recent]) mkdirSync(path, { recursive: true });
  writeFileSync(join(parent, "layers.json"), "[]");
  const weeks = Date.now() / 1000 - 14 * 86_400;
  for (const path of [old, join(parent, "layers.json")]) utimesSync(path, weeks, weeks);
  assert.equal(version({ XDG_CACHE_HOME: folder }).code, 0);
  assert.deepEqual([existsSync(old), existsSync(recent), existsSync(join(parent, "layers.json"))], [false, true, true]);
});
