import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { TestContext } from "node:test";
import { clusterTest, environment, plugin, run, shareCluster } from "../e2e/harness.ts";

shareCluster();

/** An environment whose PATH begins with a folder that the completion is installed in. */
async function installed(t: TestContext): Promise<NodeJS.ProcessEnv> {
  const folder = await mkdtemp(join(tmpdir(), "kubectl-completion-"));
  t.after(async () => await rm(folder, { recursive: true }));
  const { code, stdout, stderr } = await plugin(["completion", "--install"], { env: { PATH: folder } });
  assert.deepEqual({ code, stdout }, { code: 0, stdout: `completion installed: ${join(folder, "kubectl_complete-checkpoint")}\n` });
  assert.match(stderr, /kubectl completion --help/);
  return { PATH: [folder, environment()["PATH"]].join(delimiter) };
}

clusterTest("kubectl completes the words of the plugin", async (t) => {
  const env = await installed(t);
  const complete = async (...line: string[]): Promise<string[]> => {
    const { stdout } = await run("kubectl", ["__complete", "checkpoint", ...line], { env });
    return stdout.trimEnd().split("\n");
  };
  assert.deepEqual(await complete("comp"), ["completion\tSet up shell completion through kubectl", ":4"]);
  // On a busy machine the cluster may answer later than a completion waits for it.
  let namespaces = "";
  for (let tries = 0; tries < 20 && !namespaces.startsWith("kube-system"); tries += 1)
    namespaces = (await complete("-n", "kube-sys")).join("\n");
  assert.match(namespaces, /^kube-system\tActive, .*\n:4$/);
  assert.deepEqual(await complete("show", "--out"), ["--output\toutput format", ":4"]);
  assert.deepEqual(await complete("show", ""), [":0"]);
});
