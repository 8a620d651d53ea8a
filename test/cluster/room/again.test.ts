// Runs on Linux and macOS only: it starts a process with ulimit; its kubeconfig is /dev/null.
// What is sent again, what never is, and what is known of a failure.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import type { ApiRequest } from "../../../src/cluster/answer.ts";
import { callJson, createOnce } from "../../../src/cluster/api.ts";
import { listAll } from "../../../src/cluster/lists.ts";
import { mayHaveHappened, Unanswered } from "../../../src/cluster/network-error.ts";
import { object } from "../../../src/model/json.ts";
import { connectTo, fakeApiserver, type Handler } from "../../fakes.ts";

/** The first so many requests are answered otherwise; how many there were. */
async function counting(t: TestContext, bad: number, otherwise: Handler, good: Handler = (_, response) => response.end("{}")) {
  const asked: string[] = [];
  const server = await fakeApiserver(t, (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    (asked.length <= bad ? otherwise : good)(request, response);
  });
  return { asked, server, connection: await connectTo(t, server) };
}

const answering =
  (status: number, headers: Record<string, string> = {}): Handler =>
  (_, response) =>
    response.writeHead(status, headers).end("no");
const reset: Handler = (request) => request.socket.resetAndDestroy();

const FAILURES: readonly (readonly [name: string, otherwise: Handler])[] = [
  ...[429, 500, 502, 503, 504].map((status) => [String(status), answering(status)] as const),
  ["a reset", reset],
  [
    "an answer that is cut off",
    (_, response) => response.writeHead(200, { "content-length": "100" }).end("half", () => response.socket?.destroy()),
  ],
];

for (const [name, otherwise] of FAILURES) {
  test(`${name}: a GET is sent again, and a POST that may be repeated; no other POST`, async (t) => {
    const path = "/api/v1/x";
    const get = await counting(t, 2, otherwise);
    assert.deepEqual(await callJson(get.connection, { path }), {});
    assert.equal(get.asked.length, 3);
    const review = await counting(t, 1, otherwise);
    assert.deepEqual(await callJson(review.connection, { method: "POST", path, body: {}, repeatable: true }), {});
    assert.equal(review.asked.length, 2);
    const post = await counting(t, 1, otherwise);
    const error: unknown = await callJson(post.connection, { method: "POST", path, body: {} }).catch((thrown: unknown) => thrown);
    assert.equal(mayHaveHappened(error), name !== "429", String(error));
    assert.equal(post.asked.length, 1);
  });
}

test("what stays as it is, is not asked again: 400, 403, 404, 501; what a kubelet answers; a Retry-After of an hour", async (t) => {
  const cases: readonly (readonly [number, string, Record<string, string>?])[] = [
    [400, "/x"],
    [403, "/x"],
    [404, "/x"],
    [501, "/x"],
    [500, "/api/v1/nodes/n/proxy/stats/summary"],
    [503, "/x", { "retry-after": "3600" }],
  ];
  for (const [status, path, headers] of cases) {
    const { asked, connection } = await counting(t, 9, answering(status, headers));
    assert.equal((await connection.call({ path })).status, status);
    assert.equal(asked.length, 1, `${status} ${path}`);
  }
});

test("of a node's proxy, what is said before the kubelet is asked passes; that the kubelet cannot be reached does not", async (t) => {
  const path = "/api/v1/nodes/n/proxy/stats/summary";
  const saying = (status: number, message: string): Handler => {
    return (_, response) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ kind: "Status", code: status, message }));
  };
  for (const otherwise of [saying(500, "etcdserver: leader changed"), answering(502), answering(503)]) {
    const { asked, connection } = await counting(t, 1, otherwise);
    assert.equal((await connection.call({ path })).status, 200);
    assert.equal(asked.length, 2);
  }
  const { asked, connection } = await counting(
    t,
    1,
    saying(503, "error trying to reach service: dial tcp 10.0.0.2:10250: connect: refused"),
  );
  assert.equal((await connection.call({ path })).status, 503);
  assert.equal(asked.length, 1);
});

