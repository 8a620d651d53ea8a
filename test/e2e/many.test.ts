// Many containers at once, on both nodes of the real cluster.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

import { setTimeout as sleep } from "node:timers/promises";
import type { V1PodList } from "@kubernetes/client-node";
import type { RunDocument } from "../../src/flows/capture/run/state.ts";
import type { CheckpointItem, CheckpointList } from "../../src/model/documents.ts";
import {
  apply,
  APPS,
  audited,
  auditEnd,
  BUSYBOX,
  clusterTest,
  container,
  COUNT,
  eventually,
  getJson,
  kubectl,
  NO_CLUSTER,
  onNode,
  ownNamespace,
  plugin,
  pod,
  ready,
  running,
  setUp,
  shareCluster,
  temporaryDirectory,
} from "./harness.ts";
import { Terminal } from "./terminal.ts";

shareCluster();

const namespace = ownNamespace("e2e-many");
// Other files' helpers may run beside these.
const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX, KUBECTL_CHECKPOINT_HELPER_NAMESPACE: namespace };
const SIDE = container("side", COUNT);
/** Of the Deployment; there is one pod besides, and two containers in each. */
const REPLICAS = process.env["FULL"] === undefined ? 3 : 5;
const PODS = REPLICAS + 1;
const ALL = 2 * PODS;

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    const labels = { app: "web" };
    const own = { ...labels, of: "deployment" };
    const template = { metadata: { labels: own }, spec: { terminationGracePeriodSeconds: 0, containers: [container("app", COUNT), SIDE] } };
    const spread = {
      topologySpreadConstraints: [
        { maxSkew: 1, topologyKey: "kubernetes.io/hostname", whenUnsatisfiable: "DoNotSchedule", labelSelector: { matchLabels: labels } },
      ],
    };
    const deployment = (replicas: number) => ({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "web", namespace },
      spec: { replicas, selector: { matchLabels: own }, template: { ...template, spec: { ...template.spec, ...spread } } },
    });
    // The last pod has a process that CRIU cannot dump.
    const uring = { name: "app", image: APPS, command: ["node", "-e", "setInterval(() => {}, 1000); console.log('ready')"] };
    const service = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "web", namespace },
      spec: { selector: labels, ports: [{ port: 80 }] },
    };
    await apply(deployment(REPLICAS), service, pod(namespace, "web-uring", [uring, SIDE], { labels, node: "node2" }));
    await kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=90s");
    await running(namespace, "web-uring");
    await ready(namespace, "web-uring", "app");
  });
}

/** The most checkpoint calls that were under way at once on each node, from the API server's audit log. */
function mostAtOnce(since: number): Map<string, number> {
  // Of an answer that has a length, the client may have all before it is complete.
  const events = audited(`/proxy/checkpoint/${namespace}/`, since).filter(({ stage }) => stage !== "ResponseComplete");
  const now = new Map<string, number>();
  const most = new Map<string, number>();
  for (const { stage, requestURI } of events) {
    const node = /\/nodes\/([^/]+)\//.exec(requestURI)?.[1] ?? "";
    now.set(node, (now.get(node) ?? 0) + (stage === "RequestReceived" ? 1 : -1));
    most.set(node, Math.max(most.get(node) ?? 0, now.get(node) ?? 0));
  }
  return most;
}

