// A copy of an archive that is here already: its record.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { copyCaptured } from "../../../src/flows/collect/copy/captured.ts";
import type { CopyAgain } from "../../../src/flows/collect/copy/copy.ts";
import { readPod } from "../../../src/cluster/pods.ts";
import type { Helpers } from "../../../src/helper/helpers.ts";
import { openDestination } from "../../../src/local/destination.ts";
import type { Event } from "../../../src/model/context.ts";
import type { CheckpointItem } from "../../../src/model/documents.ts";
import { Interrupted } from "../../../src/model/error.ts";
import { nodeArchive, type NodeArchive } from "../../../src/model/location.ts";
import { command, plain, say, type Phrase } from "../../../src/model/phrase.ts";
import { connectTo, context, fakeApiserver } from "../../fakes.ts";

const BYTES = Buffer.alloc(1024, "x");
const SHA256 = createHash("sha256").update(BYTES).digest("hex");
const DIRECTORY = "/var/lib/kubelet/checkpoints";
const ITEM = { namespace: "web", pod: "p", podUID: "u", container: "c", node: "n", nodePath: `${DIRECTORY}/a.tar` } as CheckpointItem;

interface Circumstances {
  /** The archive is not here, and of its bytes none arrives any more. */
  readonly missing?: boolean;
  readonly encryptTo?: readonly string[];
  readonly again?: CopyAgain;
  /** It is stopped while the node answers how long the archive is. */
  readonly early?: boolean;
  /** What is in the directory before. */
  readonly files?: Readonly<Record<string, string>>;
  /** It is stopped when this has been said. */
  readonly stopAt?: RegExp;
  /** The emptyDirs that are copied too. */
  readonly volumes?: readonly string[];
}

function chosen(names: readonly string[]) {
  return { node: "n", pod: "p", podUID: "u", directory: "/var/lib/kubelet/pods/u/volumes/kubernetes.io~empty-dir", names, mounts: [] };
}