test("Retry-After is obeyed", async (t) => {
  const { asked, connection } = await counting(t, 1, answering(429, { "retry-after": "1" }));
  const began = performance.now();
  assert.equal((await connection.call({ path: "/x" })).status, 200);
  assert.ok(performance.now() - began >= 1000);
  assert.equal(asked.length, 2);
});

test("a server that is not there at first: at once; one that goes and comes back: waited for, by a POST too, which was not sent", async (t) => {
  const closed = createServer();
  await once(closed.listen(0, "127.0.0.1"), "listening");
  const { port } = closed.address() as AddressInfo;
  closed.close();
  const connection = await connectTo(t, `http://127.0.0.1:${port}`);
  const error: unknown = await connection.call({ path: "/x" }).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof Unanswered && !error.sent && error.reason === "ApiserverUnreachable", String(error));

  const posts: (string | undefined)[] = [];
  const start = async () => {
    const server = createServer((request, response) => {
      posts.push(request.method);
      response.end("{}");
    });
    await once(server.listen(port, "127.0.0.1"), "listening");
    return server;
  };
  const stop = async (server: Awaited<ReturnType<typeof start>>) => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  };
  const first = await start();
  await connection.call({ path: "/x" });
  await stop(first);
  const post = connection.call({ method: "POST", path: "/x", body: {} });
  await new Promise((done) => setTimeout(done, 300));
  const second = await start();
  assert.equal((await post).status, 200);
  assert.deepEqual(posts, ["GET", "POST"]);
  await stop(second);
});

test("a deadline of a call is for all its tries, and its error is the last answer", async (t) => {
  const { connection } = await counting(t, 99, answering(503));
  const began = performance.now();
  assert.equal((await connection.call({ path: "/x", timeoutMs: 500 })).status, 503);
  assert.ok(performance.now() - began < 2000);
});

test("a reset of a request that was sent says so, and one by a server that refuses connections does not", async (t) => {
  const { connection } = await counting(t, 9, reset);
  const request: ApiRequest = { method: "POST", path: "/x", body: {} };
  await assert.rejects(connection.call(request), { reason: "ConnectionLost", sent: true });
});

