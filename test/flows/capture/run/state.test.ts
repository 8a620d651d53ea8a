// Runs on Linux and macOS only: it looks at file modes.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { readPod } from "../../../../src/cluster/pods.ts";
import { RunState, type RunDocument } from "../../../../src/flows/capture/run/state.ts";
import type { CheckpointItem } from "../../../../src/model/documents.ts";
import { UserError } from "../../../../src/model/error.ts";

const START = { startedAt: "2026-11-24T06:10:21.123Z", server: "https://s", options: { perNode: 1, parallel: 8 } };
const POD = readPod({
  metadata: { name: "p", namespace: "web", uid: "u" },
  spec: { nodeName: "n", containers: [{ name: "a" }, { name: "b" }] },
});
const TARGETS = POD.containers.map((container) => ({ pod: POD, container }));

async function place(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "kubectl-checkpoint-test-"));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  return join(directory, "run.json");
}

function result(container: string): { item: CheckpointItem } {
  return { item: { namespace: "web", pod: "p", container, nodePath: `/c/${container}.tar` } as CheckpointItem };
}

test("it is on the disk after every result, mode 0600", async (t) => {
  const path = await place(t);
  const state = await RunState.create(path, START, TARGETS);
  await state.update(result("b"));
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(
    (await RunState.read(path)).document.items.map((item) => item.result?.nodePath),
    [undefined, "/c/b.tar"],
  );
});

test("what cannot be written is a UserError, leaves the last state, and is written with the next result", async (t) => {
  const path = await place(t);
  await assert.rejects(RunState.create(join(path, "none"), START, TARGETS), { name: "UserError", reason: "DestinationUnusable" });
  const state = await RunState.create(path, START, TARGETS);
  const before = await readFile(path, "utf8");
  await mkdir(join(`${path}.new`, "in-the-way"), { recursive: true });
  await assert.rejects(state.update(result("a")), (error) => error instanceof UserError && error.message === `cannot write ${path}.new`);
  assert.equal(await readFile(path, "utf8"), before);
  await rm(`${path}.new`, { recursive: true });
  await state.update(result("b"));
  assert.equal((await RunState.read(path)).document.items.filter((item) => item.result !== undefined).length, 2);
});

test("a damaged file is refused in the user's terms", async (t) => {
  const path = await place(t);
  const { document } = await RunState.create(path, START, TARGETS);
  const [item] = document.items;
  const broken: [Partial<Record<keyof RunDocument, unknown>>, RegExp][] = [
    [{ options: null }, /^its options are damaged$/],
    [{ options: {} }, /^its options are damaged$/],
    [{ options: { perNode: 0, parallel: 8 } }, /^its options are damaged$/],
    [{ options: { perNode: 1.5, parallel: 8 } }, /^its options are damaged$/],
    [{ options: { perNode: 1, parallel: "8" } }, /^its options are damaged$/],
    [{ options: { ...START.options, timeoutMs: -1 } }, /^its options are damaged$/],
    [{ options: { ...START.options, copy: null } }, /^its options are damaged$/],
    [{ options: { ...START.options, copy: { destination: "/x" } } }, /^its options are damaged$/],
    [{ items: [] }, /^it is damaged$/],
    [{ items: [{ ...item, result: null }] }, /^it is damaged$/],
    [{ items: [{ ...item, result: { nodePath: 5 } }] }, /^it is damaged$/],
    [{ kind: "Other" }, /another kind/],
  ];
  for (const [change, why] of broken) {
    await writeFile(path, JSON.stringify({ ...document, ...change }));
    await assert.rejects(RunState.read(path), { name: "UserError", reason: "RunFileUnusable", exitCode: 1, why }, JSON.stringify(change));
  }
});
