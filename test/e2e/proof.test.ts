// What is said of the original equals what becomes of it: ten kinds of programs, compared with the pod's status ten seconds later.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { V1ContainerStatus, V1Pod } from "@kubernetes/client-node";
import { inParallel } from "../../src/model/parallel.ts";
import type { CheckpointItem, CheckpointList } from "../../src/model/documents.ts";
import {
  apply,
  APPS,
  BUSYBOX,
  clusterTest,
  container,
  COUNT,
  getJson,
  kubectl,
  NO_CLUSTER,
  onNode,
  ownNamespace,
  plugin,
  pod,
  ready,
  REGISTRY,
  running,
  setUp,
  shareCluster,
  temporaryDirectory,
} from "./harness.ts";

shareCluster();

const FULL = process.env["FULL"] === "1";
const namespace = ownNamespace("e2e-proof");
const NODE = "node1";
/** coreutils: apps:1 has busybox' sleep. */
const PLAIN = `${REGISTRY}/plain:1`;
const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX };

function python(name: string, source: string): object {
  return { name, image: APPS, command: ["python3", "-c", source] };
}

/** Threads that wait on a condition variable with a time limit: futex. */
const FUTEX = `import threading
c = threading.Condition()
def wait():
  with c:
    while True: c.wait(1000)
for _ in range(4): threading.Thread(target=wait).start()`;
const SERVER = `import select, socket
s = socket.create_server(("127.0.0.1", 8080))
e = select.epoll(); e.register(s.fileno(), select.EPOLLIN)
while True: e.poll(60)`;
/** It ends a second after its checkpoint, which it notices by the sleep that is interrupted (Python's own would be repeated). */
const SECOND = `import ctypes, time
libc = ctypes.CDLL(None)
print("ready", flush=True)
libc.sleep(1000000)
time.sleep(1)
raise SystemExit(7)`;
/** Without io_uring, which CRIU cannot dump. */
const NODEJS = {
  name: "node",
  image: APPS,
  command: ["node", "-e", "setInterval(() => {}, 1000)"],
  securityContext: { seccompProfile: { type: "RuntimeDefault" } },
};

/** Whether it outlives a checkpoint is seen, not assumed. */
const WORKLOADS: Readonly<Record<string, object>> = {
  "busybox-sleep": { name: "c", image: BUSYBOX, command: ["sleep", "100000"] },
  "poll-loop": container("c", "mkfifo /tmp/f; exec 3<>/tmp/f; while true; do read -rt 30 _ <&3; done"),
  "gnu-sleep": { name: "c", image: PLAIN, command: ["sleep", "100000"] },
  python: python("c", "import time\ntime.sleep(1e6)"),
  redis: { name: "c", image: APPS, command: ["redis-server", "--save", ""] },
  server: python("c", SERVER),
  futex: python("c", FUTEX),
  shell: container("c", COUNT),
  nodejs: NODEJS,
  "a-second-after": python("c", SECOND),
};

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    await apply(...Object.entries(WORKLOADS).map(([name, one]) => pod(namespace, name, [one], { node: NODE })));
    await running(namespace, ...Object.keys(WORKLOADS));
  });
}

async function statusOf(name: string): Promise<V1ContainerStatus> {
  const { status } = await getJson<V1Pod>("pod", name, "-n", namespace);
  return status?.containerStatuses?.[0] ?? assert.fail("no status");
}

/** Running; one that has ended before is made anew: the kubelet would wait longer and longer to restart it. */
async function fresh(name: string): Promise<V1ContainerStatus> {
  const status = await statusOf(name);
  if (status.state?.running === undefined || status.restartCount !== 0) {
    await kubectl("delete", "pod", name, "-n", namespace, "--force", "--grace-period=0");
    await apply(pod(namespace, name, [WORKLOADS[name] ?? assert.fail(name)], { node: NODE }));
    await running(namespace, name);
  }
  // A container is running before Python has come to what is interrupted.
  if (name === "a-second-after") await ready(namespace, name);
  return await statusOf(name);
}

