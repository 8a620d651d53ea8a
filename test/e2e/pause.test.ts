// What is said of a checkpoint's pause, beside what the container itself saw: a heartbeat every 20 ms, and its longest gap.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { CheckpointList } from "../../src/model/documents.ts";
import {
  APPS,
  apply,
  BUSYBOX,
  clusterTest,
  eventually,
  kubectl,
  NO_CLUSTER,
  ownNamespace,
  plugin,
  pod,
  running,
  setUp,
  shareCluster,
} from "./harness.ts";

shareCluster();

const namespace = ownNamespace("e2e-pause");
const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX };
const SIZES = [20, 300];
/** Checkpoints of each size. */
const TIMES = process.env["FULL"] === undefined ? 2 : 9;

/** The plugin, kubelet, containerd and CRIU alone make some 30 % on two processors. */
const QUIET_PERCENT = 45;

/** Holds so many MiB that are not zeros, and prints each gap between two heartbeats that is longer than a beat. */
const heartbeat = (mebibytes: number): string => `
import os, time
block = os.urandom(1 << 20)
held = [bytearray(block) for _ in range(${mebibytes})]
print("beats", flush=True)
last = time.monotonic()
while True:
    time.sleep(0.02)
    now = time.monotonic()
    if now - last > 0.05: print("gap", now - last, flush=True)
    last = now
`;

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    const names = SIZES.map((mebibytes) => `heart-${mebibytes}`);
    await apply(
      ...SIZES.map((mebibytes) =>
        pod(namespace, `heart-${mebibytes}`, [{ name: "heart", image: APPS, command: ["python3", "-c", heartbeat(mebibytes)] }], {
          node: "node1",
        }),
      ),
    );
    await running(namespace, ...names);
    for (const name of names) await eventually(async () => (await logOf(name)).startsWith("beats"), "a heartbeat");
  });
}

async function logOf(name: string): Promise<string> {
  return (await kubectl("logs", "-n", namespace, name)).stdout;
}

async function gaps(name: string): Promise<number[]> {
  return [...(await logOf(name)).matchAll(/^gap (\S+)$/gm)].map(([, seconds]) => Number(seconds));
}

/** Of ten seconds, the percentage in which something waited for a processor; undefined where the kernel does not say. */
function busy(): number | undefined {
  try {
    return Number(/^some avg10=(\S+)/.exec(readFileSync("/proc/pressure/cpu", "utf8"))?.[1]);
  } catch {
    return undefined;
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}

for (const mebibytes of SIZES) {
  clusterTest(
    `pausedSeconds of a container with ${mebibytes} MiB is what it saw: never less, and on a quiet machine not much more`,
    async (t) => {
      const name = `heart-${mebibytes}`;
      const said: number[] = [];
      const seen: number[] = [];
      // Between beats this machine's other work makes gaps too.
      const noise = Math.max(0, ...(await gaps(name)));
      const pressures: number[] = [];
      for (let turn = 0; turn < TIMES; turn += 1) {
        const before = (await gaps(name)).length;
        const { code, stdout, stderr } = await plugin([name, "-n", namespace, "-o", "json", "--prove", "0"], { env });
        assert.equal(code, 0, stderr);
        const item = (JSON.parse(stdout) as CheckpointList).items[0] ?? assert.fail(stderr);
        await eventually(async () => (await gaps(name)).length > before, "the gap in the log");
        said.push(item.pausedSeconds ?? Number.NaN);
        seen.push(Math.max(...(await gaps(name)).slice(before)));
        pressures.push(busy() ?? 100);
        assert.ok(
          (said.at(-1) ?? 0) >= 0.9 * ((seen.at(-1) ?? 0) - noise),
          `said ${said.join(", ")} s, seen ${seen.join(", ")} s; gaps without a checkpoint: up to ${noise} s`,
        );
      }
      const ratio = median(said) / median(seen);
      const pressure = Math.max(...pressures);
      const figures = `said ${said.map((one) => one.toFixed(2)).join(", ")} s, seen ${seen.map((one) => one.toFixed(2)).join(", ")} s: medians ${ratio.toFixed(2)} to 1`;
      if (pressure > QUIET_PERCENT) {
        t.diagnostic(`${figures}; not judged: processors were waited for ${pressure} % of the time, other work comes between`);
        return;
      }
      t.diagnostic(figures);
      assert.ok(ratio >= 0.9 && ratio <= 1.5, figures);
    },
    { full: mebibytes > 20 },
  );
}
