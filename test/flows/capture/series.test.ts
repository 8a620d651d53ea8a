// A series goes on where its cluster is not there for a moment.
import assert from "node:assert/strict";
import { basename } from "node:path";
import { test, type TestContext } from "node:test";
import { plainText } from "../../../src/cli/render.ts";
import { readPod } from "../../../src/cluster/pods.ts";
import { takeSeries } from "../../../src/flows/capture/series.ts";
import type { Helpers } from "../../../src/helper/helpers.ts";
import { UserError } from "../../../src/model/error.ts";
import { connectTo, context, fakeApiserver } from "../../fakes.ts";

const POD = {
  metadata: { name: "p", namespace: "web", uid: "u" },
  spec: { nodeName: "n", containers: [{ name: "c" }] },
  status: { phase: "Running", containerStatuses: [{ name: "c", state: { running: {} }, containerID: "containerd://1" }] },
};
const EVERY_MS = 20;

interface Answers {
  /** Of the looks at the pod between two turns: its status, one after another, then 200. */
  readonly looks?: readonly number[];
  readonly count?: number;
  readonly keep?: number;
  /** Of each removal in turn: its reason, or undefined where it works. */
  readonly removals?: readonly (string | undefined)[];
}

async function series(t: TestContext, { looks = [], count, keep, removals = [] }: Answers) {
  let posted = 0;
  let looked = 0;
  let between = false;
  const server = await fakeApiserver(t, (request, response) => {
    const json = (status: number, body: object): void =>
      void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    if (request.method === "POST") {
      posted += 1;
      between = false;
      json(200, { items: [`/var/lib/kubelet/checkpoints/${posted}.tar`] });
    } else if (request.url !== "/api/v1/namespaces/web/pods/p") json(403, {});
    // The first look after a checkpoint is at the container that was frozen.
    else if (!between) {
      between = true;
      json(200, POD);
    } else {
      const status = looks[looked++] ?? 200;
      json(status, status === 200 ? POD : { kind: "Status", message: "no" });
    }
  });
  const surroundings = context(t.signal);
  const removed: string[] = [];
  let asked = 0;
  const remove = async (name: string): Promise<void> => {
    const reason = removals[asked++];
    if (reason !== undefined) throw new UserError({ reason, message: reason });
    removed.push(name);
    await Promise.resolve();
  };
  const directory = () => ({
    nameOf: (path: string) => basename(path),
    remove,
    [Symbol.asyncDispose]: async () => await Promise.resolve(),
  });
  const pod = readPod(POD);
  const [container] = pod.containers;
  assert.ok(container);
  const turns = takeSeries(
    { ...surroundings, connection: await connectTo(t, server) },
    {
      target: { pod, container },
      everyMs: EVERY_MS,
      count,
      keep,
      timeoutMs: undefined,
      plan: undefined,
      helpers: { directory } as unknown as Helpers,
    },
  );
  const names: string[] = [];
  let error: unknown;
  try {
    for await (const { item } of turns) names.push(item.nodePath ?? "");
  } catch (thrown) {
    error = thrown;
  }
  const said = (kind: "warning" | "hint"): string[] =>
    surroundings.events.flatMap((event) => (event.kind === kind ? [plainText(event.text)] : []));
  return { turns: names.length, removed, error, warnings: said("warning"), hints: said("hint") };
}

test("a turn for which the API server has no answer is missed, and the series goes on", async (t) => {
  const { turns, error, warnings } = await series(t, { looks: [501, 400], count: 3 });
  assert.equal(error, undefined);
  assert.equal(turns, 3, "missed turns are none of those that were asked for");
  const missed = warnings.filter((text) => text.startsWith("a turn of the series was missed: "));
  assert.equal(missed.length, 2);
  assert.match(
    missed[0] ?? "",
    /^a turn of the series was missed: the API server answered 501 to GET \/api\/v1\/namespaces\/web\/pods\/p: no$/,
  );
});

test("it ends with its pod, and with the right to see it", async (t) => {
  const gone = await series(t, { looks: [200, 503, 404] });
  assert.deepEqual([gone.turns, gone.error, gone.hints], [2, undefined, ["pod/p is gone: the series ends"]]);
  for (const status of [401, 403]) {
    const { turns, error } = await series(t, { looks: [status] });
    assert.equal(turns, 1);
    assert.equal((error as UserError).reason, status === 401 ? "Unauthorized" : "Forbidden");
  }
});

test("an old archive that is gone already counts as removed; one that cannot be removed is tried again", async (t) => {
  const removals = ["ArchiveNotFound", "HelperNotReady", undefined, undefined];
  const { turns, error, removed, warnings } = await series(t, { count: 5, keep: 1, removals });
  assert.deepEqual([turns, error], [5, undefined]);
  assert.deepEqual(removed, ["2.tar", "3.tar", "4.tar"]);
  assert.deepEqual(
    warnings.filter((text) => text.includes("removed")),
    ["an old archive of the series could not be removed this time: HelperNotReady"],
  );
});