async function checkpoint(name: string, ...args: string[]): Promise<{ item: CheckpointItem; code: number | null; stderr: string }> {
  const { code, stdout, stderr } = await plugin([name, "-n", namespace, "-o", "json", ...args], { env });
  const [item] = (JSON.parse(stdout) as CheckpointList).items;
  return { item: item ?? assert.fail(stderr), code, stderr };
}

/** One checkpoint, and whether what was said of the original is what the cluster shows `seconds` after the answer. */
async function judged(name: string, seconds: number): Promise<{ right: boolean; said: unknown; is: unknown; ended: boolean }> {
  const before = await fresh(name);
  const watched = checkpoint(name, "--prove", `${seconds}s`);
  const { item, code, stderr } = await watched;
  assert.equal(item.error, undefined, stderr);
  // The status as it is then, not when the command has ended: it may end early where the original did.
  const left = Date.parse(item.finishedAt) + seconds * 1000 - Date.now();
  if (left > 0) await sleep(left);
  const after = await statusOf(name);
  const runs = after.state?.running !== undefined && after.containerID === before.containerID && after.restartCount === before.restartCount;
  assert.equal(code, item.stillRunning === false ? 3 : 0, stderr);
  if (item.stillRunning === false)
    assert.match(stderr, /^error: container \S+ in pod\/\S+ did not keep running: it ended with exit status \d+/m);
  return { right: item.stillRunning === runs, said: item.stillRunning, is: runs, ended: !runs };
}

clusterTest(
  "ten workloads: what is said with --prove 10s is what the cluster shows ten seconds later",
  async (t) => {
    const times = FULL ? 10 : 1;
    let right = 0;
    for (let turn = 0; turn < times; turn += 1) {
      const all: ({ readonly name: string } & Awaited<ReturnType<typeof judged>>)[] = [];
      // Side by side: they wait.
      await inParallel(Object.keys(WORKLOADS), 4, async (name) => void all.push({ name, ...(await judged(name, 10)) }));
      for (const { name, right: isRight, said, is } of all) {
        assert.ok(isRight, `${name}: said ${String(said)}, is ${String(is)} (turn ${turn})`);
        right += 1;
      }
      const ended = all.filter((one) => one.ended).map(({ name }) => name);
      if (turn === 0) t.diagnostic(`ended by their checkpoint: ${ended.join(", ")}`);
      assert.ok(ended.includes("busybox-sleep"), ended.join(", "));
      for (const name of ["gnu-sleep", "python", "redis", "shell"]) assert.ok(!ended.includes(name), ended.join(", "));
    }
    t.diagnostic(`${right} of ${times * Object.keys(WORKLOADS).length} said what is`);
  },
  { timeout: FULL ? 3_600_000 : 300_000 },
);

clusterTest(
  "with the default: never said to be running where the end came within a second of the answer",
  async (t) => {
    const ends: number[] = [];
    for (let turn = 0; turn < (FULL ? 20 : 2); turn += 1) {
      for (const name of ["busybox-sleep", "a-second-after"]) {
        const before = await fresh(name);
        const { item } = await checkpoint(name);
        assert.equal(item.containerID, before.containerID);
        assert.equal(item.stillRunning, false, JSON.stringify(item));
        assert.match(item.ended ?? "", name === "busybox-sleep" ? /^it ended with exit status 0/ : /^it ended with exit status 7/);
        // The runtime's clock is this machine's; it is told to the second.
        const status = await statusOf(name);
        const end = [status.state, status.lastState]
          .map((state) => state?.terminated)
          .find((one) => one?.containerID === before.containerID);
        ends.push((Date.parse(String(end?.finishedAt)) - Date.parse(item.finishedAt)) / 1000);
      }
    }
    t.diagnostic(`all ${ends.length} said to have ended; seconds after the answer: ${ends.map((end) => end.toFixed(1)).join(", ")}`);
  },
  { timeout: FULL ? 3_600_000 : 300_000 },
);

