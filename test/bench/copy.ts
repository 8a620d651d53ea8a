// npm run bench copy [-- ROUNDS]: `kubectl checkpoint cp` against `kubectl cp` out of a pod that stands, on the real cluster, in the
// same rounds: 512 MiB that do not compress, and real checkpoints of redis and Python; on links of different speed.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import type { CheckpointList, CopyList } from "../../src/model/documents.ts";
import {
  APPS,
  apply,
  BUSYBOX,
  cluster,
  eventually,
  kubectl,
  NO_CLUSTER,
  onNode,
  plugin,
  pod,
  REGISTRY,
  run,
  running,
} from "../e2e/harness.ts";
import { median, printTable } from "./measure.ts";
import { peakOf } from "./offline/archive.ts";

const ROUNDS = Number(process.argv[2] ?? 5);
const NODE = "node1";
const DIRECTORY = "/var/lib/kubelet/checkpoints";
const NAMESPACE = "default";
const LINKS = ["unlimited", "1gbit", "100mbit"] as const;
const IMAGES = { busybox: BUSYBOX, zstd: `${REGISTRY}/tools:1` };
const CLUSTER = resolve(import.meta.dirname, "../cluster/cluster");

if (NO_CLUSTER !== undefined) throw new Error(NO_CLUSTER);
const here = mkdtempSync(join(tmpdir(), "bench-copy-"));

/** The archives on the node: name and bytes. */
async function prepare(): Promise<Record<string, string>> {
  const python =
    "import random,time\nx=[{'id':i,'name':'user-%d'%i,'tags':[random.random() for _ in range(4)]} for i in range(320000)]\nprint('ready',flush=True)\ntime.sleep(1e6)";
  const redis =
    "redis-server --save '' --enable-debug-command yes --port 6400 & sleep 1; redis-cli -p 6400 debug populate 1500000 key 100 >/dev/null; echo ready; wait";
  await apply(
    pod(NAMESPACE, "bench-python", [{ name: "c", image: APPS, command: ["python3", "-c", python] }], { node: NODE }),
    pod(NAMESPACE, "bench-redis", [{ name: "c", image: APPS, command: ["/bin/sh", "-c", redis] }], { node: NODE }),
    pod(
      NAMESPACE,
      "bench-stand",
      [
        {
          name: "c",
          image: BUSYBOX,
          command: ["sleep", "1000000"],
          securityContext: { privileged: true },
          volumeMounts: [{ name: "a", mountPath: "/a" }],
        },
      ],
      {
        node: NODE,
        spec: { volumes: [{ name: "a", hostPath: { path: DIRECTORY, type: "DirectoryOrCreate" } }] },
      },
    ),
  );
  await running(NAMESPACE, "bench-python", "bench-redis", "bench-stand");
  const archives: Record<string, string> = {};
  for (const name of ["python", "redis"]) {
    await eventually(async () => (await kubectl("logs", "-n", NAMESPACE, `bench-${name}`)).stdout.includes("ready"), name, 120);
    const { code, stdout, stderr } = await plugin([`bench-${name}`, "-n", NAMESPACE, "-o", "json"]);
    if (code !== 0) throw new Error(stderr);
    archives[name] = (JSON.parse(stdout) as CheckpointList).items[0]?.nodePath ?? "";
  }
  await onNode(
    NODE,
    "sh",
    "-c",
    `cd /tmp && head -c 536870912 /dev/urandom >random && tar -cf ${DIRECTORY}/random.tar random && rm random`,
  );
  archives["random"] = `${DIRECTORY}/random.tar`;
  return archives;
}

interface Measured {
  /** Of the transfer alone, and of the whole process; of kubectl cp both are the same. */
  readonly transfer: number;
  readonly whole: number;
}

