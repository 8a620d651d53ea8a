// What people type in a hurry, and what they are answered: what is wrong, and the command that was meant.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { inContext } from "../../src/cli/suggest.ts";
import { VERBS } from "../../src/cli/table.ts";
import { readWords } from "../../src/cli/words.ts";
import { verb as cp } from "../../src/commands/cp.ts";
import { verb as diff } from "../../src/commands/diff.ts";
import { verb as doctor } from "../../src/commands/doctor.ts";
import { verb as inspect } from "../../src/commands/inspect.ts";
import { verb as ls } from "../../src/commands/ls.ts";
import { verb as move } from "../../src/commands/move.ts";
import { verb as prune } from "../../src/commands/prune.ts";
import { verb as rm } from "../../src/commands/rm.ts";
import { verb as search } from "../../src/commands/search.ts";
import type { FlagSet } from "../../src/commands/shared/flags.ts";
import type { Verb } from "../../src/commands/shared/verb.ts";
import { verb as show } from "../../src/commands/show.ts";
import { verb as verify } from "../../src/commands/verify.ts";
import { RunState } from "../../src/flows/capture/run/state.ts";
import { UserError } from "../../src/model/error.ts";
import { plain as plainText } from "../../src/model/phrase.ts";
import { fakeApiserver } from "../fakes.ts";
import { requestOf, runVerb } from "./running.ts";

const folder = mkdtempSync(join(tmpdir(), "mistakes-"));
after(() => rmSync(folder, { recursive: true }));
const whole = readFileSync("test/data/archives/containerd-a.tar");
mkdirSync(join(folder, "dir"));
for (const [name, data] of Object.entries({
  "empty.tar": "",
  "notes.txt": "hello",
  "cut.tar": whole.subarray(0, 200_000),
  "a.tar": whole,
  "a.tar.json": "{}",
  config: "{}",
}))
  writeFileSync(join(folder, name), data);

/** With F for the folder. */
const said = (text = ""): string => text.replaceAll(folder, "F");

const FILES: readonly (readonly [verb: Verb<never>, file: string, exitCode: number, message: RegExp, fix?: RegExp])[] = [
  [show, "F/dir", 1, /^F\/dir is a directory without a checkpoint in it$/],
  [show, "F/empty.tar", 1, /^F\/empty.tar is empty$/],
  [show, "F/notes.txt", 1, /^F\/notes.txt is not a tar archive$/],
  [show, "F/cut.tar", 3, /^F\/cut.tar: it is cut off in the middle of its last member$/],
  [show, "F/none.tar", 1, /^there is no file F\/none.tar$/],
  [show, "nginx", 1, /^there is no file nginx$/, /made first: kubectl checkpoint nginx --copy$/],
  [show, "node1:checkpoint-x.tar", 1, /^there is no file node1:/, /copied first: kubectl checkpoint cp node1:checkpoint-x.tar$/],
  [inspect, "F/dir", 1, /is a directory without a checkpoint/],
  [inspect, "F/empty.tar", 1, /is empty$/],
  [inspect, "F/notes.txt", 1, /is not a tar archive$/],
  [inspect, "F/a.tar.json", 1, /is not a tar archive$/, /^if it is a record, its archive is F\/a.tar$/],
  [inspect, "pod/nginx", 1, /^there is no file pod\/nginx$/, /kubectl checkpoint pod\/nginx --copy$/],
  [verify, "F/empty.tar", 1, /F\/empty.tar is empty/],
  [verify, "F/notes.txt", 1, /is not a tar archive/],
  [verify, "F/cut.tar", 1, /cut off in the middle/],
] as never;

test("a file that is a directory, empty, text, cut short, not there, a pod, on a node", async () => {
  for (const [verb, file, code, message, fix] of FILES) {
    const name = `${verb.name} ${file}`;
    const ran = await runVerb(verb, [file.replace("F", folder)], {}).catch((error: unknown) => {
      if (error instanceof UserError) return { errors: [error], exitCode: error.exitCode, events: [], lines: [] };
      throw error;
    });
    const warnings = ran.events.flatMap((event) => (event.kind === "warning" ? [event.text] : []));
    const texts = [...ran.errors.map(({ message: text }) => text), ...warnings.map(plainText), ...ran.lines].map(said);
    assert.equal(ran.exitCode, code, name);
    assert.ok(
      texts.some((text) => message.test(text)),
      `${name}: ${texts.join(" | ")}`,
    );
    if (fix !== undefined) assert.match(said(ran.errors[0]?.fix), fix, name);
  }
});

