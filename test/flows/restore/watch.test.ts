// A running container is not a restored one, as long as nothing proves it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { watchRestore } from "../../../src/flows/restore/watch.ts";
import { connectTo, context, fakeApiserver } from "../../fakes.ts";

const CHECKPOINT = "reg.local/web@sha256:1234";
const STARTED = "2026-11-24T09:36:48Z";

function runningPod(image: string): object {
  const status = { name: "web", restartCount: 0, image, state: { running: { startedAt: STARTED } } };
  return {
    kind: "Pod",
    metadata: { name: "r", namespace: "shop", uid: "1" },
    spec: { nodeName: "node2", containers: [{ name: "web" }] },
    status: { phase: "Running", containerStatuses: [status] },
  };
}

test("base image and checkpoint in one repository: the older log proves it; without one it cannot be told", async (t) => {
  let log = "2026-11-24T09:36:09.803Z 1\n";
  const server = await fakeApiserver(t, ({ url = "" }, response) => {
    const isLog = url.includes("/log");
    response.writeHead(200, { "content-type": isLog ? "text/plain" : "application/json" });
    response.end(isLog ? log : JSON.stringify(runningPod("reg.local/web:base")));
  });
  const flow = { ...context(t.signal), connection: await connectTo(t, server) };
  const told = { namespace: "shop", pod: "r", container: "web", image: CHECKPOINT, uid: "1" };
  const { node, evidence } = await watchRestore(flow, told);
  assert.deepEqual(
    [node, evidence],
    ["node2", [`its log begins at 2026-11-24T09:36:09.803Z, before the container was started at ${STARTED}`]],
  );
  for (const other of ["2026-11-24T09:36:49Z 1\n", ""]) {
    log = other;
    await assert.rejects(watchRestore(flow, told), {
      reason: "RestoreUnproved",
      message: /it is unknown whether it was restored/,
      why: /reg\.local\/web:base/,
    });
  }
});