/** The archive is here under its final name, as a kill just after publishing it leaves it. */
async function copied(
  t: TestContext,
  podUID: string,
  { missing = false, encryptTo, again, volumes, early = false, files = {}, stopAt }: Circumstances = {},
) {
  const server = await fakeApiserver(t, (_request, response) => void response.writeHead(403).end());
  const to = await mkdtemp(join(tmpdir(), "kubectl-checkpoint-test-"));
  t.after(async () => await rm(to, { recursive: true, force: true }));
  if (!missing) await writeFile(join(to, "a.tar"), BYTES);
  for (const [name, text] of Object.entries(files)) await writeFile(join(to, name), text);
  const stop = new AbortController();
  const pouring = async (): Promise<never> =>
    await new Promise((_, reject) => {
      stop.signal.addEventListener("abort", () => reject(stop.signal.reason as Error));
      stop.abort(new Interrupted("SIGINT"));
    });
  const directory = {
    pour: pouring,
    nameOf: () => "a.tar",
    ready: async () => await Promise.resolve({ pod: { imageID: "busybox@sha256:1" } }),
    codecs: async () => await Promise.resolve(["none"]),
    stat: async (name: string) =>
      early ? await pouring() : await Promise.resolve({ name, bytes: BYTES.length, identity: "1", closed: true, age: 100 }),
    sha256: async () => await Promise.resolve({ sha256: SHA256, identity: "1" }),
    [Symbol.asyncDispose]: async () => await Promise.resolve(),
  };
  const endless = async (): Promise<never> =>
    await new Promise((_, reject) => stop.signal.addEventListener("abort", () => reject(stop.signal.reason as Error)));
  const helpers = {
    directory: () => directory,
    volumes: () => ({ list: endless, [Symbol.asyncDispose]: async () => await Promise.resolve() }),
    namespace: async () => await Promise.resolve("kube-system"),
  } as unknown as Helpers;
  const pod = readPod({ metadata: { namespace: "web", name: "p", uid: podUID }, spec: { nodeName: "n", containers: [{ name: "c" }] } });
  const [container] = pod.containers;
  assert.ok(container);
  const own = context(missing || stopAt !== undefined ? stop.signal : t.signal);
  const emit = (event: Event): void => {
    own.emit(event);
    if (event.kind === "hint" && stopAt?.test(plain(event.text)) === true) stop.abort(new Interrupted("SIGINT"));
  };
  const flow = { ...own, emit, connection: await connectTo(t, server) };
  const destination = await openDestination(to);
  t.after(async () => await destination[Symbol.asyncDispose]());
  const { openEvidence } = await import("../../../src/flows/evidence/open.ts");
  const options = { signKey: undefined, timestamp: undefined, custody: undefined, replace: false };
  const evidence = encryptTo === undefined ? undefined : await openEvidence(flow, { ...options, encryptTo });
  const plan = {
    helpers,
    destination,
    force: false,
    codec: "none",
    remove: false,
    evidence,
    again,
    ...(volumes === undefined ? {} : { volumes: { of: () => chosen(volumes), brought: new Map(), large: false } }),
    [Symbol.asyncDispose]: async () => {},
  } as const;
  const take = async () =>
    await copyCaptured(flow, { pod, container }, { item: ITEM, archive: nodeArchive("n", `${DIRECTORY}/a.tar`) }, plan);
  const hints = (): string[] => flow.events.flatMap((event) => (event.kind === "hint" ? [plain(event.text)] : []));
  return { take, hints, to, record: join(to, "a.tar.json") };
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

test("a copy that is stopped says how to continue; one of a run leaves that to the run; one that is encrypted begins again", async (t) => {
  const again = (archive: NodeArchive, path: string): Phrase => command`kubectl checkpoint cp ${archive.node}:${archive.path} ${path}`;
  const how = (to: string): string => `kubectl checkpoint cp n:${DIRECTORY}/a.tar ${to}/a.tar`;
  const alone = await copied(t, "u", { missing: true, again });
  await assert.rejects(alone.take(), Interrupted);
  assert.deepEqual(alone.hints(), [`0 B of 1.0 KiB were copied; to continue: ${how(alone.to)}`]);
  const ofRun = await copied(t, "u", { missing: true });
  await assert.rejects(ofRun.take(), Interrupted);
  assert.deepEqual(ofRun.hints(), []);
  const encryptTo = [await identityToRecipient(await generateX25519Identity())];
  const encrypted = await copied(t, "u", { missing: true, again, encryptTo });
  await assert.rejects(encrypted.take(), Interrupted);
  assert.deepEqual(encrypted.hints(), [`an encrypted copy cannot be resumed; to copy from the beginning: ${how(encrypted.to)}`]);
});

test("a copy that is stopped before anything of it arrived, or after it has its name: what is there, and nothing else, is said", async (t) => {
  const again: CopyAgain = (_archive, _path, replace = false) => command`again${replace ? say` --force` : say``}`;
  const part = (name: string): string =>
    JSON.stringify({ version: 2, node: "n", name, bytes: BYTES.length, identity: "1", done: [[0, 512]] });
  const states: readonly (readonly [Readonly<Record<string, string>>, (to: string) => string])[] = [
    [{}, () => "nothing was copied; to copy it: again"],
    [{ "a.tar": "x" }, (to) => `${to}/a.tar already exists and was not compared with the archive; to compare it: again`],
    [
      { "a.tar.part": "x", "a.tar.part.json": part("a.tar") },
      () => "nothing more was copied: 512 B of 1.0 KiB are there from an earlier copy; to continue: again",
    ],
    [
      { "a.tar.part": "x", "a.tar.part.json": part("b.tar") },
      (to) => `nothing was copied, but ${to}/a.tar.part of an earlier copy is there; to copy it: again`,
    ],
    [{ "a.tar.part": "x" }, (to) => `nothing was copied, but ${to}/a.tar.part of an earlier copy is there; to copy it: again`],
  ];
  for (const [files, said] of states) {
    const { take, hints, to } = await copied(t, "u", { missing: true, early: true, again, files });
    await assert.rejects(take(), Interrupted);
    assert.deepEqual(hints(), [said(to)]);
  }
  const named = await copied(t, "u", { again, stopAt: /has the same bytes$/ });
  await mkdir(join(named.to, "a.tar.json.new"));
  assert.equal((await named.take()).error?.reason, "DestinationUnusable");
  assert.equal(named.hints().at(-1), `${named.to}/a.tar is complete, but its record could not be written; to write it: again`);
});

test("volumes whose copy is stopped: the command that takes them with a new checkpoint; of a run it is not said", async (t) => {
  const again = (archive: NodeArchive, path: string): Phrase => command`kubectl checkpoint cp ${archive.node}:${archive.path} ${path}`;
  const alone = await copied(t, "u", { missing: true, again, volumes: ["cache", "data"] });
  await assert.rejects(alone.take(), Interrupted);
  const text = `the volumes of pod/p were not copied; a new checkpoint copies them: kubectl checkpoint pod/p -n web -c c --copy=${alone.to} --volumes=cache,data`;
  assert.deepEqual(alone.hints().toSorted().reverse(), [
    text,
    `0 B of 1.0 KiB were copied; to continue: kubectl checkpoint cp n:${DIRECTORY}/a.tar ${alone.to}/a.tar`,
  ]);
  const ofRun = await copied(t, "u", { missing: true, volumes: ["cache"] });
  await assert.rejects(ofRun.take(), Interrupted);
  assert.deepEqual(ofRun.hints(), []);
});
