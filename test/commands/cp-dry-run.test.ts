// Runs on Linux and macOS only: its kubeconfig is /dev/null.
// --dry-run of what copies: a Job a node and access, and no checkpoint.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { helpersOfCopies } from "../../src/commands/shared/dry-run.ts";
import { verb as checkpoint } from "../../src/commands/checkpoint.ts";
import { verb as cp } from "../../src/commands/cp.ts";
import { fakeApiserver } from "../fakes.ts";
import { runVerb } from "./running.ts";

/** A server with pods on two nodes; what was asked of it. */
async function cluster(t: TestContext): Promise<{ server: string; asked: string[] }> {
  const asked: string[] = [];
  const server = await fakeApiserver(t, (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const [, name] = /\/pods\/([a-z]+)$/.exec(request.url ?? "") ?? [];
    if (name === undefined) {
      response.writeHead(404).end();
      return;
    }
    const pod = {
      metadata: { name, namespace: "web", uid: name },
      spec: { nodeName: `node-${name}`, containers: [{ name: "c" }] },
      status: { containerStatuses: [{ name: "c", state: { running: {} }, containerID: "containerd://1", imageID: "i", restartCount: 0 }] },
    };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(pod));
  });
  return { server, asked };
}

interface Shown {
  readonly kind: string;
  readonly items?: readonly Shown[];
  readonly spec?: { readonly template: { readonly spec: { readonly nodeName: string; readonly containers: readonly Container[] } } };
}
interface Container {
  readonly volumeMounts: readonly { readonly name: string; readonly readOnly: boolean }[];
}

/** "node1 read", of each Job. */
function jobs(document: unknown): string[] {
  const { kind, items, spec } = document as Shown;
  if (kind === "List") return (items ?? []).flatMap(jobs);
  assert.equal(kind, "Job");
  const readOnly = spec?.template.spec.containers[0]?.volumeMounts.find(({ name }) => name === "node")?.readOnly;
  return [`${spec?.template.spec.nodeName} ${readOnly === true ? "read" : "write"}`];
}

test("one a node reads, one more removes", () => {
  assert.deepEqual(helpersOfCopies(["a", "b", "a"], false), [
    { node: "a", access: "read" },
    { node: "b", access: "read" },
  ]);
  assert.deepEqual(
    helpersOfCopies(["a", "b"], true).map(({ node, access }) => `${node} ${access}`),
    ["a read", "a write", "b read", "b write"],
  );
});

test("cp: several Jobs are a List, one is bare", async (t) => {
  const { server } = await cluster(t);
  const flags = { kubeconfig: "/dev/null", server, "dry-run": "client" };
  const one = await runVerb(cp, ["node1:a", "node1:b"], flags);
  assert.equal((one.document as Shown).kind, "Job");
  const all = await runVerb(cp, ["node1:a", "node2:b"], { ...flags, remove: true });
  assert.equal((all.document as Shown).kind, "List");
  assert.deepEqual(jobs(all.document), ["node1 read", "node1 write", "node2 read", "node2 write"]);
  assert.equal(all.lines.length, 4);
  assert.equal(all.pieces.filter(({ name }) => /^job\.batch\/kubectl-checkpoint-\w+$/.test(name ?? "")).length, 4);
});

test("--copy: what it would make; no checkpoint is taken", async (t) => {
  const { server, asked } = await cluster(t);
  const flags = { kubeconfig: "/dev/null", server, namespace: "web", copy: "", "dry-run": "client" };
  const one = await runVerb(checkpoint, ["a"], flags);
  assert.deepEqual([(one.document as Shown).kind, ...jobs(one.document)], ["Job", "node-a read"]);
  assert.match(one.lines[0] ?? "", /^job\.batch\/kubectl-checkpoint-\w+ created in namespace kube-system \(dry run\)$/);
  const both = await runVerb(checkpoint, ["a", "b"], { ...flags, remove: true });
  assert.deepEqual(jobs(both.document), ["node-a read", "node-a write", "node-b read", "node-b write"]);
  const series = await runVerb(checkpoint, ["a"], { ...flags, every: "10m", keep: "2" });
  assert.deepEqual(jobs(series.document), ["node-a read", "node-a write"], "--keep removes from the node");
  assert.deepEqual(
    asked.filter((what) => !what.startsWith("GET ")),
    [],
  );
});

test("without --copy nothing would be created", async (t) => {
  const { server } = await cluster(t);
  const flags = { kubeconfig: "/dev/null", server, namespace: "web", "dry-run": "client" };
  await assert.rejects(runVerb(checkpoint, ["a"], flags), { exitCode: 2, reason: "Usage", message: /^--dry-run requires --copy/ });
});
