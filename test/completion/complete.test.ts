import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { complete } from "../../src/cli/completion/complete.ts";
import { VERBS } from "../../src/cli/table.ts";
import { rememberListed } from "../../src/local/listed.ts";
import { fakeApiserver, type Handler } from "../fakes.ts";

/** Completes a line against a server. Answers with the lines of the answer. */
async function completed(t: TestContext, handler: Handler, ...line: string[]): Promise<string[]> {
  return await completedAfter(t, {}, handler, ...line);
}

/** With what `ls` has listed, by context. */
async function completedAfter(
  t: TestContext,
  listed: Readonly<Record<string, readonly string[]>>,
  handler: Handler,
  ...line: string[]
): Promise<string[]> {
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
  for (const [contextName, archives] of Object.entries(listed))
    await rememberListed({ HOME: folder }, { contextName, server: contextName === "dev" ? "http://127.0.0.1:9" : server }, archives);
  // A server that answers may take its time here; one that does not is given the time that users give it.
  const patience = handler === never ? undefined : 10_000;
  const answer = await complete(line, { KUBECONFIG: join(folder, "config"), HOME: folder }, "v0.0.0", patience);
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

test("files of this machine are the shell's to offer, by what is meant: archives, directories, keys, any", async (t) => {
  const archives = ["tar", "tar.gz", "tgz", "tar.zst", "gz", "zst", "age", ":8"];
  const keys = ["pem", "key", ":8"];
  const cases: Readonly<Record<string, readonly string[]>> = {
    "show ": archives,
    "diff a.tar ": archives,
    "verify ev": archives,
    "inspect a.tar --previous ": archives,
    "seal a.tar --sign-key ": keys,
    "verify a.tar --key ": ["pem", "pub", "crt", ":8"],
    "image a.tar x --ca-file=": ["pem", "crt", "cer", ":8"],
    "--resume ": ["json", ":8"],
    "report a.tar --rules ": ["yar", "yara", ":8"],
    "--copy=": [":16"],
    "extract a.tar / --to ": [":16"],
    "--kubeconfig ": [":0"],
    "seal a.tar --custody ": [":0"],
    "extract a.tar ": [":4"],
    "ls --checkpoint-dir ": [":4"],
  };
  for (const [line, expected] of Object.entries(cases)) assert.deepEqual(await completed(t, never, ...line.split(" ")), expected, line);
});

test("a second archive, or where they go to", async (t) => {
  const nodes: Handler = (_request, response) => table(response, [["node1", "", "Ready", "3d"]]);
  for (const archives of [["node1:a"], ["node1:a", "node1:b"]]) {
    assert.deepEqual(await completed(t, nodes, "cp", ...archives, ""), ["node1:\tReady, 3d", ":2"], "and files: no 4");
    assert.deepEqual(await completed(t, nodes, "cp", ...archives, "ev"), [":16"]);
  }
});

test("archives that the last ls of this context listed, but for those that are given already", async (t) => {
  const nodes: Handler = (_request, response) => table(response, [["node1", "", "Ready", "3d"]]);
  const [first, second] = ["node1:checkpoint-web_default-app-2026-11-24T07:52:16Z.tar", "node2:checkpoint-db.tar"];
  const listed = {
    "prod-web": [first, second, "node1:a$(id).tar", "node1:two words.tar", "node1:\u001b[2J.tar"],
    dev: ["node1:other.tar"],
  };
  assert.deepEqual(await completedAfter(t, listed, nodes, "cp", ""), [first, second, "node1:\tReady, 3d", ":4"]);
  assert.deepEqual(await completedAfter(t, listed, nobody, "rm", "node1:"), [first, ":4"]);
  assert.deepEqual(await completedAfter(t, listed, nobody, "rm", first, "node"), [second, ":4"]);
  assert.deepEqual(await completedAfter(t, listed, nobody, "--context", "dev", "rm", "n"), ["node1:other.tar", ":4"]);
  assert.deepEqual(await completedAfter(t, {}, nobody, "rm", "node1:"), [":4"]);
});

test("types of workloads, by any of their names, and the workloads; -c has the containers of their pods", async (t) => {
  const server: Handler = ({ url = "" }, response) => {
    const template = { spec: { containers: [{ name: "app" }, { name: "proxy" }] } };
    const objects: Readonly<Record<string, unknown>> = {
      "/apis/apps/v1/namespaces/web/deployments/web": { spec: { template } },
      "/apis/batch/v1/namespaces/web/cronjobs/night": { spec: { jobTemplate: { spec: { template } } } },
    };
    if (url in objects) response.end(JSON.stringify(objects[url]));
    else if (/^\/apis\/apps\/v1\/namespaces\/web\/(deployments|statefulsets)\?/.test(url)) table(response, [["web", "1/1", "", "3d"]]);
    else response.writeHead(404).end();
  };
  assert.deepEqual(await completed(t, server, "depl"), ["deployment/", ":6"]);
  assert.deepEqual(await completed(t, server, "ls", "sts"), ["sts/", ":6"]);
  assert.deepEqual(await completed(t, server, "deploy/"), ["deploy/web\t3d", ":4"]);
  assert.deepEqual(await completed(t, server, "ls", "sts/w"), ["sts/web\t3d", ":4"]);
  assert.deepEqual(await completed(t, server, "deploy/web", "deploy/"), [":4"]);
  assert.deepEqual(await completed(t, server, "deploy/web", "-c", ""), ["app", "proxy", ":4"]);
  assert.deepEqual(await completed(t, server, "cronjob/night", "-c", "p"), ["proxy", ":4"]);
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
