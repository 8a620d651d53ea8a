// Mistyped verbs and flags get the nearest match.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFlags } from "../../src/cli/parse.ts";
import { quickAnswer } from "../../src/cli/quick.ts";
import { inContext } from "../../src/cli/suggest.ts";
import { VERBS } from "../../src/cli/table.ts";
import { readWords, type Words } from "../../src/cli/words.ts";
import { UserError } from "../../src/model/error.ts";

const ARCHIVE = "test/data/archives/containerd-a.tar";
const about = { version: "v0", node: "26", platform: "x" };

function read(line: string): Words {
  return readWords(line.split(" "), VERBS);
}

const noFile = (): boolean => false;

/** The message and the fix of the usage error of a command line; undefined where there is none. */
function usage(line: string): readonly (string | undefined)[] | undefined {
  try {
    const words = read(line);
    if (quickAnswer(words, about) === undefined) parseFlags(words);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof UserError && error.exitCode === 2, String(error));
    return [error.message, error.fix];
  }
}

test("a word that is nearly a verb, with a file, an archive on a node, a flag of that verb, or --help", () => {
  for (const [line, verb] of [
    [`inspet ${ARCHIVE}`, "inspect"],
    ["inspct --sockets x.tar", "inspect"],
    ["shwo -", "show"],
    ["copy node1:a.tar", "cp"],
    ["prun --keep 3 --older-than 7d", "prune"],
    ["docter --deep", "doctor"],
    ["vrify --help", "verify"],
  ] as const) {
    const [first = ""] = line.split(" ");
    assert.equal(usage(line)?.[0], `unknown verb "${first}": did you mean "${verb}"?`, line);
    assert.match(
      usage(line)?.[1] ?? "",
      new RegExp(`^kubectl checkpoint ${verb}\\b.*, or kubectl checkpoint pod/${first} for a pod of that name$`),
    );
  }
});

test("a bare word is a pod all the same: one that is nearly a verb, others beside it, far ones with files", () => {
  for (const line of ["inspet", "shop", "web api", "inspet web", `nginx ${ARCHIVE}`, "pod/inspet", "shop --copy", "shop -c app"])
    assert.equal(usage(line), undefined, line);
});

test("help of a verb that is none", () => {
  assert.deepEqual(usage("help inspet"), ['unknown verb "inspet": did you mean "inspect"?', "kubectl checkpoint inspect --help"]);
  assert.deepEqual(usage("help nginx")?.[0], 'unknown verb "nginx"');
});

test("a flag that is none: the nearest of its verb, or the verbs that have it", () => {
  for (const [line, message] of [
    ["web --contaner app", "unknown flag: --contaner (did you mean --container?)"],
    ["web --al-containers", "unknown flag: --al-containers (did you mean --all-containers?)"],
    ["--pdi 3 inspect a.tar", "unknown flag: --pdi (did you mean --pid?)"],
    ["ls --nodes n", "unknown flag: --nodes (did you mean --node?)"],
    ["ls --remove", "unknown flag: --remove (a flag of checkpoint, cp, not of ls)"],
    ["web --nope=1", "unknown flag: --nope"],
  ] as const)
    assert.equal(usage(line)?.[0], message, line);
  assert.equal(usage("ls --nodes n")?.[1], "kubectl checkpoint ls --help");
  assert.equal(usage("web --nope")?.[1], "kubectl checkpoint --help");
});

test("a pod that is not there, and whose name is nearly a verb: the fix has the verb", () => {
  const error = new UserError({ reason: "PodNotFound", message: "pod/doctr not found", fix: "kubectl get pods" });
  const suggested = inContext(error, read("doctr -n web"), VERBS, noFile);
  assert.ok(suggested instanceof UserError);
  assert.deepEqual(
    [suggested.reason, suggested.message, suggested.fix],
    ["PodNotFound", "pod/doctr not found", 'if the verb "doctor" was meant: kubectl checkpoint doctor\nkubectl get pods'],
  );
  assert.equal(inContext(error, read("nginx"), VERBS, noFile), error);
  assert.equal(inContext(error, read("move doctr"), VERBS, noFile), error);
});

test("an archive where a pod is meant to stand; a first use without a cluster", () => {
  const fixOf = (error: UserError, words: Words, isFile: (path: string) => boolean): string | undefined => {
    const explained = inContext(error, words, VERBS, isFile);
    assert.ok(explained instanceof UserError);
    return explained.fix;
  };
  const isFile = (path: string): boolean => path === "web.tar";
  for (const reason of ["PodNotFound", "NoKubeconfig"]) {
    const error = new UserError({ reason, message: "no", fix: "see" });
    assert.equal(fixOf(error, read("web.tar"), isFile), "if the archive web.tar was meant: kubectl checkpoint show web.tar\nsee");
    assert.equal(fixOf(error, read("ls web.tar"), isFile), "see");
  }
  const without = new UserError({ reason: "NoKubeconfig", message: "no kubeconfig found", fix: "set KUBECONFIG" });
  const said = fixOf(without, readWords([], VERBS), noFile)?.split("\n") ?? [];
  assert.equal(said.length, 4);
  assert.match(said[0] ?? "", /^this plugin checkpoints running containers/);
  assert.match(said[1] ?? "", /CRIU.*kubectl checkpoint doctor$/);
  assert.equal(said[3], "set KUBECONFIG");
  assert.equal(inContext(without, read("nginx"), VERBS, noFile), without);
});
