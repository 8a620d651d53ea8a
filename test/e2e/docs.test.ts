// Every command of the documentation is run, as it stands there, on the real cluster.
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

import {
  ADMIN,
  apply,
  BUSYBOX,
  clusterTest,
  container,
  COUNT,
  kubectl,
  NO_CLUSTER,
  ownNamespace,
  pod,
  run,
  running,
  setUp,
  shareCluster,
  temporaryDirectory,
} from "./harness.ts";

shareCluster();

const ROOT = resolve(import.meta.dirname, "../..");
const namespace = ownNamespace("e2e-docs");

/** It makes a namespace where every command then makes its helper pods. */
const PERMISSIONS = "docs/permissions.md";

/** Pages whose commands are run, in this order; what they make in the cluster is removed afterwards. */
const PAGES = [
  "docs/what-a-checkpoint-does.md",
  "docs/capture-for-forensics.md",
  "docs/explain-a-failure.md",
  "docs/clean-nodes.md",
  PERMISSIONS,
  "docs/air-gapped.md",
];

/** Of the others, other tests have nearly all commands. */
const ALWAYS = new Set(["docs/what-a-checkpoint-does.md", "docs/capture-for-forensics.md"]);

/** Objects that pages make for the whole cluster. */
const MADE = [
  ["namespace", "kubectl-checkpoint"],
  ["clusterrole", "kubectl-checkpoint"],
  ["clusterrolebinding", "kubectl-checkpoint"],
];

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    const labels = { app: "web" };
    const template = { metadata: { labels }, spec: { terminationGracePeriodSeconds: 0, containers: [container("app", COUNT)] } };
    await apply(pod(namespace, "nginx", [container("nginx", COUNT)]), {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "web", namespace },
      spec: { replicas: 2, selector: { matchLabels: labels }, template },
    });
    await running(namespace, "nginx");
    await kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s");
  });
}

interface Block {
  readonly language: string;
  readonly text: string;
}

function blocks(page: string): Block[] {
  const text = readFileSync(join(ROOT, page), "utf8");
  return [...text.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map(([, language = "", body = ""]) => ({ language, text: body }));
}

for (const page of PAGES) {
  clusterTest(
    page,
    async (t) => {
      const directory = await temporaryDirectory(t);
      mkdirSync(join(directory, "evidence"));
      t.after(async () => {
        if (page === PERMISSIONS)
          for (const [kind = "", name = ""] of MADE) await kubectl("delete", kind, name, "--ignore-not-found", "--wait=true");
      });
      const kubeconfig = join(directory, "kubeconfig");
      await run("sh", [
        "-c",
        `cp '${ADMIN}' '${kubeconfig}' && KUBECONFIG='${kubeconfig}' kubectl config set-context --current --namespace=${namespace}`,
      ]);
      const env = { KUBECONFIG: kubeconfig, KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX };
      let tried = 0;
      for (const { language, text } of blocks(page)) {
        if (language === "yaml")
          assert.equal((await run("kubectl", ["apply", "-f", "-"], { env, started: (child) => child.stdin?.write(text) })).code, 0, text);
        if (language !== "console") continue;
        const commands = text
          .split("\n")
          .filter((line) => line.startsWith("$ "))
          .map((line) => line.slice(2).replaceAll("registry.example/busybox:1", BUSYBOX));
        // One shell a block: what it exports, it uses.
        const { code, stdout, stderr } = await run("sh", ["-ec", commands.filter((command) => !alreadyThere(command)).join("\n")], {
          env,
          cwd: directory,
        });
        assert.equal(code, 0, `${commands.join("\n")}\n${stdout}${stderr}`);
        tried += commands.length;
      }
      assert.ok(tried > 0);
      t.diagnostic(`${tried} commands`);
    },
    { timeout: 180_000, alone: page === PERMISSIONS, full: !ALWAYS.has(page) },
  );
}

/** The test cluster is granted this from its start. */
function alreadyThere(command: string): boolean {
  return /kubelet-checkpoint/.test(command);
}

clusterTest("every page is linked, every link leads somewhere", async () => {
  const pages = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    ...readdirSync(join(ROOT, "docs"))
      .filter((name) => name.endsWith(".md"))
      .map((name) => `docs/${name}`),
  ];
  const linked = new Set<string>();
  for (const page of pages) {
    for (const [, target = ""] of readFileSync(join(ROOT, page), "utf8").matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      const path = join(page, "..", target);
      assert.ok(readdirSync(join(ROOT, path, "..")).includes(path.split("/").at(-1) ?? ""), `${page}: ${target}`);
      linked.add(path);
    }
  }
  for (const page of pages) if (page.startsWith("docs/")) assert.ok(linked.has(page), `${page} is linked from nowhere`);
});
