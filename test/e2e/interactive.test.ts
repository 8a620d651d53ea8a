// The picker, in a real pseudo-terminal on the real cluster.
import assert from "node:assert/strict";
import { copyFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
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
  plugin,
  pod,
  running,
  setUp,
  shareCluster,
  temporaryDirectory,
} from "./harness.ts";
import { Terminal, type Size } from "./terminal.ts";

shareCluster();

const namespace = ownNamespace("e2e-interactive");
const LONG = "a-pod-with-a-name-that-is-longer-than-any-terminal-should-have-to-show-7d9f4c";

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    await apply(
      pod(namespace, "alpha", [container("web", COUNT), container("log", COUNT)]),
      pod(namespace, "beta", [container("only", COUNT)]),
      pod(namespace, LONG, [container("only", COUNT)]),
      pod(namespace, "ended", [container("c", "exit 0")], { spec: { restartPolicy: "Never" } }),
    );
    await running(namespace, "alpha", "beta", LONG);
    await kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", "-n", namespace, "pod/ended");
  });
}

function terminal(t: TestContext, args: readonly string[], size?: Size): Terminal {
  const started = new Terminal([...args, "-n", namespace], size);
  t.after(() => started.kill());
  return started;
}

/** Whoever picks is asked what becomes of the archive. */
async function leaveIt(screen: Terminal): Promise<void> {
  await screen.see(/^\? Checkpoint container \w+ of pod\/alpha on node\d \(about /);
  await screen.see(/^❯ copy here and remove from the node$/);
  screen.type("\u001b[B\u001b[B");
  await screen.see(/^❯ leave it on the node$/);
  screen.type("\r");
}

clusterTest("pick by typing: one row a running container, Enter takes it", async (t) => {
  const screen = terminal(t, []);
  await screen.see(/4 of 4 · type to filter/);
  const lines = await screen.lines();
  assert.equal(lines[0]?.trimEnd(), `Container to checkpoint in namespace ${namespace}:`);
  assert.match(lines[1] ?? "", /POD +CONTAINER +NODE +AGE +MEMORY/);
  assert.equal(lines.filter((line) => / node\d +\d+[smh]/.test(line)).length, 4, "a row each, none for what has ended");
  await screen.see(/beta +only +node\d +\S+ +\d\S* [KM]iB/);
  screen.type("alp log");
  await screen.see(/^> alpha +log /);
  await screen.see(/1 of 4/);
  screen.type("\r");
  await leaveIt(screen);
  assert.equal(await screen.ended(), 0);
  const shown = await screen.lines();
  assert.match(
    shown.join("\n"),
    /^pod\/alpha container log checkpointed on node\d in \d+\.\ds\nnode\d:\/var\/lib\/kubelet\/checkpoints\/checkpoint-alpha_\S+\.tar/m,
  );
});

clusterTest("picked, copied and removed: the helper pod is named before it is made", async (t) => {
  const cwd = await temporaryDirectory(t);
  const screen = new Terminal(["-n", namespace], undefined, { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX }, cwd);
  t.after(() => screen.kill());
  await screen.see(/4 of 4/);
  screen.type("beta\r");
  await screen.see(/^❯ copy here and remove from the node$/);
  screen.type("\r");
  await screen.see(/The copy needs a privileged helper pod on node\d \(namespace kube-system, image/);
  screen.type("y\r");
  assert.equal(await screen.ended(), 0);
  const [name = "", record] = readdirSync(cwd).sort();
  assert.match(name, /^checkpoint-beta_e2e-interactive-only-\S+\.tar$/);
  assert.equal(record, `${name}.json`);
  assert.match((await screen.lines()).join(""), /, removed from node\d/);
});

clusterTest(
  "inspect POD, where there is no such file: Cancel is the default; the archive is made after two answers, and read",
  async (t) => {
    const cwd = await temporaryDirectory(t);
    const kubeconfig = join(await temporaryDirectory(t), "kubeconfig");
    copyFileSync(ADMIN, kubeconfig);
    await kubectl("config", "set-context", "--current", `--namespace=${namespace}`, `--kubeconfig=${kubeconfig}`);
    const inspect = (): Terminal => {
      const started = new Terminal(
        ["inspect", "beta"],
        undefined,
        { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX, KUBECONFIG: kubeconfig },
        cwd,
      );
      t.after(() => started.kill());
      return started;
    };
    const cancelled = inspect();
    await cancelled.see(/^there is no file beta; pod\/beta is in namespace e2e-interactive, and an archive of it is made with:$/);
    await cancelled.see(/^kubectl checkpoint pod\/beta -c only --copy$/);
    await cancelled.see(/^❯ cancel$/);
    cancelled.type("\r");
    assert.equal(await cancelled.ended(), 130);
    assert.deepEqual(readdirSync(cwd), []);

    const screen = inspect();
    await screen.see(/^❯ cancel$/);
    screen.type("\u001b[B\u001b[B");
    await screen.see(/^❯ copy here and remove from the node$/);
    screen.type("\r");
    await screen.see(/The copy needs a privileged helper pod on node\d /);
    screen.type("y\r");
    assert.equal(await screen.ended(), 0);
    assert.match((await screen.lines()).join("\n"), /^pod\/beta container only checkpointed[^]*, removed from node\d[^]*^ *1 .*sh\b/m);
    assert.equal(readdirSync(cwd).length, 2);

    const again = inspect();
    await again.see(/^❯ no: read checkpoint-beta_e2e-interactive-only-\S+\.tar in this directory$/);
    again.type("\r");
    assert.equal(await again.ended(), 0);
  },
);

clusterTest(
  "Tab picks several, which share one question; Esc there comes back to them, and cancel leaves the cluster as it was",
  async (t) => {
    const screen = terminal(t, []);
    await screen.see(/4 of 4/);
    await screen.see(/^ {2}image \S+busybox\S*, 0 restarts, memory \S+ [KM]iB/);
    screen.type("alpha");
    await screen.see(/2 of 4/);
    screen.type("\t\t");
    await screen.see(/2 of 4, 2 selected/);
    screen.type("\r");
    await screen.see(/^\? Checkpoint 2 containers of alpha:/);
    screen.type("\u001b");
    await screen.see(/^Container to checkpoint in namespace \S+ alpha$/);
    await screen.see(/2 of 4, 2 selected · .*Esc: clear/);
    screen.type("\r");
    await screen.see(/^\? Checkpoint 2 containers of alpha:/);
    screen.type("\u001b[F");
    await screen.see(/^❯ cancel$/);
    screen.type("\r");
    assert.equal(await screen.ended(), 130);
    assert.doesNotMatch((await screen.lines()).join("\n"), /checkpointed/);
  },
);

clusterTest("several containers and no default: only the container is picked", async (t) => {
  const screen = terminal(t, ["alpha"]);
  await screen.see(/^Container of pod\/alpha/);
  await screen.see(/2 of 2/);
  screen.type("web\r");
  assert.equal(await screen.ended(), 0);
  await screen.see(/^pod\/alpha container web checkpointed/);
});

clusterTest("Ctrl-C leaves at once: 130, nothing taken, the cursor is back", async (t) => {
  const screen = terminal(t, []);
  await screen.see(/4 of 4/);
  screen.type("\u0003");
  assert.equal(await screen.ended(), 130);
  assert.doesNotMatch((await screen.lines()).join("\n"), /checkpointed|Error|at /);
  assert.equal(screen.raw.lastIndexOf("\u001b[?25h") >= screen.raw.lastIndexOf("\u001b[?25l"), true);
});

clusterTest("Esc clears what was typed, and leaves when nothing is", async (t) => {
  const screen = terminal(t, []);
  await screen.see(/4 of 4/);
  screen.type("beta");
  await screen.see(/1 of 4/);
  screen.type("\u001b");
  await screen.see(/4 of 4/);
  screen.type("\u001b");
  assert.equal(await screen.ended(), 130);
});

clusterTest("a small terminal: long names are shortened in the middle, no line wraps; resizing draws anew", async (t) => {
  const screen = terminal(t, [], { columns: 60, rows: 10 });
  const row = await screen.see(/a-pod-with/);
  assert.match(row, /^[> ] a-pod-with\S*…\S*7d9f4c +only +node\d/);
  assert.ok((await screen.lines()).length <= 10);
  screen.resize({ columns: 120, rows: 30 });
  await screen.see(new RegExp(LONG));
  screen.resize({ columns: 40, rows: 8 });
  await screen.see(/a-p\S*…\S*4c/);
  assert.equal((await screen.lines()).filter((line) => line.startsWith("> ")).length, 1, "one mark on the screen");
  screen.type("\u0003");
  assert.equal(await screen.ended(), 130);
});

clusterTest("a pod that vanishes while one chooses", async (t) => {
  await apply(pod(namespace, "fleeting", [container("c", COUNT)]));
  await running(namespace, "fleeting");
  const screen = terminal(t, []);
  await screen.see(/fleeting/);
  await kubectl("delete", "pod", "fleeting", "-n", namespace, "--grace-period=0", "--force");
  screen.type("fleeting");
  await sleep(300);
  screen.type("\r");
  assert.equal(await screen.ended(), 1);
  await screen.see(/^error: pod\/fleeting not found in namespace e2e-interactive/);
});

clusterTest("progress is a live line on a terminal, and gone in the end", async (t) => {
  const screen = terminal(t, ["beta"]);
  assert.equal(await screen.ended(), 0);
  assert.match(screen.raw, /checkpointing container only in pod\/beta on node\d/);
  assert.doesNotMatch((await screen.lines()).join("\n"), /checkpointing/);
});

clusterTest("--no-input and no terminal: the choices, exit status 2", async (t) => {
  const screen = terminal(t, ["--no-input"]);
  assert.equal(await screen.ended(), 2);
  const without = await plugin(["-n", namespace]);
  assert.equal(without.code, 2);
  assert.match(without.stderr, /^error: POD is required\n {2}fix: one of, with -n e2e-interactive:\n/);
  for (const line of ["alpha -c web", "alpha -c log", "beta -c only"])
    assert.ok(without.stderr.includes(`       kubectl checkpoint ${line}\n`), line);
  assert.doesNotMatch(without.stderr, /ended/);
});
