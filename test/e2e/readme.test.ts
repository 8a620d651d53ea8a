// Every console block of README.md is run on the real cluster, and what it shows is compared with what comes: times, sizes, hashes,
// versions and the names of this cluster apart.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import {
  ADMIN,
  apply,
  BUSYBOX,
  clusterTest,
  container,
  COUNT,
  environment,
  kubectl,
  NO_CLUSTER,
  ownNamespace,
  pluginCommand,
  pod,
  run,
  running,
  setUp,
  shareCluster,
  temporaryDirectory,
} from "./harness.ts";

shareCluster();

const README = readFileSync(resolve(import.meta.dirname, "../../README.md"), "utf8");
const namespace = ownNamespace("e2e-readme");

/** Commands that are not run, and why. */
const NOT_RUN: readonly (readonly [RegExp, string])[] = [
  [/^git clone /, "from the network"],
  [/^npm run demo/, "starts a cluster of its own"],
  [/^npm test/, "runs this test"],
  [/^kubectl krew install /, "from krew's index or a release (test/package installs with the real krew)"],
  [/^npm run build/, "has built what is tried here"],
  [/^cp dist\/kubectl-checkpoint \/usr\/local\/bin/, "writes outside of the test"],
  [/^kubectl checkpoint$/, "needs a terminal (test/e2e/interactive.test.ts)"],
  [/^kubectl create clusterrole(binding)? kubelet-checkpoint /, "the cluster has it from its start"],
];

interface Command {
  readonly line: string;
  /** What the README shows; nothing where it shows none. */
  readonly output: readonly string[];
}

function commands(): Command[] {
  const blocks = [...README.matchAll(/^```console\n([^]*?)^```$/gm)].map(([, body = ""]) => body);
  return blocks.flatMap((block) => {
    assert.ok(block.startsWith("$ "), `a command after "$ ": ${block}`);
    return block
      .split(/^\$ /m)
      .slice(1)
      .map((part) => {
        const [line = "", ...output] = part.trimEnd().split("\n");
        return { line: line.replace(/\s+#.*$/, ""), output };
      });
  });
}

function comparable(text: string): string[] {
  return text
    .trimEnd()
    .replaceAll(namespace, "default")
    .replaceAll(BUSYBOX, "registry.example/busybox:1")
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.-]+Z/g, "TIME")
    .replaceAll(/\b\d+(\.\d+)? ?(ms|s|B|[KMG]iB)\b/g, "AMOUNT")
    .replaceAll(/[0-9a-f]{64}/g, "HASH")
    .replaceAll(/\bnode\d\b/g, "NODE")
    .replaceAll(/v\d+\.\d+\.\d+\S* \(Node\.js [\d.]+, \S+\)/g, "VERSION")
    .replaceAll(/ +/g, " ")
    .split("\n");
}

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    const labels = { app: "web" };
    const template = { metadata: { labels }, spec: { terminationGracePeriodSeconds: 0, containers: [container("app", COUNT)] } };
    await apply(
      pod(namespace, "counter", [container("counter", COUNT)], { node: "node1" }),
      pod(namespace, "nginx", [container("nginx", COUNT)], { node: "node1" }),
      {
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name: "web", namespace },
        spec: { replicas: 1, selector: { matchLabels: labels }, template },
      },
    );
    await running(namespace, "counter", "nginx");
    await kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s");
  });
}

clusterTest(
  "README.md: every console block",
  async (t) => {
    const directory = await temporaryDirectory(t);
    const bin = join(directory, "bin");
    mkdirSync(bin);
    mkdirSync(join(directory, "evidence"));
    const [command, ...rest] = pluginCommand();
    assert.deepEqual(rest, [], "npm run build first: users have the executable");
    symlinkSync(command, join(bin, "kubectl-checkpoint"));
    const kubeconfig = join(directory, "kubeconfig");
    const copied = `cp '${ADMIN}' '${kubeconfig}' && KUBECONFIG='${kubeconfig}' kubectl config set-context --current --namespace=${namespace}`;
    await run("sh", ["-c", copied]);
    const env = {
      KUBECONFIG: kubeconfig,
      KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX,
      PATH: [bin, environment()["PATH"]].join(delimiter),
    };
    let tried = 0;
    for (const { line, output } of commands()) {
      const reason = NOT_RUN.find(([pattern]) => pattern.test(line))?.[1];
      if (reason !== undefined) {
        t.diagnostic(`not run: ${line} (${reason})`);
        continue;
      }
      const { code, stdout, stderr } = await run("sh", ["-c", line], { env, cwd: directory });
      assert.equal(code, 0, `${line}\n${stdout}${stderr}`);
      if (output.length > 0) assert.deepEqual(comparable(stdout), comparable(output.join("\n")), line);
      tried += 1;
    }
    assert.ok(tried >= 10, `${tried} commands`);
    t.diagnostic(`${tried} commands run`);
  },
  { timeout: 180_000 },
);
