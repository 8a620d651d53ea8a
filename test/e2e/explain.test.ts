// CRIU's failures explained by its own log, on the real cluster: containerd's as it comes, CRI-O's directory imitated.
import assert from "node:assert/strict";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type TestContext } from "node:test";
import type { V1PodList } from "@kubernetes/client-node";
import { Connection } from "../../src/cluster/connection.ts";
import type { FlowContext } from "../../src/flows/context.ts";
import { explainFailure, readableLogs } from "../../src/flows/capture/explain.ts";
import { Helpers } from "../../src/helper/helpers.ts";
import { CriuFailure } from "../../src/kubelet/target.ts";
import type { CheckpointItem, CheckpointList } from "../../src/model/documents.ts";
import { context } from "../fakes.ts";
import {
  ADMIN,
  apply,
  APPS,
  BUSYBOX,
  clusterTest,
  container,
  COUNT,
  environment,
  getJson,
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

const namespace = ownNamespace("e2e-explain");
const NODE = "node2";
const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX };
/** A process with both ends of a connection. */
const TALK =
  "import socket,time\ns=socket.create_server(('127.0.0.1',9000))\nc=socket.create_connection(('127.0.0.1',9000))\na=s.accept()\nprint('ready',flush=True)\ntime.sleep(1e6)";
const NODEJS = { name: "node", image: APPS, command: ["node", "-e", "setInterval(() => {}, 1000); console.log('ready')"] };

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    await apply(
      pod(namespace, "uring", [NODEJS], { node: NODE }),
      pod(namespace, "without", [{ ...NODEJS, securityContext: { seccompProfile: { type: "RuntimeDefault" } } }], { node: NODE }),
      pod(namespace, "counter", [container("counter", COUNT)], { node: NODE }),
      pod(namespace, "talks", [{ name: "c", image: APPS, command: ["python3", "-c", TALK] }], { node: NODE }),
    );
    await running(namespace, "uring", "without", "counter", "talks");
    for (const name of ["uring", "without", "talks"]) await ready(namespace, name);
  });
}

