import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { complete } from "../../src/cli/completion/complete.ts";
import { VERBS } from "../../src/cli/table.ts";
import { fakeApiserver, type Handler } from "../fakes.ts";

/** Completes a line against a server. Answers with the lines of the answer. */
async function completed(t: TestContext, handler: Handler, ...line: string[]): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), "completion-"));
  t.after(async () => await rm(folder, { recursive: true }));
  const server = await fakeApiserver(t, handler);
  const config = {
    clusters: [
      { name: "prod", cluster: { server } },
      { name: "dev", cluster: { server: "http://127.0.0.1:9" } },
    ],
    contexts: [
      { name: "prod-web", context: { cluster: "prod", namespace: "web" } },
      { name: "dev", context: { cluster: "dev" } },
    ],
    "current-context": "prod-web",
  };
  await writeFile(join(folder, "config"), JSON.stringify(config));
  // A server that answers may take its time here; one that does not is given the time that users give it.
  const patience = handler === never ? undefined : 10_000;
  const answer = await complete(line, { KUBECONFIG: join(folder, "config") }, "v0.0.0", patience);
  assert.match(answer, /\n$/);
  return answer.trimEnd().split("\n");
}

/** What a server answers to a request for a table. */
function table(response: ServerResponse, rows: readonly (readonly string[])[]): void {
  const columnDefinitions = ["Name", "Ready", "Status", "Age"].map((name) => ({ name, type: "string" }));
  const body = { kind: "Table", apiVersion: "meta.k8s.io/v1", columnDefinitions, rows: rows.map((cells) => ({ cells })) };
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
}

const nobody: Handler = (_request, response) => response.writeHead(403).end();
const never: Handler = () => undefined;

const verbs = VERBS.slice(1).map(({ name, summary }) => `${name}\t${summary}`);

test("the first word is a verb or a pod", async (t) => {
  const asked: IncomingMessage[] = [];
  const lines = await completed(
    t,
    (request, response) => {
      asked.push(request);
      table(response, [
        ["web-1", "1/1", "Running", "3d"],
        ["web-2", "0/1", "Pending", "1m"],
      ]);
    },
    "",
  );
  assert.deepEqual(lines, [...verbs, "web-1\tRunning, 3d", "web-2\tPending, 1m", ":4"]);
  assert.deepEqual(
    asked.map(({ url }) => url),
    ["/api/v1/namespaces/web/pods?limit=500&includeObject=None"],
  );
  assert.match(asked[0]?.headers.accept ?? "", /as=Table/);
});

test("only what goes on from what is typed", async (t) => {
  const pods: Handler = (_request, response) =>
    table(response, [
      ["show-room", "1/1", "Running", "3d"],
      ["web", "1/1", "Running", "3d"],
    ]);
  const lines = await completed(t, pods, "sho");
  assert.deepEqual(lines, [...verbs.filter((line) => line.startsWith("sho")), "show-room\tRunning, 3d", ":4"]);
});

test("a list that is longer than asked for is cut", async (t) => {
  const rows = Array.from({ length: 700 }, (_, index) => [`pod-${index}`, "1/1", "Running", "3d"]);
  const lines = await completed(t, (_request, response) => table(response, rows), "pod-");
  assert.equal(lines.length, 501);
});

test("a server that does not answer costs 300 ms, and what is known without it", async (t) => {
  const started = performance.now();
  assert.deepEqual(await completed(t, never, ""), [...verbs, ":4"]);
  const milliseconds = performance.now() - started;
  assert.ok(milliseconds > 250 && milliseconds < 3000, `${milliseconds} ms`);
});

test("a refusal, a broken kubeconfig or none say nothing", async (t) => {
  assert.deepEqual(await completed(t, nobody, ""), [...verbs, ":4"]);
  assert.deepEqual(await completed(t, nobody, "--kubeconfig", "/nonexistent", "web", "-c", ""), [":4"]);
  assert.deepEqual(await completed(t, nobody, "--server", "this is none", "we"), [":4"]);
  assert.deepEqual(await completed(t, nobody, "--request-timeout", "soon", "we"), [":4"]);
  assert.deepEqual(await completed(t, nobody, "--request-timeout", "soon", "--context", ""), [":4"]);
});

