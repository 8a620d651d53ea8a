// What can go wrong while an archive travels. After each fault: no wrong file under the final name, no pod that outlives its
// deadline, a message that says what to do, and the next run completes. The runs are counted, and the table printed in the end.
import "./apart.ts";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { V1PodList } from "@kubernetes/client-node";
import {
  apply,
  BUSYBOX,
  cluster,
  clusterTest,
  eventually,
  getJson,
  kubectl,
  NO_CLUSTER,
  onNode,
  ownNamespace,
  plugin,
  run,
  setUp,
  shareCluster,
  temporaryDirectory,
  type Ended,
} from "./harness.ts";
import { TcpProxy } from "./tcp-proxy.ts";

shareCluster();

const FULL = process.env["FULL"] === "1";
const namespace = ownNamespace("e2e-faults");
const NODE = "node2";
const DIRECTORY = "/var/lib/kubelet/checkpoints";
const NAME = "faults.tar";
const SIZE = 24 * 1024 * 1024;
/** Slow enough to be met in the middle: some 4 s. */
const SLOW = { bytesPerSecond: 6 * 1024 * 1024 };
const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX };
/** Helper pods of these tests alone, which count them. */
const HERE = ["--helper-namespace", namespace];
let sha256 = "";

/** Milliseconds: before the pod, while it starts, in the middle of the copy. */
const MOMENTS = { SIGINT: [300, 2500], SIGTERM: [1500], SIGHUP: [2000] };

/** Of the table in docs/benchmarks.md. */
const table = new Map<string, { runs: number; wrong: number; completed: number; next: number }>();

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    await onNode(
      NODE,
      "sh",
      "-c",
      `mkdir -p ${DIRECTORY} && cd /tmp && head -c ${SIZE} /dev/urandom >random && tar -cf ${DIRECTORY}/${NAME} random && rm random`,
    );
    sha256 = (await onNode(NODE, "sha256sum", `${DIRECTORY}/${NAME}`)).slice(0, 64);
  });
  after(async () => {
    await onNode(NODE, "sh", "-c", `rm -f ${DIRECTORY}/faults*`);
    for (const [fault, { runs, wrong, completed, next }] of table) {
      process.stdout.write(
        `| ${fault} | ${runs} runs | ${wrong} wrong files | ${completed} completed at once | ${next} on the next run |\n`,
      );
    }
  });
}

async function pods(): Promise<string[]> {
  const { items } = await getJson<V1PodList>("pods,jobs", "-n", namespace, "-l", "app.kubernetes.io/name=kubectl-checkpoint");
  return items.map(({ metadata }) => metadata?.name ?? "");
}

async function newPods(before: readonly string[]): Promise<string[]> {
  return (await pods()).filter((name) => !before.includes(name));
}

function isWhole(path: string): boolean {
  return createHash("sha256").update(readFileSync(path)).digest("hex") === sha256;
}

/** Judges one run that met a fault, and runs it again where it did not complete. */
async function judge(
  fault: string,
  directory: string,
  ended: Ended,
  { name = NAME, explained = /^error: [^\n]+(\n {2}(why|fix): |$)/m }: { name?: string; explained?: RegExp } = {},
): Promise<void> {
  const row = table.get(fault) ?? { runs: 0, wrong: 0, completed: 0, next: 0 };
  table.set(fault, row);
  row.runs += 1;
  const path = join(directory, name);
  if (existsSync(path) && !isWhole(path)) row.wrong += 1;
  assert.equal(row.wrong, 0, "no wrong file under the final name");
  if (ended.code === 0) {
    row.completed += 1;
    assert.ok(existsSync(path), "a success has its file");
    return;
  }
  assert.ok(!existsSync(path), "no file under the final name after a failure");
  assert.match(ended.stderr, explained);
  assert.doesNotMatch(ended.stderr, /internal error|^ {4}at /m);
  if (existsSync(`${path}.part`)) assert.equal(statSync(`${path}.part`).mode & 0o777, 0o600);
  const again = await plugin(["cp", `${NODE}:${name}`, directory, ...HERE], { env });
  assert.equal(again.code, 0, again.stderr);
  assert.ok(isWhole(path));
  row.next += 1;
}

async function slowly(
  t: TestContext,
  directory: string,
  meanwhile: (proxy: TcpProxy) => Promise<unknown>,
  signal?: NodeJS.Signals,
): Promise<Ended> {
  const proxy = await TcpProxy.start(t, SLOW);
  let child: { kill(signal: NodeJS.Signals): boolean } | undefined;
  const running = plugin(["cp", `${NODE}:${NAME}`, directory, "--compress", "none", ...HERE, ...proxy.flags], {
    env,
    started: (started) => (child = started),
  });
  await Promise.race([running, eventually(async () => proxy.passed > 4 * 1024 * 1024, "bytes on their way", 30)]);
  await meanwhile(proxy);
  if (signal !== undefined) child?.kill(signal);
  return await running;
}