const WHY = /^ {2}why: a process uses io_uring, which CRIU cannot dump\n {7}\(\d+\.\d+\) Error \(.*anon_inode:\[io_uring\]/m;

clusterTest("--explain says io_uring, saves the log beside where the archive would have gone; the exit status stays 1", async (t) => {
  const directory = await temporaryDirectory(t);
  const { code, stdout, stderr } = await plugin(["uring", "-n", namespace, "--explain", `--copy=${directory}/`, "-o", "json"], {
    // Other files' helpers may run beside this one.
    env: { ...env, KUBECTL_CHECKPOINT_HELPER_NAMESPACE: namespace },
  });
  assert.equal(code, 1);
  assert.match(stderr, WHY);
  const [log = "", ...others] = readdirSync(directory);
  assert.deepEqual(others, []);
  assert.match(log, /^checkpoint-uring_e2e-explain-node-20\d\d-\d\d-\d\dT[-\d.]+Z\.criu\.log$/);
  assert.ok(stderr.includes(`CRIU's log: ${join(directory, log)}\n`), stderr);
  assert.equal(statSync(join(directory, log)).mode & 0o777, 0o600);
  assert.match(readFileSync(join(directory, log), "utf8"), /io_uring[^]*Dumping FAILED\.\n$/);
  const { error } = (JSON.parse(stdout) as CheckpointList).items[0] ?? {};
  assert.deepEqual([error?.phase, error?.reason], ["checkpoint", "CRIUFailed"]);
  assert.match(error?.why ?? "", /^a process uses io_uring/);
  assert.equal((await getJson<V1PodList>("pods,jobs", "-n", namespace, "-l", "app.kubernetes.io/name=kubectl-checkpoint")).items.length, 0);
});

clusterTest("an established connection", async (t) => {
  const { code, stderr } = await plugin(["talks", "-n", namespace, "--explain"], { env, cwd: await temporaryDirectory(t) });
  assert.equal(code, 1);
  assert.match(stderr, /^ {2}why: a process has established TCP connections .*\n.*tcp-established/m);
  assert.match(stderr, /^ {2}fix: --criu-option tcp-established sets it for one checkpoint; .*\/etc\/criu\/runc\.conf/m);
});

clusterTest("what it says to do helps", async () => {
  const { code, stderr } = await plugin(["--prove", "0", "without", "-n", namespace]);
  assert.equal(code, 0, stderr);
});

clusterTest("without --copy the log goes into the working directory; of several containers, those that fail are explained", async (t) => {
  const directory = await temporaryDirectory(t);
  const { code, stdout, stderr } = await plugin(["--prove", "0", "uring", "counter", "-n", namespace, "--explain", "-o", "name"], {
    env,
    cwd: directory,
  });
  assert.equal(code, 3);
  assert.match(stderr, WHY);
  assert.match(stdout, /^node2:\S+counter_e2e-explain-counter\S+\n$/);
  assert.equal(readdirSync(directory).filter((name) => name.endsWith(".criu.log")).length, 1);
});

clusterTest("on a terminal it is offered, and a no leaves the node alone", async (t) => {
  const directory = await temporaryDirectory(t);
  const words = ["uring", "-n", namespace, `--copy=${directory}/`];
  const size = { columns: 200, rows: 30 };
  for (const [answer, expected] of [
    ["n", /why: CRIU failed \(type DUMP, errno 0\): the cause is only in its log/],
    ["y", /why: a process uses io_uring/],
  ] as const) {
    const screen = new Terminal(words, size, env);
    t.after(() => screen.kill());
    await screen.see(
      /CRIU failed; its log on the node has the cause\. Read the log through a privileged helper pod on node2 \(namespace kube-system, image \S+\)\?/,
      30,
    );
    screen.type(`${answer}\r`);
    await screen.see(expected);
    assert.equal(await screen.ended(), 1);
  }
  assert.equal(readdirSync(directory).length, 1);
});

clusterTest("without a terminal and without --explain nothing is made", async () => {
  const { code, stderr } = await plugin(["uring", "-n", namespace, "--yes"], { env });
  assert.equal(code, 1);
  assert.match(stderr, /fix: rerun with --explain, or read the log on the node: node2:\/run\/containerd\//);
});

clusterTest("a helper pod that cannot start keeps the failure as it was, and says so", async (t) => {
  const directory = await temporaryDirectory(t);
  const refused = await plugin(["uring", "-n", namespace, "--explain", "--helper-namespace", "no-such-namespace"], { env, cwd: directory });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^warning: CRIU's log could not be read: the helper pod was refused in namespace no-such-namespace/m);
  assert.match(
    refused.stderr,
    /^error: CRIU could not checkpoint container node in pod\/uring\n {2}why: CRIU failed \(type DUMP, errno 0\): the cause is only in its log/m,
  );
});

async function helpersOf(t: TestContext): Promise<{ flow: FlowContext; helpers: Helpers }> {
  const surroundings = context(t.signal, environment());
  const connection = await Connection.open({ kubeconfig: ADMIN, asGroups: [], insecure: false, requestTimeoutMs: 0 }, surroundings);
  t.after(async () => await connection.close());
  const settings = { image: BUSYBOX, namespace: undefined, pullSecret: undefined, checkpointDir: "/var/lib/kubelet/checkpoints" };
  return { flow: { ...surroundings, connection }, helpers: new Helpers(connection, surroundings, settings) };
}

/** A failure in the words of CRI-O, whose directory is imitated on the node. */
async function crio(
  t: TestContext,
  directory: string,
  id: string,
  log: string,
): Promise<{ error: { reason: string; why?: string; fix?: string } | undefined; saved: string[] }> {
  await onNode(NODE, "sh", "-c", `mkdir -p ${directory} && printf '${log}' >${directory}/dump.log`);
  t.after(async () => await onNode(NODE, "rm", "-rf", directory));
  const here = await temporaryDirectory(t);
  const { flow, helpers } = await helpersOf(t);
  const item: CheckpointItem = {
    namespace,
    pod: "p",
    podUID: "u",
    container: "c",
    containerID: `cri-o://${id}`,
    imageID: "",
    node: NODE,
    startedAt: "2026-11-24T06:10:21.123Z",
    finishedAt: "",
    seconds: 0,
    restartCount: 0,
  };
  const failure = new CriuFailure([`${directory}/dump.log`], { reason: "CRIUFailed", message: "CRIU failed" });
  const places = readableLogs(failure, item);
  assert.equal(places.length, 1, directory);
  const { error } = await explainFailure(flow, helpers, { item, error: failure }, failure, places, here);
  return { error: error as { reason: string; why?: string; fix?: string } | undefined, saved: readdirSync(here) };
}

clusterTest("CRI-O's directory, and a cause that is not known", async (t) => {
  const id = "ab".repeat(32);
  const { error, saved } = await crio(
    t,
    `/var/lib/containers/storage/overlay-containers/${id}/userdata`,
    id,
    "(00.1) Error (criu/x.c:1): nobody knows this\\n(00.2) Error (criu/cr-dump.c:2): Dumping FAILED.\\n",
  );
  assert.deepEqual([error?.reason, error?.why], ["CRIUFailed", "its log says:\n(00.1) Error (criu/x.c:1): nobody knows this"]);
  assert.deepEqual(saved, ["checkpoint-p_e2e-explain-c-2026-11-24T06-10-21.123Z.criu.log"]);
});

clusterTest("a log that is a link is not read", async (t) => {
  const id = "cd".repeat(32);
  const directory = `/var/lib/containers/storage/overlay-containers/${id}/userdata`;
  await onNode(NODE, "sh", "-c", `mkdir -p ${directory} && ln -s /etc/hostname ${directory}/dump.log`);
  t.after(async () => await onNode(NODE, "rm", "-rf", directory));
  const { helpers } = await helpersOf(t);
  await using log = helpers.directory(NODE, "criu-log", directory);
  await assert.rejects(log.stat("dump.log"), { reason: "ArchiveNotFound" });
  await assert.rejects(log.stat("../userdata/dump.log"), { reason: "ArchiveNameInvalid" });
});