async function behind(link: string, command: readonly string[]): Promise<{ stdout: string; seconds: number; peakBytes?: number }> {
  const words = link === "unlimited" ? [...command] : [CLUSTER, "laptop", "--rate", link, "--", ...command];
  const started = performance.now();
  let peakBytes = 0;
  const watchMemory = ({ pid = 0 }: { pid?: number | undefined }): void => {
    const watch = setInterval(() => (peakBytes = Math.max(peakBytes, peakOf(pid))), 20);
    void ended.finally(() => clearInterval(watch));
  };
  const ended = run(words[0] ?? "", words.slice(1), { started: (child) => void setImmediate(() => watchMemory(child)) });
  const { code, stdout, stderr } = await ended;
  if (code !== 0) throw new Error(stderr);
  return { stdout, seconds: (performance.now() - started) / 1000, ...(link === "unlimited" ? { peakBytes } : {}) };
}

async function peer(link: string, path: string): Promise<Measured> {
  const to = join(here, "peer");
  const copy = ["kubectl", "cp", `${NAMESPACE}/bench-stand:/a/${basename(path)}`, to];
  // It fails now and then: what counts is a copy that arrived.
  const again = async (error: Error): Promise<{ seconds: number }> => {
    process.stderr.write(`kubectl cp failed, and is tried again: ${error.message.trim().split("\n").at(-1)}\n`);
    return await behind(link, copy);
  };
  const { seconds } = await behind(link, copy).catch(again);
  rmSync(to, { force: true });
  return { transfer: seconds, whole: seconds };
}

async function ours(link: string, path: string, image: string): Promise<Measured> {
  const command = ["kubectl-checkpoint", "cp", `${NODE}:${path}`, here, "-o", "json", "--helper-image", image];
  const { stdout, seconds, peakBytes } = await behind(link, command);
  const copy = (JSON.parse(stdout) as CopyList).items[0]?.copy;
  if (copy?.path === undefined) throw new Error(stdout);
  rmSync(copy.path);
  rmSync(`${copy.path}.json`);
  if (peakBytes !== undefined) peaks.push(peakBytes);
  return { transfer: copy.seconds, whole: seconds };
}

/** Of every copy of ours on the unlimited link. */
const peaks: number[] = [];
const archives = await prepare();
const rows: string[][] = [];
try {
  for (const link of LINKS) {
    for (const [name, path] of Object.entries(archives)) {
      if (name === "random" && link !== "unlimited") continue;
      const times: Record<string, Measured[]> = { "kubectl cp": [], busybox: [], zstd: [] };
      for (let round = 0; round <= ROUNDS; round += 1) {
        const results = {
          "kubectl cp": await peer(link, path),
          busybox: await ours(link, path, IMAGES.busybox),
          zstd: await ours(link, path, IMAGES.zstd),
        };
        if (round > 0) for (const [contender, measured] of Object.entries(results)) times[contender]?.push(measured);
      }
      const of = (contender: string, key: keyof Measured): number => median((times[contender] ?? []).map((one) => one[key]));
      const base = of("kubectl cp", "whole");
      const cell = (contender: string): string =>
        `${of(contender, "transfer").toFixed(2)} s, ${(base / of(contender, "transfer")).toFixed(1)}x (whole ${of(contender, "whole").toFixed(2)} s, ${(base / of(contender, "whole")).toFixed(1)}x)`;
      const size = Number((await onNode(NODE, "stat", "-c", "%s", path)).trim()) / 2 ** 20;
      rows.push([`${name}, ${size.toFixed(0)} MiB`, link, `${base.toFixed(2)} s`, cell("busybox"), cell("zstd")]);
      process.stderr.write(`${rows.at(-1)?.join(" | ")}\n`);
    }
  }
} finally {
  rmSync(here, { recursive: true });
  await kubectl("delete", "pod", "bench-python", "bench-redis", "bench-stand", "-n", NAMESPACE, "--force", "--grace-period=0");
  for (const path of Object.values(archives)) await onNode(NODE, "rm", "-f", path);
}
printTable(["archive", "link", "kubectl cp", "stock busybox", "busybox with zstd"], rows);
const [least = 0, most = 0] = [Math.min(...peaks), Math.max(...peaks)].map((bytes) => bytes / 2 ** 20);
process.stdout.write(`peak memory of our ${peaks.length} copies without a link: ${least.toFixed(0)} to ${most.toFixed(0)} MiB\n`);
await cluster("status");
