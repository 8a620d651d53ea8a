// Runs on Linux and macOS only: its kubeconfig is /dev/null.
// Helper pods that have ended before they were reached: a real one does only where a connection takes a minute.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { Helpers } from "../../src/helper/helpers.ts";
import type { Json } from "../../src/model/json.ts";
import { connectTo, context, fakeApiserver } from "../fakes.ts";

/** Every Job that is made has these pods, and this last event. */
async function helpers(t: TestContext, pods: Json[], event?: Json): Promise<{ readonly helpers: Helpers; readonly made: string[] }> {
  const made: string[] = [];
  let there = false;
  const server = await fakeApiserver(t, (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://x");
    const answer = (status: number, body: Json): void => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
    if (request.method === "POST" && pathname.endsWith("/jobs")) {
      made.push(pathname);
      there = true;
      answer(201, {});
    } else if (request.method === "POST") answer(201, {});
    else if (request.method === "DELETE") {
      there = false;
      answer(200, {});
    } else if (searchParams.get("watch") === "true") response.writeHead(200).flushHeaders();
    else if (pathname.endsWith("/events")) answer(200, { items: event === undefined ? [] : [event] });
    else if (pathname.endsWith("/pods")) answer(200, { metadata: { resourceVersion: "1" }, items: there ? pods : [] });
    else answer(404, {});
  });
  const connection = await connectTo(t, server);
  const settings = { image: "busybox", namespace: "h", pullSecret: undefined, checkpointDir: "/c" };
  return { helpers: new Helpers(connection, context(t.signal), settings), made };
}

const LOST = { reason: "HelperLost", message: "the helper pod on node1 ended before it was reached" };

test("one that has run to its end is replaced once, and then it is an error", { timeout: 120_000 }, async (t) => {
  const succeeded = { metadata: { name: "p" }, status: { phase: "Succeeded", containerStatuses: [{ state: { terminated: {} } }] } };
  const { helpers: some, made } = await helpers(t, [succeeded]);
  await assert.rejects(some.directory("node1").stat("a.tar"), LOST);
  assert.equal(made.length, 2);
});

test("one that is gone already is known by its Job's event, not waited for", { timeout: 120_000 }, async (t) => {
  const { helpers: some, made } = await helpers(t, [], { reason: "Completed", message: "Job completed" });
  await assert.rejects(some.directory("node1").stat("a.tar"), LOST);
  assert.equal(made.length, 2);
});
