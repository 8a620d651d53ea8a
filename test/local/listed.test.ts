// Runs on Linux and macOS only: Windows has neither modes nor links like these.
import assert from "node:assert/strict";
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { listedArchives, rememberListed } from "../../src/local/listed.ts";

const PROD = { contextName: "prod", server: "https://prod.example:6443" };

function home(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "listed-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("names only, in a file of this user alone, by context and server, the last ls each", async (t) => {
  const env = { HOME: home(t) };
  await rememberListed(env, PROD, ["node1:old.tar"]);
  await rememberListed(env, { ...PROD, contextName: "dev" }, ["node9:dev.tar"]);
  await rememberListed(env, PROD, ["node1:b.tar", "node1:a.tar"]);
  assert.deepEqual(await listedArchives(env, PROD), ["node1:b.tar", "node1:a.tar"]);
  assert.deepEqual(await listedArchives(env, { ...PROD, contextName: "dev" }), ["node9:dev.tar"]);
  assert.deepEqual(await listedArchives(env, { ...PROD, server: "https://other.example" }), []);
  const path = join(env.HOME, ".cache/kubectl-checkpoint/archives.json");
  assert.equal(lstatSync(path).mode & 0o777, 0o600);
  assert.equal(lstatSync(join(path, "..")).mode & 0o777, 0o700);
  assert.doesNotMatch(readFileSync(path, "utf8"), /prod/);
});

test("bounded: 500 archives of each of 8 contexts; no name that a shell or a terminal would obey", async (t) => {
  const env = { XDG_CACHE_HOME: home(t) };
  const many = Array.from({ length: 700 }, (_, index) => `node1:checkpoint-${index}.tar`);
  for (let context = 0; context < 12; context += 1) await rememberListed(env, { ...PROD, contextName: String(context) }, many);
  assert.equal((await listedArchives(env, { ...PROD, contextName: "11" })).length, 500);
  assert.equal((await listedArchives(env, { ...PROD, contextName: "4" })).length, 500);
  assert.deepEqual(await listedArchives(env, { ...PROD, contextName: "3" }), []);
  await rememberListed(env, PROD, [
    "n:$(id).tar",
    "n:`id`.tar",
    "n:a b.tar",
    "n:a;b.tar",
    "n:\u001b[2J.tar",
    "n:a\nb.tar",
    "n:~.tar",
    "n:good.tar",
  ]);
  assert.deepEqual(await listedArchives(env, PROD), ["n:good.tar"]);
});

test("what is not there, is broken, or cannot be written is no error", async (t) => {
  const folder = home(t);
  assert.deepEqual(await listedArchives({ HOME: folder }, PROD), []);
  await rememberListed({ HOME: join(folder, "none") }, PROD, ["n:a.tar"]);
  assert.deepEqual(await listedArchives({ HOME: join(folder, "none") }, PROD), []);
  const cache = join(folder, ".cache/kubectl-checkpoint");
  mkdirSync(cache, { recursive: true });
  for (const text of ["", "{", "[1]", '[{"of":1,"places":[{}]}]']) {
    writeFileSync(join(cache, "archives.json"), text);
    assert.deepEqual(await listedArchives({ HOME: folder }, PROD), []);
  }
  // A link there is replaced, never written through.
  writeFileSync(join(folder, "precious"), "kept");
  rmSync(join(cache, "archives.json"));
  symlinkSync(join(folder, "precious"), join(cache, "archives.json"));
  await rememberListed({ HOME: folder }, PROD, ["n:a.tar"]);
  assert.equal(readFileSync(join(folder, "precious"), "utf8"), "kept");
  assert.deepEqual(await listedArchives({ HOME: folder }, PROD), ["n:a.tar"]);
});
