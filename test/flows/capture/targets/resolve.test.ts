// What -c means for pods and workloads that are named, and for selectors.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { resolveTargets, type TargetQuery } from "../../../../src/flows/capture/targets/resolve.ts";
import { connectTo, context, fakeApiserver } from "../../../fakes.ts";

/** Running, but for those whose name begins with "done". */
function pod(name: string, ...containers: string[]): object {
  const state = (one: string): object => (one.startsWith("done") ? { terminated: { exitCode: 0 } } : { running: {} });
  return {
    metadata: { name, namespace: "default", uid: name },
    spec: { nodeName: "n", containers: containers.map((one) => ({ name: one })) },
    status: { containerStatuses: containers.map((one) => ({ name: one, state: state(one) })) },
  };
}

const WEB = [pod("web-0", "app", "side", "done"), pod("web-1", "app", "other")];
const NONE: TargetQuery = {
  words: [],
  labelSelector: undefined,
  fieldSelector: undefined,
  allNamespaces: false,
  containers: [],
  allContainers: false,
};
const WORKLOAD = { kind: "workload", type: "deploy", name: "web" } as const;

async function resolved(t: TestContext, query: Partial<TargetQuery>): Promise<string[]> {
  const server = await fakeApiserver(t, (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://s");
    const one = /\/pods\/(.*)$/.exec(pathname)?.[1];
    const answer =
      one !== undefined
        ? WEB[Number(one.slice(-1))]
        : pathname.endsWith("/deployments/web")
          ? { spec: { selector: { matchLabels: { app: "web" } } } }
          : { items: searchParams.get("labelSelector") === "app=web" ? WEB : [] };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
  });
  const flow = { ...context(t.signal), connection: await connectTo(t, server) };
  return (await resolveTargets(flow, { ...NONE, ...query })).map((target) => `${target.pod.name}/${target.container.name}`);
}

const named = (...names: string[]) => names.map((name) => ({ kind: "pod", name }) as const);

test("a container that the pods have is taken: by name as it is, by glob where it runs", async (t) => {
  assert.deepEqual(await resolved(t, { words: named("web-0"), containers: ["done", "a*"] }), ["web-0/done", "web-0/app"]);
  assert.deepEqual(await resolved(t, { words: named("web-0"), containers: ["*", "app"] }), ["web-0/app", "web-0/side"]);
  assert.deepEqual(await resolved(t, { words: [WORKLOAD], containers: ["side", "other"] }), ["web-0/side", "web-1/other"]);
  assert.deepEqual(await resolved(t, { words: named("web-0", "web-1"), containers: ["app"] }), ["web-0/app", "web-1/app"]);
});

test("a name that no pod of those named has: exit status 2 with the list, whatever else matches", async (t) => {
  const one = {
    reason: "NoSuchContainer",
    exitCode: 2,
    message: "pod/web-0 has no container nope",
    fix: "-c takes one of: app, side, done",
  };
  const both = { ...one, message: "none of these 2 pods has a container nope", fix: "-c takes one of: app, side, done, other" };
  for (const containers of [["nope"], ["nope", "a*"], ["app", "nope"]]) {
    await assert.rejects(resolved(t, { words: named("web-0"), containers }), one);
    await assert.rejects(resolved(t, { words: [WORKLOAD], containers }), both);
    await assert.rejects(resolved(t, { words: named("web-0", "web-1"), containers }), both);
  }
  await assert.rejects(resolved(t, { words: named("web-0", "web-1"), containers: ["other", "a*"] }), {
    ...one,
    message: "pod/web-0 has no container other",
  });
});

test("behind selectors it is an error only where nothing matches", async (t) => {
  assert.deepEqual(await resolved(t, { labelSelector: "app=web", containers: ["nope", "s*"] }), ["web-0/side"]);
  for (const query of [
    { labelSelector: "app=web", containers: ["nope"] },
    { labelSelector: "app=none" },
    { words: [WORKLOAD], containers: ["x*"] },
  ])
    await assert.rejects(resolved(t, query), { reason: "NothingMatches", exitCode: 1 });
});
