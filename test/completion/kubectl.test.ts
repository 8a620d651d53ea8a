import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { test, type TestContext } from "node:test";
import { rememberListed } from "../../src/local/listed.ts";
import { clusterTest, environment, NO_CLUSTER, plugin, run, shareCluster } from "../e2e/harness.ts";

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
  assert.equal((await complete("show", "")).at(-1), ":8");
});

const BASH_COMPLETION = "/usr/share/bash-completion/bash_completion";
const NO_BASH = existsSync(BASH_COMPLETION) ? false : "bash-completion is not installed (apt-get install bash-completion)";

test(
  "in bash, by Tab: archives where an archive is meant, directories, keys, and archives on nodes",
  { skip: NO_CLUSTER ?? NO_BASH },
  async (t) => {
    const env = await installed(t);
    const cwd = await mkdtemp(join(tmpdir(), "completion-bash-"));
    t.after(async () => await rm(cwd, { recursive: true }));
    for (const name of ["app.tar", "app.tar.json", "apple.pem", "applet.json"]) writeFileSync(join(cwd, name), "");
    mkdirSync(join(cwd, "evidence"));
    const [context, server] = ["current-context", "clusters[0].cluster.server"].map((path) =>
      execFileSync("kubectl", ["config", "view", "--minify", "-o", `jsonpath={.${path}}`], { env: environment(), encoding: "utf8" }),
    );
    await rememberListed({ XDG_CACHE_HOME: cwd }, { contextName: context ?? "", server: server ?? "" }, ["node1:checkpoint-a.tar"]);

    const bash = new Bash(environment({ ...env, XDG_CACHE_HOME: cwd }), cwd);
    t.after(() => bash.kill());
    await bash.run(`. ${BASH_COMPLETION}; . <(kubectl completion bash)`);
    for (const [typed, becomes] of [
      ["show app.t", "show app.tar "],
      ["seal app.tar --sign-key app", "seal app.tar --sign-key apple.pem "],
      ["--resume appl", "--resume applet.json "],
      ["extract app.tar / --to ev", "extract app.tar / --to evidence/"],
      ["nginx --copy=ev", "nginx --copy=evidence/"],
      ["rm node1:ch", "rm node1:checkpoint-a.tar "],
      ["statef", "statefulset/"],
    ] as const)
      assert.equal(await bash.completed(`kubectl checkpoint ${typed}`, becomes), `kubectl checkpoint ${becomes}`);
  },
);

/** An interactive bash on a pseudo-terminal. */
class Bash {
  readonly #child;
  #raw = "";

  constructor(env: NodeJS.ProcessEnv, cwd: string) {
    this.#child = spawn("script", ["-qefc", "stty cols 500; PS1='> ' exec bash --norc --noprofile -i", "/dev/null"], { env, cwd });
    this.#child.stdout.on("data", (part: Buffer) => (this.#raw += part.toString()));
  }

  async run(line: string): Promise<void> {
    this.#child.stdin.write(`${line}; echo do''ne\n`);
    for (let tries = 0; tries < 500 && !this.#raw.includes("\ndone"); tries += 1) await sleep(20);
  }

  /** What the line is after Tab: again, until it is as expected, where the cluster was slow to answer. */
  async completed(line: string, expected: string): Promise<string> {
    let shown = "";
    for (let tries = 0; tries < 5 && !shown.endsWith(expected); tries += 1) {
      this.#raw = "";
      this.#child.stdin.write(`${line}\t`);
      for (let waits = 0; waits < 100 && !shown.endsWith(expected); waits += 1) {
        await sleep(20);
        // oxlint-disable-next-line no-control-regex -- what a terminal is told by the line editor
        shown = this.#raw.replaceAll(/\u001b\[[?\d;]*[a-zA-Z]|\u0007|\r|> /g, "");
      }
      // Ctrl-U: an empty line again.
      this.#child.stdin.write("\u0015");
    }
    return shown;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}