const killed = new Set<string>();
let lastKill = 0;

clusterTest(
  "SIGKILL: the next run completes",
  async (t) => {
    const killedAfter = async (directory: string, wait: number): Promise<Ended> => {
      const proxy = await TcpProxy.start(t, SLOW);
      return await plugin(["cp", `${NODE}:${NAME}`, directory, "--compress", "none", ...HERE, ...proxy.flags], {
        env,
        started: (child) => setTimeout(() => child.kill("SIGKILL"), wait),
      });
    };
    const moments = FULL ? [300, 600, 900, 1200, 1500, 1800, 2100, 2500, 3000, 3500] : [];
    for (const wait of [undefined, ...moments]) {
      const directory = await temporaryDirectory(t);
      const ended =
        wait === undefined
          ? await slowly(t, directory, async () => await Promise.resolve(), "SIGKILL")
          : await killedAfter(directory, wait);
      lastKill = Date.now();
      for (const name of await pods()) killed.add(name);
      await judge("SIGKILL", directory, ended, { explained: /^/ });
    }
    assert.ok(killed.size > 0, "pods were there to be left");
  },
  { timeout: 900_000 },
);

clusterTest(
  "connections cut at random bytes",
  async (t) => {
    const before = await pods();
    const runs = FULL ? 200 : 3;
    // The same cuts each time, so that whatever fails can be tried again; of a long series others.
    let seed = Number(process.env["SEED"] ?? (FULL ? Date.now() % 1e6 : 1));
    t.diagnostic(`seed ${seed}`);
    for (let index = 0; index < runs; index += 1) {
      // A linear congruential generator (Numerical Recipes): the same seed cuts at the same bytes.
      seed = (seed * 1_664_525 + 1_013_904_223) % 2 ** 32;
      const cutAfter = Math.floor((seed / 2 ** 32) * (SIZE + 200_000));
      const directory = await temporaryDirectory(t);
      const proxy = await TcpProxy.start(t, { cutAfter });
      const ended = await plugin(["cp", `${NODE}:${NAME}`, directory, "--compress", "none", ...HERE, ...proxy.flags], { env });
      await judge("connection cut at a random byte", directory, ended);
    }
    await eventually(async () => (await newPods(before)).length === 0, "no pod", 90);
  },
  { timeout: FULL ? 3_600_000 : 300_000 },
);

clusterTest(
  "the apiserver is restarted",
  async (t) => {
    const directory = await temporaryDirectory(t);
    const ended = await slowly(t, directory, async () => {
      await cluster("apiserver", "kill");
      await cluster("apiserver", "start");
    });
    await judge("apiserver killed and started", directory, ended);
  },
  { timeout: 240_000, alone: true },
);

clusterTest(
  "the kubelet is restarted",
  async (t) => {
    const directory = await temporaryDirectory(t);
    const ended = await slowly(t, directory, async () => {
      await cluster("kubelet", NODE, "kill");
      await cluster("kubelet", NODE, "start");
    });
    await judge("kubelet killed and started", directory, ended);
  },
  { timeout: 240_000, alone: true },
);

clusterTest(
  "the helper pod is deleted",
  async (t) => {
    const directory = await temporaryDirectory(t);
    const ended = await slowly(
      t,
      directory,
      async () =>
        await kubectl("delete", "pods", "-n", namespace, "-l", "app.kubernetes.io/name=kubectl-checkpoint", "--force", "--grace-period=0"),
    );
    await judge("helper pod deleted", directory, ended, {
      explained: /^error: the helper pod is gone\n {2}why: .*\n {2}fix: rerun the command to resume the copy/m,
    });
  },
  { timeout: 240_000 },
);

clusterTest(
  "the archive on the node is deleted, replaced or grows while it is copied",
  async (t) => {
    for (const [fault, command, name] of [
      ["archive deleted on the node", `mv ${DIRECTORY}/faults.tar /tmp/faults.kept`, NAME],
      [
        "archive replaced on the node",
        `head -c ${SIZE} /dev/zero >${DIRECTORY}/faults.new; mv ${DIRECTORY}/faults.tar /tmp/faults.kept; mv ${DIRECTORY}/faults.new ${DIRECTORY}/faults.tar`,
        NAME,
      ],
      [
        "archive grows on the node",
        `cp ${DIRECTORY}/faults.tar /tmp/faults.kept; head -c 65536 /dev/urandom >>${DIRECTORY}/faults.tar`,
        NAME,
      ],
    ] as const) {
      const directory = await temporaryDirectory(t);
      const ended = await slowly(t, directory, async () => await onNode(NODE, "sh", "-c", command));
      await onNode(NODE, "sh", "-c", `cp /tmp/faults.kept ${DIRECTORY}/faults.tar; rm /tmp/faults.kept`);
      assert.equal(ended.code, 1, fault);
      await judge(fault, directory, ended, {
        name,
        explained: /^error: .*(is no longer on the node|not found|changed|differs)/m,
      });
    }
  },
  { timeout: 240_000 },
);

