// Runs on Linux and macOS only: its kubeconfig is /dev/null.
// Runs of several containers against a fake cluster: what a real one cannot be made to do at the right moment.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, test, type TestContext } from "node:test";
import { plainText } from "../../../src/cli/render.ts";
import { verb as checkpoint } from "../../../src/commands/checkpoint.ts";
import type { RunDocument } from "../../../src/flows/capture/run/state.ts";
import type { CheckpointList } from "../../../src/model/documents.ts";
import { context, fakeApiserver } from "../../fakes.ts";
import { requestOf } from "../running.ts";

const KUBECONFIG = "/dev/null";

/** `count` running pods web-0, web-1 … of one container on one node. */
function pods(count: number): object[] {
  return Array.from({ length: count }, (_, index) => ({
    metadata: { name: `web-${index}`, namespace: "default", uid: `u${index}` },
    spec: { nodeName: "n", containers: [{ name: "c" }] },
    status: { containerStatuses: [{ name: "c", state: { running: {} }, containerID: `containerd://${index}` }] },
  }));
}

interface Cluster {
  readonly pods: readonly object[];
  /** Before the answer to a checkpoint. */
  readonly posting?: (pod: string) => Promise<void>;
  /** Bytes that each container holds; then there is no room on the node. */
  readonly memory?: number;
}

let directory = "";
before(async () => process.chdir((directory = await mkdtemp(join(tmpdir(), "kubectl-checkpoint-test-")))));
process.on("exit", () => process.chdir("/"));

async function fakeCluster(t: TestContext, { pods: all, posting, memory }: Cluster): Promise<string> {
  t.after(async () => {
    for (const name of await readdir(directory)) await rm(join(directory, name), { recursive: true });
  });
  return await fakeApiserver(t, (request, response) => {
    const json = (status: number, body: unknown): void =>
      void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    const { pathname } = new URL(request.url ?? "", "http://s");
    const pod = /web-(\d+)/.exec(pathname);
    if (request.method === "POST") {
      void (posting?.(pod?.[0] ?? "") ?? Promise.resolve()).then(() =>
        json(200, { items: [`/var/lib/kubelet/checkpoints/${pod?.[0]}.tar`] }),
      );
    } else if (pathname.endsWith("/pods")) json(200, { items: all });
    else if (pod !== null) {
      const found = all[Number(pod[1])];
      json(found === undefined ? 404 : 200, found ?? { kind: "Status", message: "not found" });
    } else if (memory !== undefined && pathname.endsWith("/metrics/resource")) {
      const lines = all.map(
        (_, index) => `container_memory_working_set_bytes{container="c",namespace="default",pod="web-${index}"} ${memory}\n`,
      );
      response.end(lines.join(""));
    } else if (memory !== undefined && pathname.endsWith("/stats/summary")) {
      json(200, { node: { fs: { availableBytes: memory, capacityBytes: memory * 10 } } });
    } else json(403, {});
  });
}

async function ran(t: TestContext, server: string, flags: Record<string, string | boolean>) {
  const surroundings = context(t.signal);
  const request = requestOf(checkpoint, [], { kubeconfig: KUBECONFIG, server, ...flags });
  const running = checkpoint.run(request, { ...surroundings, terminal: false, stdin: () => process.stdin });
  const errors: string[] = [];
  let next = await running.next();
  for (; next.done !== true; next = await running.next()) if (next.value.error !== undefined) errors.push(next.value.error.message);
  const said = (kind: "warning" | "hint"): string[] =>
    surroundings.events.flatMap((event) => (event.kind === kind ? [plainText(event.text)] : []));
  const { document, exitCode } = next.value;
  return { exitCode, items: (document as CheckpointList).items, errors, warnings: said("warning"), hints: said("hint") };
}

/** Takes the results of the first `count` out of the state. */
async function forget(path: string, count: number, options: object = {}): Promise<void> {
  const state = JSON.parse(await readFile(path, "utf8")) as RunDocument;
  const items = state.items.map(({ result, ...item }, index) => (index < count || result === undefined ? item : { ...item, result }));
  await writeFile(path, JSON.stringify({ ...state, options: { ...state.options, ...options }, items }));
}