test("words that are missing, too many, or of another verb", () => {
  const cases: readonly (readonly [Verb<never>, readonly string[], RegExp, RegExp?])[] = [
    [
      cp,
      [join(folder, "a.tar")],
      /^invalid archive "F\/a.tar": use NODE:ARCHIVE/,
      /^it is a file on this machine: kubectl checkpoint show F\/a.tar$/,
    ],
    [
      rm,
      ["node1/checkpoint-x.tar"],
      /^invalid archive/,
      /^if the archive checkpoint-x.tar on node node1 was meant: node1:checkpoint-x.tar$/,
    ],
    [
      ls,
      ["cart/api"],
      /^invalid target "cart\/api"/,
      /^for the container api of pod\/cart: cart -c api; for pod\/api in the namespace cart: api -n cart$/,
    ],
    [move, ["deploy/web"], /^invalid target "deploy\/web": move takes one POD$/, /^kubectl checkpoint move POD /],
    [cp, ["nginx"], /^invalid archive "nginx"/, /^if a pod was meant, its archives are: kubectl checkpoint ls nginx$/],
    [rm, ["node1"], /^invalid archive "node1"/, /kubectl checkpoint ls node1$/],
    [cp, [], /is required$/],
    [rm, [], /is required$/],
    [ls, ["a", "b"], /^unexpected argument "b": ls takes one POD or TYPE\/NAME$/],
    [ls, ["deploy/"], /^invalid target "deploy\/": use POD or TYPE\/NAME$/],
    [prune, ["nginx"], /^unexpected argument "nginx": prune takes none$/, /kubectl checkpoint rm NODE:ARCHIVE$/],
    [prune, [], /^--keep or --older-than is required$/],
    [search, ["nginx"], /^PATTERN is required$/, /^kubectl checkpoint search FILE PATTERN$/],
    [diff, ["a.tar"], /^two archives are required$/, /^kubectl checkpoint diff FILE FILE$/],
    [show, [], /^FILE is required$/],
  ] as never;
  for (const [verb, words, message, fix] of cases) {
    const error = thrownBy(verb, words);
    assert.equal(error.exitCode, 2);
    assert.match(said(error.message), message);
    if (fix !== undefined) assert.match(said(error.fix), fix);
  }
});

test("--resume of what is not there, or is no run", async () => {
  await assert.rejects(RunState.read(join(folder, "none.json")), { reason: "NoSuchFile", fix: /^a run names its file when it begins/ });
  await assert.rejects(RunState.read(join(folder, "notes.txt")), { reason: "RunFileUnusable" });
});

test("a pod that is not there: what it may have been", () => {
  const cases: Readonly<Record<string, RegExp>> = {
    "deploy web": /^if deploy\/web was meant: kubectl checkpoint deploy\/web\n/,
    "sts db x": /^if sts\/db was meant: kubectl checkpoint sts\/db x\n/,
    inspet: /^if the verb "inspect" was meant: kubectl checkpoint inspect\n/,
    "a.tar": /^if the archive a.tar was meant: kubectl checkpoint show a.tar\n/,
  };
  for (const [line, fix] of Object.entries(cases)) {
    const missing = new UserError({ reason: "PodNotFound", message: "not found", fix: "kubectl get pods" });
    const answer = inContext(missing, readWords(line.split(" "), VERBS), VERBS, (path) => path === "a.tar");
    assert.ok(answer instanceof UserError);
    assert.match(answer.fix ?? "", fix, line);
  }
});

test("the word that is no pod, as the value of --copy, a container, or in capitals: the whole command that was meant, without tokens", () => {
  const cases: readonly (readonly [line: string, missing: string, fix: string | undefined])[] = [
    [
      "cart -n shop --copy ev --remove",
      "ev",
      "if the copy was meant to go to ev: kubectl checkpoint cart --namespace=shop --remove --copy=ev",
    ],
    ["cart api --prove 1s", "api", "if the container api of pod/cart was meant: kubectl checkpoint cart --prove=1s --container=api"],
    ["cart api -c x", "api", undefined],
    ["api", "api", undefined],
    ["pod/Cart --token s3cret -y", "Cart", "names of pods have no capital letters: kubectl checkpoint pod/cart --yes"],
    ["deployment cart -n shop", "deployment", "if deployment/cart was meant: kubectl checkpoint deployment/cart --namespace=shop"],
  ];
  for (const [line, name, fix] of cases) {
    const missing = new UserError({ reason: "PodNotFound", message: `pod/${name} not found in namespace shop` });
    const answer = inContext(missing, readWords(line.split(" "), VERBS), VERBS, () => false);
    assert.ok(answer instanceof UserError);
    assert.equal(answer.fix, fix, line);
  }
});

test("doctor with a node's name: the command for the node comes first", async (t) => {
  const status = { kind: "Status", status: "Failure", reason: "NotFound", code: 404, message: 'pods "node1" not found' };
  const server = await fakeApiserver(t, ({ url }, response) => {
    const there = url === "/api/v1/namespaces/default";
    response.writeHead(there ? 200 : 404, { "content-type": "application/json" }).end(JSON.stringify(there ? {} : status));
  });
  await assert.rejects(runVerb(doctor, ["node1"], { kubeconfig: join(folder, "config"), server }), {
    reason: "PodNotFound",
    message: "pod/node1 not found in namespace default",
    fix: /^if the node was meant: kubectl checkpoint doctor node\/node1/,
  });
  assert.deepEqual(requestOf(doctor, ["node", "node1"]).subject, { kind: "node", node: "node1" });
  assert.throws(() => requestOf(doctor, ["deploy/web"]), { message: 'invalid target "deploy/web": use POD or node/NODE' });
});

function thrownBy<F extends FlagSet>(verb: Verb<F>, words: readonly string[]): UserError {
  try {
    requestOf(verb, words);
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  return assert.fail(`${verb.name} ${words.join(" ")} is accepted`);
}