clusterTest("the result does not wait for it; record and document tell; the interrupted call is named", async (t) => {
  const directory = await temporaryDirectory(t);
  await fresh("busybox-sleep");
  const { item, code, stderr } = await checkpoint("busybox-sleep", `--copy=${directory}/`);
  assert.equal(code, 3);
  assert.equal(item.stillRunning, false);
  assert.deepEqual(item.interrupted, [{ tid: 1, comm: "sleep", call: "clock_nanosleep" }]);
  assert.match(stderr, /A checkpoint interrupts system calls that sleep, here clock_nanosleep of process 1 \(sleep\)/);
  assert.match(stderr, /the archive was made although it ended/);
  const record = JSON.parse(readFileSync(item.copy?.record ?? "", "utf8")) as CheckpointList & { record: object };
  assert.deepEqual(record.items[0], item, "the record says what the document says");
  assert.ok("hashes" in record.record);
});

clusterTest("in text, the result line is there before the proof is", async () => {
  let shown = 0;
  const started = Date.now();
  const { code, stdout } = await plugin(["redis", "-n", namespace, "--prove", "8s"], {
    started: (child) => child.stdout?.once("data", () => (shown = Date.now())),
  });
  const ended = Date.now();
  assert.equal(code, 0);
  assert.match(stdout, /^pod\/redis container c checkpointed on node1/);
  assert.ok(ended - shown >= 7500, `shown ${shown - started} ms after the start, ended ${ended - started} ms after it`);
});

clusterTest("in a run the next container starts during the proof of the last one, and each end is in the summary", async (t) => {
  const directory = await temporaryDirectory(t);
  await fresh("busybox-sleep");
  const { code, stdout, stderr } = await plugin(["busybox-sleep", "redis", "python", "-n", namespace, "-o", "json"], { cwd: directory });
  assert.equal(code, 3, stderr);
  const { items } = JSON.parse(stdout) as CheckpointList;
  assert.deepEqual(
    items.map(({ pod: name, stillRunning }) => [name, stillRunning]),
    [
      ["busybox-sleep", false],
      ["redis", true],
      ["python", true],
    ],
  );
  const gaps = items.slice(1).map((item, index) => Date.parse(item.startedAt) - Date.parse(items[index]?.finishedAt ?? ""));
  for (const gap of gaps) assert.ok(gap < 3000, `${gaps.join(", ")} ms between them`);
  assert.match(
    stderr,
    /^3 of 3 containers checkpointed, 1 did not keep running:\n {2}e2e-proof\/busybox-sleep container c did not keep running: it ended/m,
  );
});

clusterTest("an original that is deleted during its proof; Ctrl-C ends the proof, not the result", async () => {
  await apply(pod(namespace, "deleted", [container("c", COUNT)], { node: NODE }));
  await running(namespace, "deleted");
  const { item, code } = await (async () => {
    const result = plugin(["deleted", "-n", namespace, "-o", "json"]);
    // Once the archive is there.
    await sleep(300);
    for (;;) {
      const list = await onNode(NODE, "sh", "-c", "ls /var/lib/kubelet/checkpoints | grep checkpoint-deleted_ || true");
      if (list !== "") break;
    }
    await kubectl("delete", "pod", "deleted", "-n", namespace, "--wait=false", "--now");
    const { code: status, stdout } = await result;
    return { item: (JSON.parse(stdout) as CheckpointList).items[0] ?? assert.fail(stdout), code: status };
  })();
  assert.deepEqual([code, item.stillRunning], [3, false], JSON.stringify(item));
  const started = Date.now();
  const stopped = await plugin(["redis", "-n", namespace, "--prove", "60s"], {
    started: (child) => child.stdout?.once("data", () => setTimeout(() => child.kill("SIGINT"), 200)),
  });
  assert.equal(stopped.code, 130);
  assert.match(stopped.stdout, /^pod\/redis container c checkpointed/);
  assert.ok(Date.now() - started < 30_000);
});
