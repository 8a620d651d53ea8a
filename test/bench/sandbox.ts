// npm run bench sandbox [ROUNDS]: from an archive on this machine to running processes, in a sandbox and by the runtime (containerd 2.1, pushed to
// the cluster's registry first): redis of 6 MB, and Python with 300 MB that no compression makes smaller.
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { helperImageIn } from "../cluster/helper-image.ts";
import { apply, APPS, BUSYBOX, eventually, kubectl, NO_CLUSTER, plugin, pod, REGISTRY, running } from "../e2e/harness.ts";
import { CA } from "../e2e/skopeo.ts";
import { measure, printTable, ratioOf, ratioText, secondsText } from "./measure.ts";

const ROUNDS = Number(process.argv[2] ?? 3);
const NAMESPACE = "bench-sandbox";
const here = mkdtempSync(join(tmpdir(), "bench-sandbox-"));
const PYTHON = "import os, time\ndata = [os.urandom(1 << 20) for _ in range(300)]\nprint('ready', flush=True)\nwhile True: time.sleep(1)";

if (NO_CLUSTER !== undefined) throw new Error(NO_CLUSTER);
const helper = await helperImageIn(REGISTRY);
let round = 0;

async function archiveOf(name: string): Promise<string> {
  const file = join(here, `${name}.tar`);
  const ended = await plugin([name, "-n", NAMESPACE, `--copy=${file}`], { env: { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX } });
  if (ended.code !== 0) throw new Error(ended.stderr);
  return file;
}

/** Milliseconds until the command says that the processes run. The pod is deleted afterwards. */
async function restored(file: string, ...words: string[]): Promise<number> {
  const name = `restored-${(round += 1)}`;
  const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: helper, XDG_CACHE_HOME: join(here, "cache") };
  const started = performance.now();
  const ended = await plugin(["restore", file, "--name", name, "-n", NAMESPACE, "--node", "node2", "--ca-file", CA, ...words], { env });
  const milliseconds = performance.now() - started;
  await kubectl("delete", "pod", "-n", NAMESPACE, name, "--ignore-not-found", "--grace-period=0", "--force");
  rmSync(join(here, "cache"), { recursive: true, force: true });
  if (ended.code !== 0) throw new Error(ended.stderr);
  return milliseconds;
}

try {
  await kubectl("create", "namespace", NAMESPACE);
  await eventually(async () => (await kubectl("get", "serviceaccount", "default", "-n", NAMESPACE)).code === 0, "a service account");
  await apply(
    pod(NAMESPACE, "redis", [{ name: "redis", image: APPS, command: ["redis-server", "--save", ""] }]),
    pod(NAMESPACE, "python", [{ name: "python", image: APPS, command: ["python3", "-c", PYTHON] }]),
  );
  await running(NAMESPACE, "redis", "python");
  await eventually(async () => (await kubectl("logs", "-n", NAMESPACE, "python")).stdout.includes("ready"), "300 MB of memory");
  const rows: string[][] = [];
  for (const name of ["redis", "python"]) {
    const file = await archiveOf(name);
    const times = await measure(
      {
        sandbox: async () => await restored(file, "--sandbox"),
        runtime: async () => await restored(file, "--image", `${REGISTRY}/bench-sandbox/${name}-${Date.now()}:1`, "--yes"),
      },
      ROUNDS,
    );
    const { sandbox, runtime } = times;
    if (sandbox === undefined || runtime === undefined) throw new Error("nothing was measured");
    const size = `${(statSync(file).size / 1e6).toFixed(0)} MB`;
    rows.push([`${name} (${size})`, secondsText(sandbox), secondsText(runtime), ratioText(ratioOf(sandbox, runtime))]);
  }
  printTable(["archive to running", "sandbox", "runtime, with the push", "sandbox : runtime"], rows);
} finally {
  await kubectl("delete", "namespace", NAMESPACE, "--wait=false");
  rmSync(here, { recursive: true, force: true });
}
