// Runs on Linux and macOS only: its kubeconfig is /dev/null.
// Watches that end, are lost, or are too old.
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { waitFor, watch, watchPod, type Change } from "../../../src/cluster/watch.ts";
import type { Json } from "../../../src/model/json.ts";
import { connectTo, fakeApiserver } from "../../fakes.ts";

const pod = (name: string, version: number): Json => ({
  metadata: { name, namespace: "n", uid: `u-${name}`, resourceVersion: String(version) },
});
const event = (type: string, object: Json): string => `${JSON.stringify({ type, object })}\n`;
const described = (change: Change): string =>
  "object" in change ? `${change.type} ${(change.object["metadata"] as { name: string }).name}` : change.type;

/** A collection whose watches the test holds in its hands. */
async function collection(t: TestContext, items: Json[], refuse: { watch?: number } = {}) {
  const watches: { readonly query: URLSearchParams; readonly response: ServerResponse }[] = [];
  let lists = 0;
  const server = await fakeApiserver(t, (request, response) => {
    const { searchParams, pathname } = new URL(request.url ?? "", "http://x");
    if (searchParams.get("watch") === "true") {
      if (refuse.watch !== undefined) {
        response.writeHead(refuse.watch).end("no");
        return;
      }
      response.writeHead(200, { "content-type": "application/json" });
      response.flushHeaders();
      watches.push({ query: searchParams, response });
      return;
    }
    lists += 1;
    const name = /\/pods\/(.+)$/.exec(pathname)?.[1];
    const found = items.find((item) => (item["metadata"] as { name: string }).name === name);
    if (name !== undefined) response.writeHead(found === undefined ? 404 : 200).end(JSON.stringify(found ?? {}));
    else response.end(JSON.stringify({ metadata: { resourceVersion: "10" }, items }));
  });
  const next = async (count: number) => {
    while (watches.length < count) await sleep(5);
    const last = watches[count - 1];
    assert.ok(last !== undefined);
    return last;
  };
  return { connection: await connectTo(t, server), next, lists: () => lists };
}

test("what is there, then what changes; a watch that ends or is lost goes on from where it was", { timeout: 120_000 }, async (t) => {
  const { connection, next, lists } = await collection(t, [pod("a", 3)]);
  const stop = new AbortController();
  const seen: string[] = [];
  const watching = (async () => {
    for await (const change of watch(connection, "/api/v1/pods", { signal: stop.signal })) seen.push(described(change));
  })();
  const first = await next(1);
  assert.equal(first.query.get("resourceVersion"), "10");
  assert.equal(first.query.get("allowWatchBookmarks"), "true");
  assert.ok(Number(first.query.get("timeoutSeconds")) >= 300);
  const half = event("MODIFIED", pod("a", 11));
  first.response.write(event("ADDED", pod("b", 12)) + half.slice(0, 20));
  await sleep(20);
  first.response.write(half.slice(20));
  first.response.write(event("BOOKMARK", { metadata: { resourceVersion: "20" } }));
  await sleep(20);
  first.response.end();
  const second = await next(2);
  assert.equal(second.query.get("resourceVersion"), "20", "the bookmark's");
  second.response.write(event("DELETED", pod("b", 21)));
  await sleep(20);
  second.response.socket?.resetAndDestroy();
  const third = await next(3);
  assert.equal(third.query.get("resourceVersion"), "21");
  stop.abort();
  await watching;
  assert.deepEqual(seen, ["added a", "synced", "added b", "modified a", "deleted b"]);
  assert.equal(lists(), 1);
});

