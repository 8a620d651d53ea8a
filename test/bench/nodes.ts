// npm run bench nodes [-- ROUNDS]: the archives of two real nodes, 500 on each, whose names tell neither namespace nor container: from
// the helper pods being ready to the last archive told; beside it `kubectl exec` of ls -l on the same directories, which tells names only.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Connection } from "../../src/cluster/connection.ts";
import { listArchives } from "../../src/flows/collect/nodes/list.ts";
import type { NodeDirectory } from "../../src/helper/directory.ts";
import { Helpers } from "../../src/helper/helpers.ts";
import { Disposal } from "../../src/model/disposal.ts";
import { context } from "../fakes.ts";
import {
  ADMIN,
  apply,
  BUSYBOX,
  container,
  COUNT,
  environment,
  kubectl,
  NO_CLUSTER,
  onNode,
  plugin,
  pod,
  run,
  running,
} from "../e2e/harness.ts";
import { measure, printTable } from "./measure.ts";

const ROUNDS = Number(process.argv[2] ?? 5);
const NODES = ["node1", "node2"] as const;
const NAMESPACE = "bench-nodes";
const DIRECTORY = "/var/lib/kubelet/checkpoints-bench";
const FILES = 500;
const CLUSTER = resolve(import.meta.dirname, "../cluster/cluster");

if (NO_CLUSTER !== undefined) throw new Error(NO_CLUSTER);
const here = mkdtempSync(join(tmpdir(), "bench-nodes-"));
await kubectl("create", "namespace", NAMESPACE);
try {
  await prepare();
  const surroundings = context(new AbortController().signal, environment());
  const connection = await Connection.open({ kubeconfig: ADMIN, asGroups: [], insecure: false, requestTimeoutMs: 0 }, surroundings);
  const settings = { image: BUSYBOX, namespace: undefined, pullSecret: undefined, checkpointDir: DIRECTORY };
  const helpers = new Helpers(connection, surroundings, settings);
  await using stack = new Disposal();
  const directoryOf = async (node: string): Promise<NodeDirectory> => {
    const directory = stack.use(helpers.directory(node));
    await directory.ready();
    return directory;
  };
  const ready = await Promise.all(NODES.map(async (node) => await directoryOf(node)));
  const contenders = {
    ls: async (): Promise<number> => {
      const started = performance.now();
      const all = await Promise.all(
        ready.map(
          async (directory) => await listArchives({ ...surroundings, connection }, directory, { namespace: undefined, pods: undefined }),
        ),
      );
      const told = all.flat().filter((archive) => archive.namespace === NAMESPACE && archive.container === "web-app" && archive.complete);
      if (told.length !== FILES * NODES.length) throw new Error(`${told.length} archives were told`);
      return performance.now() - started;
    },
    "kubectl exec ls -l": async (): Promise<number> => {
      const started = performance.now();
      await Promise.all(NODES.map(async (node) => await kubectl("exec", "-n", NAMESPACE, `stand-${node}`, "--", "ls", "-l", "/a")));
      return performance.now() - started;
    },
  };
  const times = await measure(contenders, ROUNDS);
  printTable(
    [`${FILES} archives on each of ${NODES.length} nodes`, "median ms", "fastest ms"],
    Object.entries(times).map(([name, { median, fastest }]) => [name, median.toFixed(0), fastest.toFixed(0)]),
  );
  await connection.close();
} finally {
  for (const node of NODES) await onNode(node, "rm", "-rf", DIRECTORY);
  await kubectl("delete", "namespace", NAMESPACE, "--wait=false");
  rmSync(here, { recursive: true });
}

/** One real archive on each node, under many names. */
async function prepare(): Promise<void> {
  const volumes = { volumes: [{ name: "a", hostPath: { path: DIRECTORY, type: "DirectoryOrCreate" } }] };
  await new Promise((done) => setTimeout(done, 2000));
  await apply(
    pod(NAMESPACE, "counter", [container("web-app", COUNT)], { node: "node1" }),
    ...NODES.map((node) =>
      pod(NAMESPACE, `stand-${node}`, [container("c", "sleep 100000", { volumeMounts: [{ name: "a", mountPath: "/a" }] })], {
        node,
        spec: volumes,
      }),
    ),
  );
  await running(NAMESPACE, "counter", ...NODES.map((node) => `stand-${node}`));
  const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX };
  const { code, stdout, stderr } = await plugin(["counter", "-n", NAMESPACE, `--copy=${here}/`, "--remove", "-o", "name"], { env });
  if (code !== 0) throw new Error(stderr);
  const archive = readFileSync(stdout.trim());
  const copies = `cd ${DIRECTORY}; cat >src; i=0; while [ $i -lt ${FILES} ]; do cp src "checkpoint-counter_${NAMESPACE}-web-app-2026-11-01T00:$(printf %02d:%02d $((i / 60)) $((i % 60)))Z.tar"; i=$((i + 1)); done; rm src`;
  for (const node of NODES)
    await run(CLUSTER, ["node-shell", node, "--", "sh", "-c", copies], { started: (child) => child.stdin?.write(archive) });
}