clusterTest(
  "many containers on two nodes, one of which cannot be dumped: archives of all others, one reason, never two calls on a node",
  async (t) => {
    const directory = await temporaryDirectory(t);
    const since = auditEnd();
    const { code, stdout, stderr } = await plugin(["svc/web", "--all-containers", "-n", namespace, "-o", "json"], { cwd: directory });
    assert.equal(code, 3, stderr);
    const { items } = JSON.parse(stdout) as CheckpointList;
    assert.equal(items.length, ALL);
    const failed = items.filter(({ error }) => error !== undefined);
    assert.deepEqual(
      failed.map(({ pod: name, container: one, error }) => [name, one, error?.reason]),
      [["web-uring", "app", "CRIUFailed"]],
    );
    for (const item of items) if (item.error === undefined) assert.ok(item.nodePath !== undefined && item.stillRunning === true);
    assert.match(stderr, new RegExp(`^${ALL} containers in ${PODS} pods on 2 nodes`, "m"));
    assert.match(
      stderr,
      new RegExp(
        `^${ALL - 1} of ${ALL} containers checkpointed, 1 failed:\n {2}e2e-many/web-uring container app: CRIUFailed: CRIU could not checkpoint`,
        "m",
      ),
    );
    const ends = stderr.match(new RegExp(`^pod/\\S+ container \\S+ on node\\d: .* \\(\\d+ of ${ALL}\\)$`, "gm")) ?? [];
    assert.equal(ends.length, ALL, stderr);
    assert.equal(ends.filter((line) => line.includes(": checkpointed in ")).length, ALL - 1);
    assert.match(stderr, new RegExp(`^pod/web-uring container app on node2: checkpoint failed: CRIUFailed \\(\\d+ of ${ALL}\\)$`, "m"));
    assert.deepEqual([...mostAtOnce(since).values()], [1, 1]);
    assertBackToBack(items);
  },
);

/** On each node, no other pod's checkpoint lies between those of one pod. */
function assertBackToBack(items: readonly CheckpointItem[]): void {
  for (const onNode of Map.groupBy(items, ({ node }) => node).values()) {
    const order = onNode.toSorted((a, b) => a.startedAt.localeCompare(b.startedAt)).map(({ pod: name }) => name);
    const changes = order.filter((name, index) => index > 0 && name !== order[index - 1]).length;
    assert.equal(changes, new Set(order).size - 1, order.join(" "));
  }
}

/** What of a run is copied, by its state. */
function doneOf(state: string): RunDocument["items"] {
  return (JSON.parse(state) as RunDocument).items.filter(({ result }) => result?.copy !== undefined);
}

const left = new Set<string>();

async function helperNames(): Promise<string[]> {
  const { items } = await getJson<V1PodList>("pods,jobs", "-n", namespace, "-l", "app.kubernetes.io/name=kubectl-checkpoint");
  return items.map(({ metadata }) => metadata?.name ?? "");
}

clusterTest(
  "kill -9 in the middle of many: what was completed is whole, --resume takes only what is missing",
  async (t) => {
    const directory = await temporaryDirectory(t);
    const killed = await plugin(["svc/web", "-c", "side", "-c", "app", "-n", namespace, `--copy=${directory}`], {
      env,
      started: (child) => {
        const watch = setInterval(() => {
          const state = readdirSync(directory).find((name) => name.startsWith("checkpoint-run-"));
          if (state === undefined || doneOf(readFileSync(join(directory, state), "utf8")).length < 3) return;
          clearInterval(watch);
          child.kill("SIGKILL");
        }, 20);
        child.on("exit", () => clearInterval(watch));
      },
    });
    assert.notEqual(killed.code, 0);
    const helpers = await helperNames();
    assert.ok(helpers.length > 0, "helpers were there to be left");
    for (const name of helpers) left.add(name);
    const path = join(directory, readdirSync(directory).find((name) => name.startsWith("checkpoint-run-")) ?? "");
    const done = doneOf(readFileSync(path, "utf8"));
    assert.ok(done.length >= 3 && done.length < ALL, `${done.length} were done`);
    for (const { result } of done) assert.equal((await plugin(["verify", result?.copy?.path ?? ""])).code, 0);
    const since = new Date().toISOString();
    const { code, stdout, stderr } = await plugin(["--resume", path, "-n", namespace, "-o", "json"], { env });
    assert.equal(code, 3, stderr);
    const { items } = JSON.parse(stdout) as CheckpointList;
    assert.equal(items.length, ALL);
    assert.equal(items.filter(({ copy }) => copy !== undefined).length, ALL - 1);
    for (const { pod: name, container: one, result } of done) {
      assert.deepEqual(
        items.find((item) => item.pod === name && item.container === one)?.copy,
        result?.copy,
        "taken before, and not again",
      );
      assert.ok((result?.startedAt ?? "") < since);
    }
  },
  { timeout: 240_000 },
);