for (const [name, tooOld] of [
  ["an event", (response: ServerResponse) => response.end(event("ERROR", { kind: "Status", code: 410, reason: "Expired" }))],
] as const) {
  test(`a watch that is too old, by ${name}: a gap, and the differences of a new list`, { timeout: 120_000 }, async (t) => {
    const items = [pod("a", 3), pod("b", 3), pod("c", 3)];
    const { connection, next } = await collection(t, items);
    const stop = new AbortController();
    const seen: string[] = [];
    const watching = (async () => {
      for await (const change of watch(connection, "/api/v1/pods", { signal: stop.signal })) seen.push(described(change));
    })();
    const { response } = await next(1);
    items.splice(0, 2, pod("b", 30), pod("d", 31));
    tooOld(response);
    await next(2);
    stop.abort();
    await watching;
    assert.deepEqual(seen.slice(4), ["gap", "deleted a", "modified b", "added d", "synced"]);
  });
}

test("waitFor: judged at first and after each change; whoever has an answer ends the watch", { timeout: 120_000 }, async (t) => {
  const { connection, next } = await collection(t, []);
  const judged: number[] = [];
  const waiting = waitFor(connection, { path: "/api/v1/pods", signal: t.signal }, (objects) => {
    judged.push(objects.length);
    return objects.length === 2 ? "both" : undefined;
  });
  const { response } = await next(1);
  const closed = new Promise((done) => response.on("close", done));
  response.write(event("ADDED", pod("a", 11)));
  response.write(event("ADDED", pod("b", 12)));
  assert.equal(await waiting, "both");
  await closed;
  assert.deepEqual(judged, [0, 1, 2]);
});

test("waitFor: asks again and again where it may not watch", { timeout: 120_000 }, async (t) => {
  const items: Json[] = [];
  const { connection, lists } = await collection(t, items, { watch: 403 });
  const waiting = waitFor(connection, { path: "/api/v1/namespaces/n/pods", name: "a", signal: t.signal }, ([found]) => found);
  while (lists() < 2) await sleep(10);
  items.push(pod("a", 11));
  assert.deepEqual(await waiting, items[0]);
});

test("waitFor: ends with the signal's reason, and with what the judge throws", { timeout: 120_000 }, async (t) => {
  const { connection, next } = await collection(t, []);
  const stop = new AbortController();
  const waiting = waitFor(connection, { path: "/api/v1/pods", signal: stop.signal }, () => undefined);
  await next(1);
  stop.abort(new Error("enough"));
  await assert.rejects(waiting, { message: "enough" });
  const judging = waitFor(connection, { path: "/api/v1/pods", signal: t.signal }, () => {
    throw new Error("never");
  });
  await assert.rejects(judging, { message: "never" });
});

test("watchPod: the pod, its changes, its end, and another one of its name", { timeout: 120_000 }, async (t) => {
  const { connection, next } = await collection(t, [pod("a", 3)]);
  const stop = new AbortController();
  const seen: string[] = [];
  const watching = (async () => {
    for await (const change of watchPod(connection, "n", "a", { signal: stop.signal }))
      seen.push(change.kind === "pod" ? change.pod.uid : change.kind);
  })();
  const { query, response } = await next(1);
  assert.equal(query.get("fieldSelector"), "metadata.name=a");
  assert.equal(query.get("resourceVersion"), "3");
  response.write(event("MODIFIED", pod("a", 4)) + event("DELETED", pod("a", 5)));
  response.write(event("ADDED", { metadata: { name: "a", namespace: "n", uid: "other", resourceVersion: "6" } }));
  await sleep(50);
  stop.abort();
  await watching;
  assert.deepEqual(seen, ["u-a", "u-a", "deleted", "other"]);
});

test("watchPod: none there, and a refusal", { timeout: 120_000 }, async (t) => {
  const none = await collection(t, []);
  const [first] = [await watchPod(none.connection, "n", "a", { signal: t.signal }).next()];
  assert.deepEqual(first.value, { kind: "deleted" });
  const refused = await collection(t, [pod("a", 3)], { watch: 403 });
  const changes = watchPod(refused.connection, "n", "a", { signal: t.signal });
  assert.equal((await changes.next()).done, false);
  await assert.rejects(changes.next(), { status: 403 });
});