test("names that a terminal would obey are not offered, and descriptions are escaped", async (t) => {
  const rows = [
    ["good", "1/1", "\u001b[31mRunning", "3d"],
    ["evil\u001b[2J", "1/1", "Running", "3d"],
    ["two\nlines", "1/1", "Running", "3d"],
    ["", "1/1", "Running", "3d"],
  ];
  const lines = await completed(t, (_request, response) => table(response, rows), "");
  assert.deepEqual(lines, [...verbs, "good\t\\e[31mRunning, 3d", ":4"]);
});

test("containers of the pod that is named, those that run first", async (t) => {
  const pod = {
    metadata: { name: "web", namespace: "web" },
    spec: { initContainers: [{ name: "setup" }], containers: [{ name: "app" }] },
    status: { containerStatuses: [{ name: "app", state: { running: {} } }] },
  };
  const server: Handler = ({ url }, response) =>
    url === "/api/v1/namespaces/web/pods/web" ? response.end(JSON.stringify(pod)) : response.writeHead(404).end();
  assert.deepEqual(await completed(t, server, "web", "-c", ""), ["app\trunning", "setup\tinit, waiting", ":4"]);
  assert.deepEqual(await completed(t, server, "pod/web", "--container=a"), ["app\trunning", ":4"]);
});

test("namespaces, and nothing else, for -n", async (t) => {
  const server: Handler = ({ url }, response) =>
    url?.startsWith("/api/v1/namespaces?") ? table(response, [["web", "", "Active", "9d"]]) : response.writeHead(404).end();
  assert.deepEqual(await completed(t, server, "-n", ""), ["web\tActive, 9d", ":4"]);
});

test("contexts, clusters and choices need no server", async (t) => {
  assert.deepEqual(await completed(t, never, "--context", ""), ["prod-web", "dev", ":4"]);
  assert.deepEqual(await completed(t, never, "--cluster=p"), ["prod", ":4"]);
  assert.deepEqual(await completed(t, never, "--color", "a"), ["auto", "always", ":4"]);
  assert.deepEqual(await completed(t, never, "show", "-o", ""), [...(outputChoices("show") ?? []), ":4"]);
});

test("the context that the line names is the one that is asked", async (t) => {
  const pods: Handler = (_request, response) => table(response, [["web", "1/1", "Running", "3d"]]);
  assert.deepEqual(await completed(t, pods, "--context", "dev", "we"), [":4"]);
  assert.deepEqual(await completed(t, pods, "--context", "prod-web", "-n", "other", "we"), ["web\tRunning, 3d", ":4"]);
});

test("local files are the shell's to offer", async (t) => {
  assert.deepEqual(await completed(t, never, "show", ""), [":0"]);
  assert.deepEqual(await completed(t, never, "--kubeconfig", ""), [":0"]);
});

test("a second archive, or where they go to", async (t) => {
  const nodes: Handler = (_request, response) => table(response, [["node1", "", "Ready", "3d"]]);
  for (const archives of [["node1:a"], ["node1:a", "node1:b"]])
    assert.deepEqual(await completed(t, nodes, "cp", ...archives, ""), ["node1:\tReady, 3d", ":2"], "and files: no 4");
});

test("what of a value stands for itself", async (t) => {
  assert.deepEqual(await completed(t, never, "image", "a.tar", "reg.local/a:1", "--to", ""), ["oci:", "oci-archive:", ":6"]);
  assert.deepEqual(await completed(t, never, "image", "--to=oci-"), ["oci-archive:", ":6"]);
  assert.deepEqual(await completed(t, never, "doctor", "--fix="), ["apply", ":4"]);
});

test("flags of the verb, without those that are given already", async (t) => {
  const lines = await completed(t, never, "show", "-q", "--");
  assert.ok(lines.includes("--output\toutput format"));
  assert.ok(!lines.some((line) => line.startsWith("--quiet")));
  assert.ok(!lines.some((line) => line.startsWith("--timeout")));
});

function outputChoices(name: string): readonly string[] | undefined {
  return VERBS.find((verb) => verb.name === name)?.flags.find((flag) => flag.name === "output")?.choices;
}