clusterTest("Ctrl-C in a run: how far it came, the command that continues it, and no helper pod left", async (t) => {
  const directory = await temporaryDirectory(t);
  const { code, stderr } = await plugin(["svc/web", "-c", "side", "-n", namespace, `--copy=${directory}`, "--parallel", "1"], {
    env,
    started: (child) => child.stdout?.once("data", () => child.kill("SIGINT")),
  });
  assert.equal(code, 130, stderr);
  const state = readdirSync(directory).find((name) => name.startsWith("checkpoint-run-")) ?? "";
  const [, done] = /^(\d+) of \d+ containers checkpointed/m.exec(stderr) ?? [];
  const [, open] = /^(\d+) containers? not finished; to continue: /m.exec(stderr) ?? [];
  assert.ok(stderr.includes(`to continue: kubectl checkpoint --resume ${join(directory, state)}\n`), stderr);
  assert.ok(Number(done) >= 1 && Number(done) + Number(open) === PODS, stderr);
  assert.deepEqual(
    (await helperNames()).filter((name) => !left.has(name)),
    [],
  );
  const resumed = await plugin(["--resume", join(directory, state), "-n", namespace, "-o", "json"], { env });
  assert.equal(resumed.code, 0, resumed.stderr);
  assert.equal((JSON.parse(resumed.stdout) as CheckpointList).items.filter(({ copy }) => copy !== undefined).length, PODS);
});

clusterTest("targets: selectors, globs, several pods, workloads; what matches nothing is said", async (t) => {
  const cwd = await temporaryDirectory(t);
  const named = async (...args: string[]) => {
    const { code, stdout, stderr } = await plugin([...args, "-n", namespace, "-o", "json"], { cwd });
    const items = stdout === "" ? [] : (JSON.parse(stdout) as CheckpointList).items;
    // What was selected is asked about. On a busy machine runc gives up freezing a container (with cgroups of version 1 after 0.3 s), says so
    // and lets it run; that checkpoint is not sent again, and no other failure passes.
    const said = ({ container: one, error }: CheckpointItem): string =>
      error === undefined || error.reason === "FreezeFailed" ? one : `${error.reason}: ${error.message}: ${error.why ?? ""}`;
    return { code, stderr, taken: items.map(said) };
  };
  assert.deepEqual(
    (await named("-l", "app=web", "-c", "s*")).taken,
    Array.from({ length: PODS }, () => "side"),
  );
  assert.deepEqual((await named("deploy/web", "-c", "side")).taken.length, REPLICAS);
  assert.deepEqual((await named("-l", "app=web", "--field-selector", "metadata.name=web-uring", "-c", "side")).taken, ["side"]);
  assert.deepEqual((await named("web-uring", "pod/web-uring", "-c", "side")).taken, ["side"], "none twice");
  const cases: [string[], number, RegExp][] = [
    [["-l", "app=none", "-c", "side"], 1, /no running pod with a container side matches these selectors in namespace e2e-many/],
    [["deploy/none"], 1, /deployments\.apps "none" not found/],
    [["deploy/web"], 2, /has several containers: choose one\n {2}fix: give -c with one of: app, side \(or --all-containers\)/],
    [["web-uring", "-c", "x*"], 2, /no running container x\*/],
    [
      ["deploy/web", "-c", "nope"],
      2,
      new RegExp(`^error: none of these ${REPLICAS} pods has a container nope\n {2}fix: -c takes one of: app, side$`, "m"),
    ],
    [["web-uring", "-c", "nope", "-c", "s*"], 2, /^error: pod\/web-uring has no container nope\n {2}fix: -c takes one of: app, side$/m],
    [["ingress/web"], 2, /invalid target "ingress\/web"/],
    [["web-uring", "-l", "app=web"], 2, /names and selectors cannot be used together/],
    [["web-uring", "-A"], 2, /names and -A cannot be used together/],
    [["--all-containers"], 2, /--all-containers requires a POD/],
  ];
  for (const [args, code, message] of cases) {
    const result = await named(...args);
    assert.equal(result.code, code, result.stderr);
    assert.match(result.stderr, message);
  }
});

