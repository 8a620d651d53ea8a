// npm run bench copy [-- ROUNDS]: `kubectl checkpoint cp` against `kubectl cp` out of a pod that stands, on the real cluster, in the
// same rounds: 512 MiB that do not compress, and real checkpoints of redis and Python; on links of different speed. npm run bench copy --
// ROUNDS encrypted: only encrypted copies beside plain ones, on the link of 1 Gbit/s.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
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
import { measure, printTable, ratioOf, ratioText, secondsText, type Contender } from "./measure.ts";
import { peakOf } from "./offline/archive.ts";

const ROUNDS = Number(process.argv[2] ?? 5);
const NODE = "node1";
const DIRECTORY = "/var/lib/kubelet/checkpoints";
const NAMESPACE = "default";
const ONLY_ENCRYPTED = process.argv[3] === "encrypted";
const LINKS = ONLY_ENCRYPTED ? (["1gbit"] as const) : (["unlimited", "1gbit", "100mbit"] as const);
const OWN = process.env["OWN_IMAGE"];

interface Kind {
  readonly image: string;
  readonly more?: readonly string[];
}

const RECIPIENT = await identityToRecipient(await generateX25519Identity());
const [PLAIN, ENCRYPTED] = ["stock busybox", "stock busybox, encrypted"] as const;
const KINDS: Readonly<Record<string, Kind>> = {
  [PLAIN]: { image: BUSYBOX },
  [ENCRYPTED]: { image: BUSYBOX, more: ["--encrypt-to", RECIPIENT] },
  ...(ONLY_ENCRYPTED ? {} : { "busybox with zstd": { image: `${REGISTRY}/tools:1` } }),
  ...(OWN === undefined ? {} : { "own image": { image: OWN } }),
};
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

async function peer(link: string, path: string): Promise<number> {
  const to = join(here, "peer");
  try {
    return (await behind(link, ["kubectl", "cp", `${NAMESPACE}/bench-stand:/a/${basename(path)}`, to])).seconds * 1000;
  } finally {
    rmSync(to, { force: true });
  }
}

/** Of the whole process, and of the transfer alone. */
async function ours(link: string, path: string, { image, more = [] }: Kind): Promise<Record<string, number>> {
  const command = ["kubectl-checkpoint", "cp", `${NODE}:${path}`, here, "-o", "json", "--helper-image", image, ...more];
  const { stdout, seconds, peakBytes } = await behind(link, command);
  const copy = (JSON.parse(stdout) as CopyList).items[0]?.copy;
  if (copy?.path === undefined) throw new Error(stdout);
  for (const name of readdirSync(here)) rmSync(join(here, name));
  if (peakBytes !== undefined) peaks.push(peakBytes);
  return { "": seconds * 1000, ", transfer": copy.seconds * 1000 };
}

/** Of every copy of ours on the unlimited link. */
const peaks: number[] = [];
const archives = await prepare();
const rows: string[][] = [];
try {
  for (const link of LINKS) {
    for (const [name, path] of Object.entries(archives)) {
      if (name === "random" && link === "100mbit") continue;
      const contenders: Record<string, Contender> = ONLY_ENCRYPTED ? {} : { "kubectl cp": async () => await peer(link, path) };
      for (const [kind, how] of Object.entries(KINDS)) contenders[kind] = async () => await ours(link, path, how);
      const times = await measure(contenders, ROUNDS);
      const { "kubectl cp": base } = times;
      const cell = (figure: string): string[] => {
        const one = times[figure];
        if (one === undefined) return ["", ""];
        return [secondsText(one), base === undefined ? "" : ratioText(ratioOf(base, one))];
      };
      const size = Number((await onNode(NODE, "stat", "-c", "%s", path)).trim()) / 2 ** 20;
      const what = [`${name}, ${size.toFixed(0)} MiB`, link];
      rows.push([...what, "kubectl cp", base === undefined ? "" : secondsText(base), "", ""]);
      for (const kind of Object.keys(KINDS)) rows.push(["", "", kind, ...cell(`${kind}, transfer`), cell(kind)[1] ?? ""]);
      const beside = ["", ", transfer"].map((end) => {
        const [plain, encrypted] = [times[PLAIN + end], times[ENCRYPTED + end]];
        return plain === undefined || encrypted === undefined ? "" : ratioText(ratioOf(plain, encrypted));
      });
      rows.push(["", "", "encrypted beside plain", "", beside[1] ?? "", beside[0] ?? ""]);
      process.stderr.write(
        `${rows
          .slice(-2 - Object.keys(KINDS).length)
          .map((row) => row.join(" | "))
          .join("\n")}\n`,
      );
    }
  }
} finally {
  rmSync(here, { recursive: true });
  await kubectl("delete", "pod", "bench-python", "bench-redis", "bench-stand", "-n", NAMESPACE, "--force", "--grace-period=0");
  for (const path of Object.values(archives)) await onNode(NODE, "rm", "-f", path);
}
printTable(["archive", "link", "by", "transfer, median (middle half)", "transfer, times as fast", "whole process, times as fast"], rows);
if (peaks.length > 0) {
  const [least = 0, most = 0] = [Math.min(...peaks), Math.max(...peaks)].map((bytes) => bytes / 2 ** 20);
  process.stdout.write(`peak memory of our ${peaks.length} copies without a link: ${least.toFixed(0)} to ${most.toFixed(0)} MiB\n`);
}
await cluster("status");
