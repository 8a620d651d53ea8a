// What a real cluster cannot be made to do at the right moment, from a fake one.
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test, type TestContext } from "node:test";
import { readPod } from "../../../src/cluster/pods.ts";
import { captureOne, proved } from "../../../src/flows/capture/one.ts";
import { originalEnded } from "../../../src/flows/capture/proof.ts";
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
  state = { running: {} },
  lastState = {},
}: { restartCount?: number; containerID?: string; uid?: string; probe?: object; state?: object; lastState?: object } = {}) {
  return {
    metadata: { name: "p", namespace: "web", uid },
    spec: { nodeName: "n", containers: [{ name: "c", ...probe }] },
    status: { containerStatuses: [{ name: "c", state, lastState, containerID, imageID: "i", restartCount }] },
  };
}

interface Answers {
  /** One for each POST in turn. */
  readonly posts: readonly ((response: ServerResponse) => void)[];
  /** The pod once the first call was answered. */
  readonly after?: () => object | undefined;
  readonly memory?: string;
  /** What the kubelet says of a timeout below 0: its runtime's own list of what runs. */
  readonly runs?: string;
  readonly proveMs?: number;
}

const RUNS = "checkpointing of web/p/c failed (CheckpointContainer requires the timeout value to be > 0)";
const RUNS_NOT = "checkpointing of web/p/c failed (container c not found)";

