// Runs on Linux and macOS only: it looks at links and file modes.
import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { test, type TestContext } from "node:test";
import { verb as completion } from "../../src/commands/completion.ts";
import { installCompletion, uninstallCompletion } from "../../src/local/completion.ts";
import { requestOf } from "../commands/running.ts";

const NAME = "kubectl_complete-checkpoint";

/** A home with ~/bin, krew's folder and one of the system, in this order in PATH. */
async function machine(t: TestContext) {
  const root = await mkdtemp(join(tmpdir(), "install-"));
  t.after(async () => await rm(root, { recursive: true }));
  const [system, bin, krew] = [join(root, "usr/bin"), join(root, "home/bin"), join(root, "home/.krew/bin")] as const;
  for (const folder of [system, bin, krew]) await mkdir(folder, { recursive: true });
  return { system, bin, krew, env: { HOME: join(root, "home"), PATH: [system, bin, krew].join(delimiter) } };
}

test("beside the plugin, executable, once", async (t) => {
  const { krew, env } = await machine(t);
  await writeFile(join(krew, "kubectl-checkpoint"), "");
  const path = join(krew, NAME);
  assert.deepEqual(await installCompletion(env), { path, written: true });
  assert.equal((await stat(path)).mode & 0o777, 0o755);
  assert.match(await readFile(path, "utf8"), /^#!\/bin\/sh\nexec kubectl-checkpoint __complete "\$@"/);
  assert.deepEqual(await installCompletion(env), { path, written: false });
});

test("a file of another version is replaced", async (t) => {
  const { bin, env } = await machine(t);
  await writeFile(join(bin, NAME), "#!/bin/bash\nkubectl-checkpoint __complete old\n");
  assert.deepEqual(await installCompletion(env), { path: join(bin, NAME), written: true });
});

test("where the plugin is in no folder of PATH that can be written, a folder of the user's", async (t) => {
  const { system, bin, env } = await machine(t);
  assert.deepEqual(await installCompletion(env), { path: join(bin, NAME), written: true });
  await rm(join(bin, NAME));
  await chmod(bin, 0o555);
  const { path } = await installCompletion({ ...env, PATH: [system, bin].join(delimiter) });
  // root may write everywhere.
  assert.equal(path, join(process.getuid?.() === 0 ? bin : system, NAME));
});

test("a file that is not ours stays, and is said", async (t) => {
  const { bin, env } = await machine(t);
  await writeFile(join(bin, NAME), "#!/bin/sh\necho mine\n");
  await assert.rejects(installCompletion(env), { reason: "CompletionTaken" });
  assert.deepEqual(await uninstallCompletion(env), []);
  assert.equal(await readFile(join(bin, NAME), "utf8"), "#!/bin/sh\necho mine\n");
});

test("nothing is written through a link", async (t) => {
  const { bin, env } = await machine(t);
  const target = join(bin, "..", "precious");
  await writeFile(target, "");
  await symlink(target, join(bin, NAME));
  await assert.rejects(installCompletion(env), { reason: "CompletionTaken" });
  await rm(target);
  await assert.rejects(installCompletion(env), { reason: "CompletionTaken" });
});

test("no folder that can be written, no PATH", async () => {
  await assert.rejects(installCompletion({ PATH: "/nonexistent", HOME: "/nonexistent" }), { reason: "NoWritableFolder" });
  await assert.rejects(installCompletion({}), { reason: "NoWritableFolder" });
});

test("uninstalling removes it from every folder of PATH", async (t) => {
  const { system, krew, env } = await machine(t);
  for (const folder of [system, krew]) await installCompletion({ HOME: env.HOME, PATH: folder });
  assert.deepEqual(await uninstallCompletion(env), [join(system, NAME), join(krew, NAME)]);
  assert.deepEqual(await uninstallCompletion(env), []);
});

test("one of --install and --uninstall", () => {
  const request = (words: readonly string[], ...names: readonly string[]): string =>
    requestOf(completion, words, Object.fromEntries(names.map((name) => [name, true])));
  assert.equal(request([], "install"), "install");
  assert.equal(request([], "uninstall"), "uninstall");
  for (const [words, given] of [
    [[], []],
    [[], ["install", "uninstall"]],
    [["bash"], ["install"]],
  ] as const) {
    assert.throws(() => request(words, ...given), { exitCode: 2 });
  }
});