clusterTest("more than one namespace asks first; without a terminal --yes has to be given", async (t) => {
  const cwd = await temporaryDirectory(t);
  await apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "e2e-many-2" } });
  t.after(async () => await kubectl("delete", "namespace", "e2e-many-2", "--wait=false"));
  await apply(pod("e2e-many-2", "other", [SIDE], { labels: { app: "web" } }));
  await running("e2e-many-2", "other");
  const args = ["-A", "-l", "app=web", "-c", "side"];
  const refused = await plugin(args, { cwd });
  assert.equal(refused.code, 2);
  assert.match(
    refused.stderr,
    new RegExp(`^error: this would checkpoint ${PODS + 1} containers in 2 namespaces\n {2}fix: rerun with --yes to confirm`, "m"),
  );
  const screen = new Terminal(args);
  t.after(() => screen.kill());
  await screen.see(new RegExp(`Checkpoint all ${PODS + 1} containers\\?`));
  screen.type("n\r");
  assert.equal(await screen.ended(), 130);
  const { code, stdout } = await plugin([...args, "--yes", "-o", "name"], { cwd });
  assert.equal(code, 0);
  assert.equal(stdout.trim().split("\n").length, PODS + 1);
});

clusterTest("--copy --remove of many: one helper a node and access, archives and records here, a state that says so", async (t) => {
  const directory = await temporaryDirectory(t);
  const since = auditEnd();
  const { code, stdout, stderr } = await plugin(
    ["deploy/web", "--all-containers", "-n", namespace, `--copy=${directory}`, "--remove", "-o", "json"],
    { env },
  );
  assert.equal(code, 0, stderr);
  const { items } = JSON.parse(stdout) as CheckpointList;
  assert.equal(items.length, 2 * REPLICAS);
  for (const { copy, removedFromNode } of items)
    assert.ok(existsSync(copy?.path ?? "") && existsSync(copy?.record ?? "") && removedFromNode === true);
  const made = audited(`/namespaces/${namespace}/jobs`, since).filter(
    ({ verb, stage }) => verb === "create" && stage === "ResponseComplete",
  );
  assert.ok(made.length <= 4, `${made.length} helper pods`);
  const state = readdirSync(directory).find((name) => name.startsWith("checkpoint-run-")) ?? "";
  assert.equal(statSync(join(directory, state)).mode & 0o777, 0o600);
  const run = JSON.parse(readFileSync(join(directory, state), "utf8")) as RunDocument;
  assert.ok(run.items.every(({ result }) => result?.removedFromNode === true));
});

clusterTest(
  "--copy of many: a helper pod that is lost is replaced for the next archive",
  async (t) => {
    const directory = await temporaryDirectory(t);
    const { code, stdout, stderr } = await plugin(
      ["svc/web", "-c", "side", "-c", "app", "-n", namespace, `--copy=${directory}`, "-o", "json"],
      {
        env,
        started: (child) => {
          const watch = setInterval(() => {
            if (!readdirSync(directory).some((name) => name.endsWith(".tar"))) return;
            clearInterval(watch);
            const mine = ["-n", namespace, "-l", "app.kubernetes.io/name=kubectl-checkpoint"];
            void kubectl("delete", "pods", ...mine, "--force", "--grace-period=0");
          }, 20);
          child.on("exit", () => clearInterval(watch));
        },
      },
    );
    assert.equal(code, 3, stderr);
    const { items } = JSON.parse(stdout) as CheckpointList;
    const lost = items.filter(({ error }) => error?.phase !== undefined && error.phase !== "checkpoint");
    for (const { node } of lost) assert.ok(lost.filter((other) => other.node === node).length <= 1, stderr);
    // On a busy machine runc may fail to freeze a container (FreezeFailed): of that one there is no archive.
    const made = items.filter(({ error }) => error?.phase !== "checkpoint");
    assert.ok(made.length >= 2 * REPLICAS, stderr);
    assert.equal(made.filter(({ copy }) => copy !== undefined).length, made.length - lost.length, stderr);
  },
  { full: true },
);

