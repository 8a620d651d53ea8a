// `inspect POD` and the like: where the file is missing, and where somebody sits at a terminal, the cluster is asked for the pod.
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, test, type TestContext } from "node:test";
import { verb as diff } from "../../src/commands/diff.ts";
import { verb as extract } from "../../src/commands/extract.ts";
import { verb as inspect } from "../../src/commands/inspect.ts";
import { verb as report } from "../../src/commands/report.ts";
import { verb as search } from "../../src/commands/search.ts";
import type { FlagSet } from "../../src/commands/shared/flags.ts";
import type { Verb } from "../../src/commands/shared/verb.ts";
import { verb as show } from "../../src/commands/show.ts";
import { verb as verify } from "../../src/commands/verify.ts";
import { UserError } from "../../src/model/error.ts";
import { plain } from "../../src/model/phrase.ts";
import { context, fakeApiserver } from "../fakes.ts";
import { requestOf } from "./running.ts";

const ARCHIVE = resolve("test/data/archives/containerd-a.tar");
const COPY = "checkpoint-web_default-app-2026-12-01T05-00-00Z.tar";
const folder = mkdtempSync(join(tmpdir(), "offer-"));
after(() => rmSync(folder, { recursive: true }));
process.chdir(folder);

function pod(name: string, state: object, ...containers: string[]): object {
  return {
    metadata: { name, namespace: "default", uid: name },
    spec: { nodeName: "node7", containers: containers.map((one) => ({ name: one })) },
    status: { containerStatuses: containers.map((one) => ({ name: one, state })) },
  };
}

const PODS = [pod("web", { running: {} }, "app"), pod("ended", { terminated: { exitCode: 0, reason: "Completed" } }, "app")];

interface Asked {
  readonly error: UserError | undefined;
  /** Methods and paths that the API server was asked for. */
  readonly requests: readonly string[];
  /** Questions with their answers. */
  readonly questions: readonly string[];
  readonly hints: readonly string[];
  readonly exitCode: number | undefined;
}

interface Circumstances {
  readonly terminal: boolean;
  /** Which of the answers is chosen; undefined is Esc. */
  readonly choose?: number;
  readonly kubeconfig?: string;
}

/** Runs a verb against a cluster with two pods. */
async function ran<F extends FlagSet, R>(
  t: TestContext,
  verb: Verb<F, R>,
  words: readonly string[],
  { terminal, choose, kubeconfig }: Circumstances,
): Promise<Asked> {
  const [requests, questions]: [string[], string[]] = [[], []];
  const server = await fakeApiserver(t, (request, response) => {
    const { pathname } = new URL(request.url ?? "", "http://s");
    requests.push(`${request.method ?? ""} ${pathname}`);
    const name = /\/pods\/([^/]+)$/.exec(pathname)?.[1];
    const found = pathname.endsWith("/pods")
      ? { items: PODS }
      : PODS.find((one) => name !== undefined && JSON.stringify(one).includes(`"name":"${name}"`));
    const answer = /\/(namespaces\/default|nodes\/node7)$/.test(pathname) ? {} : found;
    response.writeHead(answer === undefined ? 404 : 200, { "content-type": "application/json" }).end(JSON.stringify(answer ?? {}));
  });
  const config = join(folder, "kubeconfig");
  writeFileSync(config, JSON.stringify(kubeconfigOf(server)));
  const plainContext = context(t.signal, { KUBECONFIG: kubeconfig ?? config });
  const ask = {
    ...plainContext.ask,
    possible: terminal,
    choose: async <T>(question: Parameters<typeof plain>[0], choices: readonly { value: T; label: Parameters<typeof plain>[0] }[]) => {
      questions.push(plain(question), ...choices.map(({ label }) => plain(label)));
      return await Promise.resolve(choose === undefined ? undefined : choices[choose]);
    },
  };
  const running = verb.run(requestOf(verb, words), { ...plainContext, ask, terminal, stdin: () => process.stdin });
  let [error, exitCode]: [UserError | undefined, number | undefined] = [undefined, undefined];
  try {
    for (let next = await running.next(); ; next = await running.next()) {
      if (next.done === true) {
        ({ exitCode } = next.value);
        break;
      }
      error ??= next.value.error;
    }
  } catch (thrown) {
    if (!(thrown instanceof Error)) throw thrown;
    if (thrown instanceof UserError) error = thrown;
    else assert.equal(thrown.name, "Interrupted", thrown.stack ?? "");
  }
  const hints = plainContext.events.flatMap((event) => (event.kind === "hint" ? [plain(event.text)] : []));
  return { error, requests, questions, hints, exitCode };
}

