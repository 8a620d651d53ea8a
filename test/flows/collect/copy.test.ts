// A copy of an archive that is here already: its record.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { copyCaptured } from "../../../src/flows/collect/copy/captured.ts";
import { readPod } from "../../../src/cluster/pods.ts";
import type { Helpers } from "../../../src/helper/helpers.ts";
import { openDestination } from "../../../src/local/destination.ts";
import type { CheckpointItem } from "../../../src/model/documents.ts";
import { nodeArchive } from "../../../src/model/location.ts";
import { connectTo, context, fakeApiserver } from "../../fakes.ts";

const BYTES = Buffer.alloc(1024, "x");
const SHA256 = createHash("sha256").update(BYTES).digest("hex");
const DIRECTORY = "/var/lib/kubelet/checkpoints";
const ITEM = { namespace: "web", pod: "p", podUID: "u", container: "c", node: "n", nodePath: `${DIRECTORY}/a.tar` } as CheckpointItem;

/** The archive is here under its final name, as a kill just after publishing it leaves it. */
async function copied(t: TestContext, podUID: string) {
  const server = await fakeApiserver(t, (_request, response) => void response.writeHead(403).end());
  const to = await mkdtemp(join(tmpdir(), "kubectl-checkpoint-test-"));
  t.after(async () => await rm(to, { recursive: true, force: true }));
  await writeFile(join(to, "a.tar"), BYTES);
  const directory = {
    nameOf: () => "a.tar",
    ready: async () => await Promise.resolve({ pod: { imageID: "busybox@sha256:1" } }),
    codecs: async () => await Promise.resolve(["none"]),
    stat: async (name: string) => await Promise.resolve({ name, bytes: BYTES.length, identity: "1", closed: true, age: 100 }),
    sha256: async () => await Promise.resolve({ sha256: SHA256, identity: "1" }),
    [Symbol.asyncDispose]: async () => await Promise.resolve(),
  };
  const helpers = { directory: () => directory, namespace: async () => await Promise.resolve("kube-system") } as unknown as Helpers;
  const pod = readPod({ metadata: { namespace: "web", name: "p", uid: podUID }, spec: { nodeName: "n", containers: [{ name: "c" }] } });
  const [container] = pod.containers;
  assert.ok(container);
  const flow = { ...context(t.signal), connection: await connectTo(t, server) };
  const destination = await openDestination(to);
  t.after(async () => await destination[Symbol.asyncDispose]());
  const plan = { helpers, destination, force: false, codec: "auto", remove: false, [Symbol.asyncDispose]: async () => {} } as const;
  const take = async () =>
    await copyCaptured(flow, { pod, container }, { item: ITEM, archive: nodeArchive("n", `${DIRECTORY}/a.tar`) }, plan);
  return { take, record: join(to, "a.tar.json") };
}

test("a record that is missing is written, and one that is there stays", async (t) => {
  const { take, record } = await copied(t, "u");
  const { item, error } = await take();
  assert.equal(error, undefined);
  assert.equal(item.copy?.record, record);
  const written = JSON.parse(await readFile(record, "utf8")) as Record<string, unknown>;
  const { items, record: evidence } = written as { items: CheckpointItem[]; record: Record<string, unknown> };
  assert.equal(items[0]?.copy?.sha256, SHA256);
  assert.deepEqual([items[0]?.pod, evidence["helper"]], ["p", { image: "busybox@sha256:1" }]);
  assert.deepEqual(
    (evidence["hashes"] as { value: string }[]).map(({ value }) => value),
    [SHA256, SHA256],
  );
  assert.equal((evidence["pod"] as { metadata: { uid: string } }).metadata.uid, "u");
  await writeFile(record, "mine");
  assert.equal((await take()).error, undefined);
  assert.equal(await readFile(record, "utf8"), "mine");
});

test("the manifest of another pod of that name is not in it", async (t) => {
  const { take, record } = await copied(t, "another");
  assert.equal((await take()).error, undefined);
  const { record: evidence } = JSON.parse(await readFile(record, "utf8")) as { record: Record<string, unknown> };
  assert.equal(evidence["pod"], undefined);
});