clusterTest(
  "--resume: what was only not copied is, though its pod is gone or another one; no other pod's manifest is in its record",
  async (t) => {
    const directory = await temporaryDirectory(t);
    const names = ["left", "other", "same"].map((name) => `copy-${name}`);
    const make = async (...some: string[]): Promise<void> => {
      await apply(...some.map((name) => pod(namespace, name, [container("c", COUNT)], { labels: { set: "uncopied" }, node: "node1" })));
      await running(namespace, ...some);
    };
    await make(...names);
    const first = await plugin(["-l", "set=uncopied", "-n", namespace, "-o", "json"], { cwd: directory });
    assert.equal(first.code, 0, first.stderr);
    const path = join(directory, readdirSync(directory)[0] ?? "");
    const run = JSON.parse(readFileSync(path, "utf8")) as RunDocument;
    writeFileSync(
      path,
      JSON.stringify({ ...run, options: { ...run.options, copy: { destination: directory, remove: true, codec: "auto" } } }),
    );
    await kubectl("delete", "pod", "copy-left", "copy-other", "-n", namespace, "--force", "--grace-period=0");
    await make("copy-other");
    const { code, stdout, stderr } = await plugin(["--resume", path, "-n", namespace, "-o", "json"], { env });
    assert.equal(code, 0, stderr);
    assert.doesNotMatch(stderr, /replaced/);
    const { items } = JSON.parse(stdout) as CheckpointList;
    assert.deepEqual(
      items.map((item) => [item.pod, item.copy !== undefined, item.removedFromNode, item.podUID]),
      run.items.map((item) => [item.pod, true, true, item.podUID]),
    );
    const manifests = items.map(
      ({ copy }) => (JSON.parse(readFileSync(copy?.record ?? "", "utf8")) as { record: { pod?: object } }).record.pod,
    );
    assert.deepEqual(
      manifests.map((manifest) => manifest !== undefined),
      [false, false, true],
    );
  },
);

clusterTest("--resume: a container that was replaced is said to be, one that is gone is an error", async (t) => {
  const directory = await temporaryDirectory(t);
  await apply(
    ...["gone", "restarted", "same"].map((name) =>
      pod(namespace, name, [container("c", COUNT)], { labels: { set: "resume" }, node: "node1" }),
    ),
  );
  await running(namespace, "gone", "restarted", "same");
  const first = await plugin(["-l", "set=resume", "-n", namespace, "-o", "json"], { cwd: directory });
  assert.equal(first.code, 0, first.stderr);
  const path = join(directory, readdirSync(directory)[0] ?? "");
  const run = JSON.parse(readFileSync(path, "utf8")) as RunDocument;
  writeFileSync(
    path,
    JSON.stringify({ ...run, items: run.items.map(({ result, ...item }) => (item.pod === "same" ? { ...item, result } : item)) }),
  );
  await kubectl("delete", "pod", "gone", "restarted", "-n", namespace, "--force", "--grace-period=0");
  await apply(pod(namespace, "restarted", [container("c", COUNT)], { labels: { set: "resume" }, node: "node1" }));
  await running(namespace, "restarted");
  const { code, stdout, stderr } = await plugin(["--resume", path, "-n", namespace, "-o", "json"]);
  assert.equal(code, 3, stderr);
  assert.match(stderr, /^1 of 3 containers are done, 1 are left$/m);
  assert.match(stderr, /^warning: container c of pod\/restarted has been replaced since the run began/m);
  assert.match(stderr, /^error: pod\/gone is gone since the run began$/m);
  const { items } = JSON.parse(stdout) as CheckpointList;
  assert.deepEqual(
    items.map((item) => [item.pod, item.error?.reason]),
    [
      ["gone", "PodGone"],
      ["restarted", undefined],
      ["same", undefined],
    ],
  );
  for (const wrong of ["/dev/null", join(directory, "none"), resolve("package.json")])
    assert.equal((await plugin(["--resume", wrong])).code, 1);
});