function kubeconfigOf(server: string): object {
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster: { server } }],
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    users: [{ name: "u", user: {} }],
    "current-context": "c",
  };
}

const VERBS = [
  [inspect, ["web"]],
  [show, ["web"]],
  [verify, ["web"]],
  [report, ["web"]],
  [search, ["web", "x"]],
  [extract, ["web", "/x"]],
  [diff, [ARCHIVE, "web"]],
] as unknown as readonly (readonly [Verb, readonly string[]])[];

test("in a script, no cluster is asked, and nothing is said of the pod but how its archive would be made", async (t) => {
  for (const [verb, words] of VERBS) {
    const { error, requests, questions } = await ran(t, verb, words, { terminal: false });
    assert.equal(error?.message, "there is no file web", verb.name);
    assert.match(error.fix ?? "", /^if a pod was meant, its archive is made first: kubectl checkpoint web --copy$/);
    assert.deepEqual([requests, questions], [[], []], verb.name);
  }
});

test("at a terminal, a pod that is there is offered: the command is said, Cancel comes first, and until then nothing is made", async (t) => {
  for (const [verb, words] of VERBS) {
    const { error, requests, questions, hints, exitCode } = await ran(t, verb, words, { terminal: true, choose: 0 });
    assert.deepEqual([error, exitCode], [undefined, undefined], verb.name);
    assert.match(questions[0] ?? "", /^Checkpoint container app of pod\/web on node7/);
    assert.deepEqual(questions.slice(1), ["cancel", "copy here", "copy here and remove from the node"]);
    assert.deepEqual(hints, [
      "there is no file web; pod/web is in namespace default, and an archive of it is made with:\nkubectl checkpoint pod/web -c app --copy",
    ]);
    assert.ok(
      requests.every((request) => request.startsWith("GET ")),
      requests.join(),
    );
  }
});

test("a pod that is not there, or does not run, or whose cluster does not answer", async (t) => {
  const none = await ran(t, inspect, ["nope"], { terminal: true });
  assert.equal(
    none.error?.whole && plain(none.error.whole),
    "there is no file nope: the cluster has none of that name either: pod/nope not found in namespace default",
  );
  assert.equal(none.error?.fix, "kubectl get pods -n default");
  const ended = await ran(t, inspect, ["ended"], { terminal: true });
  assert.match(ended.error?.why ?? "", /^container app in pod\/ended is not running/);
  const workload = await ran(t, inspect, ["deploy/web"], { terminal: true });
  assert.match(workload.error?.why ?? "", /^the cluster has none of that name either: /);
  const alone = await ran(t, inspect, ["web"], { terminal: true, kubeconfig: join(folder, "none") });
  assert.equal(alone.error?.fix, "if a pod was meant, its archive is made first: kubectl checkpoint web --copy");
  for (const { questions } of [none, ended, workload, alone]) assert.deepEqual(questions, []);
});

test("a file of that name is read, whatever the cluster has", async (t) => {
  copyFileSync(ARCHIVE, join(folder, "web"));
  t.after(() => rmSync(join(folder, "web")));
  for (const [verb, words] of VERBS.slice(0, 4)) {
    const { requests, questions } = await ran(t, verb, words, { terminal: true });
    assert.deepEqual([requests, questions], [[], []], verb.name);
  }
});

test("an archive of the pod in this directory is offered first, and named in a script", async (t) => {
  for (const name of [COPY, COPY.replace("05-00", "04-59"), COPY.replace("web_", "web2_")]) copyFileSync(ARCHIVE, join(folder, name));
  const { questions, exitCode, requests } = await ran(t, show, ["pod/web"], { terminal: true, choose: 0 });
  assert.equal(questions[1], `no: read ${COPY} in this directory`);
  assert.equal(exitCode, 0);
  assert.ok(requests.every((request) => request.startsWith("GET ")));
  const { error } = await ran(t, show, ["web"], { terminal: false });
  assert.match(error?.fix ?? "", new RegExp(`^an archive of a pod of that name in this directory: ${COPY}\n`));
});