async function captured(
  t: TestContext,
  { posts, after = podObject, memory = MEMORY, runs = RUNS, proveMs = 100 }: Answers,
  timeoutMs?: number,
  before = podObject(),
) {
  let posted = 0;
  const server = await fakeApiserver(t, (request, response) => {
    if (request.method === "POST" && request.url?.includes("timeout=-1")) response.writeHead(500).end(runs);
    else if (request.method === "POST" && request.url?.includes("/checkpoint/")) posts[posted++]?.(response);
    else if (request.url?.includes("/pods/p") && request.url.startsWith("/api/v1/namespaces")) {
      const pod = posted === 0 ? before : after();
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
  const one = await captureOne(flow, { pod, container }, { timeoutMs, proveMs });
  return { ...(await proved(flow, one)), posted, events: surroundings.events };
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
  const { item, error, posted } = await captured(t, { posts: [paused, paused] }, 1300);
  assert.equal(error?.reason, "ContainerPaused");
  assert.equal(item.error?.phase, "checkpoint");
  assert.equal(posted, 2);
});

test("a later try that takes too long names what --timeout said, not what was left of it", async (t) => {
  const { error } = await captured(t, { posts: [paused, () => undefined] }, 3000);
  assert.equal(error?.reason, "TimedOut");
  assert.match(error.message, /took longer than --timeout 3s$/);
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

const ENDED = { terminated: { exitCode: 0, reason: "Completed", containerID: "containerd://1" } };

test("an original that was restarted, replaced, deleted or has ended is no proof, and it is said what ended it", async (t) => {
  const cases: [Partial<Answers>, string][] = [
    [
      { after: () => podObject({ restartCount: 1, containerID: "containerd://2", lastState: ENDED }) },
      "it ended with exit status 0 (Completed) and was restarted (restarts: 0 before, 1 now)",
    ],
    [{ after: () => podObject({ restartCount: 1, containerID: "containerd://2" }) }, "it was restarted (restarts: 0 before, 1 now)"],
    [{ after: () => podObject({ state: ENDED }) }, "it ended with exit status 0 (Completed)"],
    [{ after: () => podObject({ uid: "other" }) }, "its pod was replaced by another one of the same name"],
    [{ after: () => undefined }, "its pod was deleted"],
  ];
  for (const [answers, ended] of cases) {
    const { item } = await captured(t, { posts: [done], proveMs: 5000, ...answers });
    assert.deepEqual([item.stillRunning, item.ended], [false, ended]);
    assert.equal(item.nodePath, PATH, "the archive was made although it ended");
    assert.ok((item.watchedSeconds ?? 9) < 3, "an end is not waited for to the end");
    const error = originalEnded(item);
    assert.equal(error?.reason, "OriginalEnded");
    assert.ok(error.message.includes(ended), error.message);
  }
});

test("the runtime knows of an end before the pod's status does: what ended it is waited for", async (t) => {
  let looks = 0;
  const late = () => (looks++ < 3 ? podObject() : podObject({ state: ENDED }));
  const { item } = await captured(t, { posts: [done], after: late, runs: RUNS_NOT });
  assert.deepEqual([item.stillRunning, item.ended], [false, "it ended with exit status 0 (Completed)"]);
});

test("what could not be seen is null, and never true", async (t) => {
  // Neither the runtime's word nor a time long enough for the kubelet to notice an end.
  const short = await captured(t, { posts: [done], runs: "404 page not found" });
  assert.equal(short.item.stillRunning, null);
  assert.match(
    texts(short.events, "warning").join("\n"),
    /^whether container c in pod\/p is still running is unknown: 0\.1s are too short/,
  );
  const unlooked = await captured(t, { posts: [done], proveMs: 0 });
  assert.equal(unlooked.item.stillRunning, null, "--prove 0 does not look");
  assert.equal(unlooked.item.watchedSeconds, undefined);
});

test("without the runtime's word, no change for long enough is a proof", async (t) => {
  const { item } = await captured(t, { posts: [done], runs: "404 page not found", proveMs: 3000 });
  assert.deepEqual([item.stillRunning, item.restartCount], [true, 0]);
  assert.ok((item.watchedSeconds ?? 0) >= 3);
});

test("a container that was replaced since it was looked up: the one that is there is meant, and named", async (t) => {
  const other = podObject({ containerID: "containerd://9", restartCount: 4 });
  let looked = false;
  const server = await fakeApiserver(t, (request, response) => {
    if (request.url?.includes("timeout=-1")) response.writeHead(500).end(RUNS);
    else if (request.method === "POST") done(response);
    else if (request.url?.includes("/pods/p")) {
      looked = true;
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(other));
    } else response.writeHead(403).end();
  });
  const flow = { ...context(t.signal), connection: await connectTo(t, server) };
  const pod = readPod(podObject());
  const [container] = pod.containers;
  assert.ok(container);
  const { item } = await proved(flow, await captureOne(flow, { pod, container }, { timeoutMs: undefined, proveMs: 50 }));
  assert.ok(looked);
  assert.deepEqual([item.containerID, item.restartCount, item.stillRunning], ["containerd://9", 4, true]);
});

test("a pod that is gone before the call: nothing is asked of the kubelet", async (t) => {
  const server = await fakeApiserver(t, (request, response) => {
    if (request.method === "POST") assert.fail("posted");
    response
      .writeHead(request.url?.includes("/pods/p") ? 404 : 403, { "content-type": "application/json" })
      .end(JSON.stringify({ kind: "Status", message: 'pods "p" not found' }));
  });
  const flow = { ...context(t.signal), connection: await connectTo(t, server) };
  const pod = readPod(podObject());
  const [container] = pod.containers;
  assert.ok(container);
  const { error } = await captureOne(flow, { pod, container }, { timeoutMs: undefined, proveMs: 50 });
  assert.equal(error?.reason, "PodGone");
});

test("a failure that may have frozen the container is followed by a look at it; a refusal is not", async (t) => {
  const criu = (response: ServerResponse): void =>
    void response.writeHead(500).end("checkpointing of web/p/c failed (criu failed: type DUMP errno 0)");
  const failed = await captured(t, { posts: [criu], after: () => podObject({ state: ENDED }) });
  assert.deepEqual([failed.error?.reason, failed.item.stillRunning], ["CRIUFailed", false]);
  assert.match(originalEnded(failed.item)?.message ?? "", /did not keep running: it ended with exit status 0 \(Completed\)$/);
  const refused = await captured(t, { posts: [(response) => response.writeHead(404).end("404 page not found")] });
  assert.deepEqual([refused.error?.reason, refused.item.stillRunning, refused.item.pausedSeconds], ["GateOff", undefined, undefined]);
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