async function stateFile(): Promise<string> {
  return join(directory, (await readdir(directory)).find((name) => /^checkpoint-run-.*\.json$/.test(name)) ?? "");
}

test("a state that cannot be written any more is said once; every container is taken, and the summary is there", async (t) => {
  const server = await fakeCluster(t, {
    pods: pods(4),
    // What is in its way, as a full disk would be.
    posting: async (pod) => (pod === "web-0" ? void (await mkdir(join(`${await stateFile()}.new`, "x"), { recursive: true })) : undefined),
  });
  const { exitCode, items, warnings, hints } = await ran(t, server, { selector: "app=web", output: "json" });
  assert.equal(exitCode, 0);
  assert.equal(items.filter(({ nodePath }) => nodePath !== undefined).length, 4);
  const path = await stateFile();
  const about = warnings.filter((text) => text.includes("resumed"));
  assert.equal(about.length, 1);
  assert.ok(about[0]?.startsWith(`the run continues, but cannot be resumed: cannot write ${path}.new: `), about.join("\n"));
  assert.equal(hints.at(-1), "4 of 4 containers checkpointed");
  const { items: kept } = JSON.parse(await readFile(path, "utf8")) as RunDocument;
  assert.equal(kept.filter(({ result }) => result !== undefined).length, 0, "what was there stays");
});

test("without a terminal each end is a line, unless the result is told on stdout; one container is silent", async (t) => {
  const server = await fakeCluster(t, { pods: pods(3) });
  const line = /^pod\/web-\d container c on n: checkpointed in \d\.\ds \(\d of 3\)$/;
  const ends = async (output?: string): Promise<string[]> =>
    (await ran(t, server, { selector: "app=web", ...(output === undefined ? {} : { output }) })).hints.filter((text) => line.test(text));
  for (const output of ["json", "yaml", "name"])
    assert.deepEqual(
      (await ends(output)).map((text) => text.slice(-8)),
      ["(1 of 3)", "(2 of 3)", "(3 of 3)"],
    );
  assert.deepEqual(await ends(), []);
  const alone = await ran(t, await fakeCluster(t, { pods: pods(1) }), { selector: "app=web", output: "json" });
  assert.deepEqual(alone.hints, []);
});

test("--resume: what is still to be taken is shown, and asked about where it is much", async (t) => {
  const server = await fakeCluster(t, { pods: pods(25) });
  await assert.rejects(ran(t, server, { selector: "app=web" }), { reason: "Usage" });
  assert.equal((await ran(t, server, { selector: "app=web", yes: true })).exitCode, 0);
  const path = await stateFile();
  await forget(path, 2);
  const resumed = await ran(t, server, { resume: path });
  assert.equal(resumed.exitCode, 0);
  assert.ok(resumed.hints.includes("2 containers in 2 pods on 1 node:\n  web-0 (n): c\n  web-1 (n): c"), resumed.hints.join("\n"));
  assert.equal(resumed.items.length, 25);
  await forget(path, 25);
  await assert.rejects(ran(t, server, { resume: path }), {
    reason: "Usage",
    message: /^this would checkpoint 25 containers in 1 namespace$/,
  });
});

test("--resume: what would not fit is refused, unless the run had --force or it is given now", async (t) => {
  const server = await fakeCluster(t, { pods: pods(3), memory: 1 << 20 });
  await assert.rejects(ran(t, server, { selector: "app=web" }), { reason: "WontFit" });
  assert.equal((await ran(t, server, { selector: "app=web", force: true })).exitCode, 0);
  const path = await stateFile();
  await forget(path, 2);
  const { exitCode, warnings } = await ran(t, server, { resume: path });
  assert.equal(exitCode, 0);
  assert.ok(
    warnings.some((text) => text.startsWith("it may not fit: n: 3.0 MiB are needed")),
    warnings.join("\n"),
  );
  await forget(path, 2, { force: false });
  await assert.rejects(ran(t, server, { resume: path }), { reason: "WontFit" });
  assert.equal((await ran(t, server, { resume: path, force: true })).exitCode, 0);
});
