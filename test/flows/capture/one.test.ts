// What a real cluster cannot be made to do at the right moment, from a fake one.
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test, type TestContext } from "node:test";
import { readPod } from "../../../src/cluster/pods.ts";
import { captureOne } from "../../../src/flows/capture/one.ts";
import type { Event } from "../../../src/model/context.ts";
import { plainText } from "../../../src/cli/render.ts";
import { connectTo, context, fakeApiserver } from "../../fakes.ts";

const PATH = "/var/lib/kubelet/checkpoints/checkpoint-p_web-c-2026-11-24T06:10:21Z.tar";
const MEMORY = `container_memory_working_set_bytes{container="c",namespace="web",pod="p"} 1048576\n`;

function podObject({
  restartCount = 0,
  containerID = "containerd://1",
  uid = "u",
  probe = {},
}: { restartCount?: number; containerID?: string; uid?: string; probe?: object } = {}) {
  return {
    metadata: { name: "p", namespace: "web", uid },
    spec: { nodeName: "n", containers: [{ name: "c", ...probe }] },
    status: { containerStatuses: [{ name: "c", state: { running: {} }, containerID, imageID: "i", restartCount }] },
  };
}

interface Answers {
  /** One for each POST in turn. */
  readonly posts: readonly ((response: ServerResponse) => void)[];
  readonly after?: () => object | undefined;
  readonly memory?: string;
}

async function captured(t: TestContext, { posts, after = podObject, memory = MEMORY }: Answers, timeoutMs?: number, before = podObject()) {
  let posted = 0;
  const server = await fakeApiserver(t, (request, response) => {
    if (request.method === "POST" && request.url?.includes("/checkpoint/")) posts[posted++]?.(response);
    else if (request.url?.includes("/pods/p") && request.url.startsWith("/api/v1/namespaces")) {
      const pod = after();
      response
        .writeHead(pod === undefined ? 404 : 200, { "content-type": "application/json" })
        .end(JSON.stringify(pod ?? { kind: "Status", message: 'pods "p" not found' }));
    } else if (request.url?.includes("metrics/resource")) response.end(memory);
    else response.writeHead(403).end();
  });
  const surroundings = context(t.signal);
  const flow = { ...surroundings, connection: await connectTo(t, server) };
  const pod = readPod(before);
  const [container] = pod.containers;
  assert.ok(container);
  return { ...(await captureOne(flow, { pod, container }, { timeoutMs })), posted, events: surroundings.events };
}

const done = (response: ServerResponse): void => void response.end(JSON.stringify({ items: [PATH] }));
const paused = (response: ServerResponse): void =>
  void response.writeHead(500).end("checkpointing of web/p/c failed (cannot pause a paused container)");

function texts(events: readonly Event[], kind: Event["kind"]): string[] {
  return events.flatMap((event) => (event.kind === kind && "text" in event ? [plainText(event.text)] : []));
}

test("a paused container is waited for; seconds count from the call that was answered", async (t) => {
  const { item, posted, events } = await captured(t, { posts: [paused, paused, done] });
  assert.equal(item.nodePath, PATH);
  assert.equal(item.stillRunning, true);
  assert.equal(posted, 3);
  assert.ok(item.seconds < 0.5, `${item.seconds} s`);
  assert.ok(texts(events, "activity").includes("waiting: container c in pod/p is paused, as by another checkpoint of it"));
});

test("it is not waited for beyond the timeout", async (t) => {
  const { item, error, posted } = await captured(t, { posts: [paused, paused] }, 700);
  assert.equal(error?.reason, "ContainerPaused");
  assert.equal(item.error?.phase, "checkpoint");
  assert.equal(posted, 2);
});

test("a later try that takes too long names what --timeout said, not what was left of it", async (t) => {
  const { error } = await captured(t, { posts: [paused, () => undefined] }, 700);
  assert.equal(error?.reason, "TimedOut");
  assert.match(error.message, /took longer than --timeout 0\.7s$/);
});

test("no other answer makes the call go out again", async (t) => {
  for (const status of [429, 500, 502, 503, 504]) {
    const { error, posted } = await captured(t, {
      posts: [(response) => response.writeHead(status, { "retry-after": "0" }).end("try again"), done],
    });
    assert.ok(error !== undefined);
    assert.equal(posted, 1, String(status));
  }
});

test("a container that was restarted, replaced or is gone is no proof, and is warned of", async (t) => {
  const cases: [() => object | undefined, boolean | undefined, RegExp][] = [
    [
      () => podObject({ restartCount: 1, containerID: "containerd://2" }),
      false,
      /it was restarted during the checkpoint \(restarts before: 0, now: 1\)/,
    ],
    [() => podObject({ uid: "other" }), false, /the pod was replaced during the checkpoint/],
    [() => undefined, undefined, /whether it still runs could not be seen: pods "p" not found/],
  ];
  for (const [after, stillRunning, warning] of cases) {
    const { item, events } = await captured(t, { posts: [done], after });
    assert.equal(item.stillRunning, stillRunning);
    assert.equal(item.nodePath, PATH, "the archive is there all the same");
    assert.match(texts(events, "warning").join("\n"), warning);
  }
});

test("a pause that may outlast the liveness probe is warned of before", async (t) => {
  const probe = { livenessProbe: { periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 1 } };
  const memory = MEMORY.replace("1048576", String(400 * 2 ** 20));
  const { events } = await captured(t, { posts: [done], memory }, undefined, podObject({ probe }));
  const [warning] = texts(events, "warning");
  assert.match(
    warning ?? "",
    /^the pause \(up to about 6\.0s for 400 MiB\) may outlast the liveness probe of container c in pod\/p \(1\.0s\): the kubelet would restart it$/,
  );
  assert.ok(events.findIndex(({ kind }) => kind === "warning") < events.findIndex(({ kind }) => kind === "activity"), "before the call");
});