clusterTest(
  "the token expires",
  async (t) => {
    const directory = await temporaryDirectory(t);
    const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "copier", namespace } };
    const subjects = [{ kind: "ServiceAccount", name: "copier", namespace }];
    const binding = {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: "e2e-faults" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
      subjects,
    };
    await apply(account, binding);
    t.after(async () => await kubectl("delete", "clusterrolebinding", "e2e-faults"));
    const token = (await kubectl("create", "token", "copier", "-n", namespace)).stdout.trim();
    // Slower: the API server believes a token for 10 s more.
    const proxy = await TcpProxy.start(t, { bytesPerSecond: 1024 * 1024 });
    const kubeconfig = join(directory, "kubeconfig");
    await run("sh", ["-c", `kubectl config view --raw --minify | sed -E '/client-(certificate|key)-data/d' >'${kubeconfig}'`]);
    const running = plugin(["cp", `${NODE}:${NAME}`, directory, "--compress", "none", "--token", token, ...HERE, ...proxy.flags], {
      env: { ...env, KUBECONFIG: kubeconfig },
    });
    await eventually(async () => proxy.passed > 1024 * 1024, "bytes on their way");
    await kubectl("delete", "serviceaccount", "copier", "-n", namespace);
    await sleep(12_000);
    proxy.cut();
    const ended = await running;
    assert.equal(ended.code, 1);
    await judge("token expired", directory, ended, { explained: /^error: the API server does not accept these credentials\n/m });
  },
  { timeout: 240_000 },
);

clusterTest("the disk here is full", async (t) => {
  const directory = await temporaryDirectory(t);
  const small = join(directory, "small");
  mkdirSync(small);
  await run("mount", ["-t", "tmpfs", "-o", "size=32m", "tmpfs", small]);
  try {
    const ended = await slowly(t, small, async () => await run("sh", ["-c", `head -c 20000000 /dev/zero >'${small}/filler'`]));
    assert.equal(ended.code, 1);
    assert.match(ended.stderr, /^error: no space left for \S+\n {2}fix: free some space, then rerun the command to resume the copy/m);
    await run("rm", [join(small, "filler")]);
    await judge("disk full here", small, ended);
  } finally {
    await run("umount", [small]);
  }
});

clusterTest(
  "SIGINT, SIGTERM and SIGHUP: the pod is gone when the command returns, within 5 s",
  async (t) => {
    // Those of killed commands, and of one whose token expired, end by themselves.
    const before = await pods();
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      for (const wait of FULL ? [0, 200, 400, 600, 800, 1000, 1500, 2000, 2500, 3000] : MOMENTS[signal]) {
        const directory = await temporaryDirectory(t);
        const proxy = await TcpProxy.start(t, SLOW);
        let signalled = 0;
        const ended = await plugin(["cp", `${NODE}:${NAME}`, directory, "--compress", "none", ...HERE, ...proxy.flags], {
          env,
          started: (child) =>
            setTimeout(() => {
              signalled = Date.now();
              child.kill(signal);
            }, wait),
        });
        if (ended.code !== 0) assert.equal(ended.code, 128 + { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 }[signal]);
        assert.ok(Date.now() - signalled < 6000, "within 5 s");
        assert.deepEqual(await newPods(before), [], `after ${signal} at ${wait} ms`);
        await judge(signal, directory, ended, {
          explained:
            /^(|error: .*|([\d.]+ [KM]?i?B of 24\.0 MiB were copied; to continue|nothing was copied; to copy it|.* is complete, but its record could not be written; to write it): kubectl checkpoint cp .*)$/s,
        });
      }
    }
  },
  { timeout: 900_000 },
);

clusterTest("the pods of killed commands are ended by their own watchdog", async (t) => {
  await eventually(async () => (await pods()).every((name) => !killed.has(name)), "no pod of a killed command", 150);
  t.diagnostic(`no pod of a killed command is there ${((Date.now() - lastKill) / 1000).toFixed(0)} s after the last kill`);
});