clusterTest("--every, --count, --keep: a document a line, only this series' own archives are removed, a restart is noted", async (t) => {
  const directory = await temporaryDirectory(t);
  const ending = container("c", "trap 'exit 1' TERM; sleep inf & wait");
  await apply(pod(namespace, "series", [ending], { node: "node1", spec: { restartPolicy: "Always" } }));
  await running(namespace, "series");
  // None can be started in it while it is paused.
  const restarted = async (): Promise<void> =>
    await eventually(async () => (await kubectl("exec", "series", "-n", namespace, "--", "kill", "1")).code === 0, "its end");
  const foreign = (await plugin(["--prove", "0", "series", "-n", namespace, "-o", "name"])).stdout.trim();
  // The kubelet names archives by the second.
  await sleep(1000);
  const { code, stdout, stderr } = await plugin(
    ["series", "-n", namespace, "--every", "3s", "--count", "4", "--keep", "2", "--prove", "1s", "--yes", "-o", "json"],
    {
      env,
      cwd: directory,
      started: (child) => child.stdout?.once("data", () => void restarted()),
    },
  );
  const lines = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as CheckpointList);
  assert.equal(lines.length, 4);
  assert.ok(code === 0 || code === 3, stderr);
  assert.match(stderr, /container c in pod\/series was restarted \(restarts: \d+\): the series continues with the new container/);
  const made = lines.flatMap(({ items }) => items[0]?.nodePath ?? []);
  const there = await onNode("node1", "ls", "/var/lib/kubelet/checkpoints");
  const left = made.filter((path) => there.includes(path.slice(path.lastIndexOf("/") + 1)));
  assert.deepEqual(left, made.slice(-2));
  assert.ok(there.includes(foreign.slice(foreign.lastIndexOf("/") + 1)), "an archive of nobody's series stays");
  assert.equal(stderr.match(/^node1:\S+ removed: --keep 2$/gm)?.length, made.length - 2, "each removal is said");
  const refused = await plugin(["series", "-n", namespace, "--every", "3s", "--keep", "2"]);
  assert.equal(refused.code, 2);
  assert.match(
    refused.stderr,
    /^error: --keep 2 removes all but the last 2 archives of this series from node1, through privileged helper pods .*\n {2}fix: rerun with --yes to confirm/,
  );
  const refusedHere = await plugin(["series", "-n", namespace, "--every", "3s", "--keep", "2", `--copy=${directory}/`], { env });
  assert.equal(refusedHere.code, 2);
  assert.ok(
    refusedHere.stderr.startsWith(`error: --keep 2 removes all but the last 2 archives of this series from ${directory} and node1\n`),
    refusedHere.stderr,
  );
});

clusterTest("a series ends with its pod, and with Ctrl-C", async () => {
  await apply(pod(namespace, "short", [container("c", COUNT)], { node: "node1" }));
  await running(namespace, "short");
  const ended = await plugin(["--prove", "0", "short", "-n", namespace, "--every", "2s", "-o", "name"], {
    started: (child) =>
      child.stdout?.once("data", () => void kubectl("delete", "pod", "short", "-n", namespace, "--force", "--grace-period=0")),
  });
  assert.match(ended.stderr, /pod\/short (is gone|has ended): the series ends|is not running/);
  const stopped = await plugin(["web-uring", "-c", "side", "-n", namespace, "--every", "1h"], {
    started: (child) => child.stdout?.once("data", () => setTimeout(() => child.kill("SIGINT"), 500)),
  });
  assert.equal(stopped.code, 130);
  assert.match(stopped.stdout, /^pod\/web-uring container side checkpointed/);
});

clusterTest("the helpers of the command that was killed are gone, by themselves", async () => {
  await eventually(async () => (await helperNames()).every((name) => !left.has(name)), "no helper", 100);
});
