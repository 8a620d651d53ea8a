// A series goes on where its cluster is not there for a moment.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test, type TestContext } from "node:test";
import { plainText } from "../../../src/cli/render.ts";
import { readPod } from "../../../src/cluster/pods.ts";
import { takeSeries } from "../../../src/flows/capture/series.ts";
import type { PieceRequest } from "../../../src/helper/directory.ts";
import type { Helpers } from "../../../src/helper/helpers.ts";
import { openDestination } from "../../../src/local/destination.ts";
import { UserError } from "../../../src/model/error.ts";
import { tar } from "../../archive/tars.ts";
import { temporaryDirectory } from "../../e2e/harness.ts";
import { connectTo, context, fakeApiserver } from "../../fakes.ts";

const POD = {
  metadata: { name: "p", namespace: "web", uid: "u" },
  spec: { nodeName: "n", containers: [{ name: "c" }] },
  status: { phase: "Running", containerStatuses: [{ name: "c", state: { running: {} }, containerID: "containerd://1" }] },
};
const EVERY_MS = 20;
const ARCHIVE = tar({ name: "config.dump", data: "{}" });

interface Answers {
  /** Of the looks at the pod between two turns: its status, one after another, then 200. */
  readonly looks?: readonly number[];
  readonly count?: number;
  readonly keep?: number;
  /** Of each removal in turn: its reason, or undefined where it works. */
  readonly removals?: readonly (string | undefined)[];
  /** Archives are copied into this directory; a turn whose number is among these fails to. */
  readonly copies?: { readonly to: string; readonly failing: readonly number[]; readonly after?: (turn: number) => void };
}

async function series(t: TestContext, { looks = [], count, keep, removals = [], copies }: Answers) {
  let posted = 0;
  let looked = 0;
  const server = await fakeApiserver(t, (request, response) => {
    const json = (status: number, body: object): void =>
      void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    if (request.method === "POST" && request.url?.includes("/proxy/checkpoint/") === true) {
      posted += 1;
      json(200, { items: [`/var/lib/kubelet/checkpoints/${posted}.tar`] });
    } else if (request.url !== "/api/v1/namespaces/web/pods/p") json(403, {});
    else {
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
    ready: async () => await Promise.resolve({ pod: { imageID: "" } }),
    codecs: async () => await Promise.resolve(["none"]),
    stat: async (name: string) => {
      if (copies?.failing.includes(Number.parseInt(name, 10)) === true) throw new UserError({ reason: "HelperLost", message: "lost" });
      return await Promise.resolve({ name, bytes: ARCHIVE.length, identity: "1 2 3", closed: true, age: 100 });
    },
    sha256: async () => await Promise.resolve({ sha256: createHash("sha256").update(ARCHIVE).digest("hex"), identity: "1 2 3" }),
    pour: async (_file: object, { offset, length, sink }: PieceRequest) => await sink(ARCHIVE.subarray(offset, offset + length)),
    [Symbol.asyncDispose]: async () => await Promise.resolve(),
  });
  const pod = readPod(POD);
  const [container] = pod.containers;
  assert.ok(container);
  const helpers = { directory, namespace: async () => await Promise.resolve("kube-system") } as unknown as Helpers;
  const destination = copies === undefined ? undefined : await openDestination(copies.to, true);
  t.after(async () => await destination?.[Symbol.asyncDispose]());
  const options = { remove: false, force: false, codec: "auto", [Symbol.asyncDispose]: async () => {} } as const;
  const turns = takeSeries(
    { ...surroundings, connection: await connectTo(t, server) },
    {
      target: { pod, container },
      everyMs: EVERY_MS,
      count,
      keep,
      timeoutMs: undefined,
      proveMs: 0,
      plan: destination === undefined ? undefined : { helpers, destination, ...options },
      helpers,
    },
  );
  const names: string[] = [];
  let error: unknown;
  try {
    for await (const { item } of turns) {
      names.push(item.nodePath ?? "");
      copies?.after?.(names.length);
    }
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
    warnings.filter((text) => text.includes("remove")),
    ["cannot remove an old archive of the series this time: HelperNotReady"],
  );
});

test("a turn whose copy failed keeps nothing: the last good archives stay, and what is removed is said", async (t) => {
  const to = await temporaryDirectory(t);
  const { hints, removed } = await series(t, { count: 5, keep: 2, copies: { to, failing: [3, 4] } });
  assert.deepEqual(readdirSync(to).sort(), ["2.tar", "2.tar.json", "5.tar", "5.tar.json"]);
  assert.deepEqual(removed, ["1.tar"], "on the node the archives of turns that are kept, or were not copied, stay");
  assert.deepEqual(
    hints.filter((text) => text.includes("removed")),
    [`${join(to, "1.tar")} and n:/var/lib/kubelet/checkpoints/1.tar removed: --keep 2`],
  );
});

test("a file that somebody has put in the place of an archive of the series is not removed", async (t) => {
  const to = await temporaryDirectory(t);
  const after = (turn: number): void => (turn === 1 ? writeFileSync(join(to, "1.tar"), "something else") : undefined);
  const { warnings, removed } = await series(t, { count: 2, keep: 1, copies: { to, failing: [], after } });
  assert.deepEqual(removed, []);
  assert.equal(readFileSync(join(to, "1.tar"), "utf8"), "something else");
  const path = join(to, "1.tar");
  const said = warnings.filter((text) => !text.includes("were missed"));
  assert.deepEqual(said, [
    `cannot remove an old archive of the series this time: ${path} is not the archive that this series wrote; it was not removed`,
  ]);
});