test("900 calls at once over few connections", async (t) => {
  let most = 0;
  let now = 0;
  const server = createServer((_, response) => void setTimeout(() => response.end("{}"), 5));
  server.on("connection", (socket) => {
    most = Math.max(most, (now += 1));
    socket.on("close", () => (now -= 1));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const connection = await connectTo(t, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await Promise.all(Array.from({ length: 900 }, async () => await connection.call({ path: "/x" })));
  assert.ok(most <= 40, `${most} connections`);
});

test("a run over 300 nodes with 64 open files: forecasts for all", async (t) => {
  const server = await fakeApiserver(t, (request, response) => {
    const node = /nodes\/([^/]+)\/proxy\/metrics\/resource/.exec(request.url ?? "")?.[1];
    if (node === undefined) response.end("{}");
    else response.end(`container_memory_working_set_bytes{container="c",namespace="n",pod="p-${node}"} 1000\n`);
  });
  const script = `
    import { readNode } from "${new URL("../../../src/kubelet/forecast.ts", import.meta.url).href}";
    import { Connection } from "${new URL("../../../src/cluster/connection.ts", import.meta.url).href}";
    import { context, NO_OPTIONS } from "${new URL("../../fakes.ts", import.meta.url).href}";
    const connection = await Connection.open({ ...NO_OPTIONS, kubeconfig: "/dev/null", server: "${server}" }, context(new AbortController().signal));
    const nodes = Array.from({ length: 300 }, (_, at) => "n" + at);
    const found = await Promise.all(nodes.map(async (node) => (await readNode(connection, node, 60000)).memory.get("n/p-" + node + "/c")));
    await connection.close();
    console.log(found.filter((bytes) => bytes === 1000).length);
  `;
  const child = spawn("sh", ["-c", `ulimit -n 64; exec "$0" --input-type=module-typescript -e "$1"`, process.execPath, script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  for await (const piece of child.stdout) said += String(piece);
  assert.equal(said, "300\n");
});

test("createOnce: one object, whatever becomes of the answers", async (t) => {
  const objects = new Map<string, object>();
  let posts = 0;
  /** What happens to the answer of each POST, after or before it is done. */
  const fates: ("cut" | "lost" | "error after" | "error before" | "busy")[] = [];
  const server = await fakeApiserver(t, (request, response) => {
    let body = "";
    request.on("data", (piece: Buffer) => (body += piece.toString()));
    request.on("end", () => {
      if (request.method !== "POST") {
        const found = objects.get(request.url?.split("/").at(-1) ?? "");
        response.writeHead(found === undefined ? 404 : 200).end(JSON.stringify(found ?? {}));
        return;
      }
      posts += 1;
      const fate = fates.shift();
      if (fate === "lost") request.socket.resetAndDestroy();
      else if (fate === "error before") response.writeHead(500).end("etcdserver: leader changed");
      else if (fate === "busy") response.writeHead(429).end("later");
      else {
        const made = JSON.parse(body) as { metadata: { name: string } };
        const { name } = made.metadata;
        const taken = objects.has(name);
        if (!taken) objects.set(name, made);
        if (fate === "cut") request.socket.resetAndDestroy();
        else response.writeHead(fate === "error after" ? 504 : taken ? 409 : 201).end(JSON.stringify(made));
      }
    });
  });
  const connection = await connectTo(t, server);
  const create = async (name: string) =>
    await createOnce(connection, { path: "/pods", body: { metadata: { name, annotations: { own: "1" } } } });
  const scenarios = [
    { given: [], posts: 1 },
    { given: ["cut"], posts: 1 },
    { given: ["lost"], posts: 2 },
    { given: ["error after"], posts: 1 },
    { given: ["error before", "busy", "lost"], posts: 4 },
  ] as const;
  for (const [index, scenario] of scenarios.entries()) {
    posts = 0;
    fates.push(...scenario.given);
    const made = await create(`p${index}`);
    assert.deepEqual(made, objects.get(`p${index}`));
    assert.equal(object(object(made["metadata"])["annotations"])["own"], "1");
    assert.equal(posts, scenario.posts, scenario.given.join());
  }
  posts = 0;
  await assert.rejects(create("p0"), { status: 409 });
  assert.equal(posts, 1);
  fates.push("lost");
  await assert.rejects(create("p0"), { status: 409, reason: "AlreadyExists" });
});

test("createOnce: what is refused is not asked for again", async (t) => {
  const { asked, connection } = await counting(t, 9, answering(422));
  await assert.rejects(createOnce(connection, { path: "/pods", body: { metadata: { name: "p" } } }), { status: 422 });
  assert.equal(asked.length, 1);
});

test("lists: page by page; one that is too old begins again, and gives nothing twice", async (t) => {
  let expired = false;
  const server = await fakeApiserver(t, (request, response) => {
    const { searchParams } = new URL(request.url ?? "", "http://x");
    const from = Number(searchParams.get("continue") ?? 0);
    const limit = Number(searchParams.get("limit"));
    if (from > 0 && !expired) {
      expired = true;
      response.writeHead(410).end("too old");
      return;
    }
    const items = Array.from({ length: Math.min(limit, 1200 - from) }, (_, at) => ({
      metadata: { name: `n${from + at}`, uid: `u${from + at}` },
    }));
    const next = from + limit < 1200 ? String(from + limit) : "";
    response.end(JSON.stringify({ metadata: { continue: next, resourceVersion: "7" }, items }));
  });
  const { items, resourceVersion } = await listAll(await connectTo(t, server), { path: "/api/v1/nodes" });
  assert.equal(items.length, 1200);
  assert.equal(new Set(items.map((item) => object(item["metadata"])["name"])).size, 1200);
  assert.equal(resourceVersion, "7");
});
