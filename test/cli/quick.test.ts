// What is answered at once.
import assert from "node:assert/strict";
import { test } from "node:test";
import { quickAnswer } from "../../src/cli/quick.ts";
import { VERBS } from "../../src/cli/table.ts";
import { readWords } from "../../src/cli/words.ts";
import { verb as version } from "../../src/commands/version.ts";
import { requestOf, runVerb } from "../commands/running.ts";
import { fakeApiserver } from "../fakes.ts";

function answer(...argv: string[]): string | undefined {
  return quickAnswer(readWords(argv, VERBS), { version: "v1.2.3", node: "26.0.0", platform: "linux-x64" });
}

test("version and help", () => {
  for (const argv of [["version"], ["--version"]]) assert.equal(answer(...argv), "kubectl-checkpoint v1.2.3 (Node.js 26.0.0, linux-x64)\n");
  assert.match(answer("help", "cp") ?? "", /^Usage:\n {2}kubectl checkpoint cp NODE:ARCHIVE\.\.\. \[DEST\]/);
  assert.match(answer("version", "foo", "--help") ?? "", /^Usage:\n {2}kubectl checkpoint version/);
  assert.equal(answer("cp", "a"), undefined);
});

test("version -o json|yaml: this plugin and the API server; without a cluster only the plugin, and why one does not answer", async (t) => {
  const documentOf = async (flags: Record<string, string>): Promise<unknown> =>
    (await runVerb(version, [], { output: "json", kubeconfig: "/dev/null", ...flags })).document;
  const own = { version: "v0.0.0", node: process.versions.node, platform: `${process.platform}-${process.arch}` };
  assert.equal(answer("version", "-o", "json"), undefined);
  assert.deepEqual(await documentOf({}), own);
  const server = await fakeApiserver(t, (_, response) => void response.end('{"gitVersion": "v1.36.3", "platform": "linux/amd64"}'));
  assert.deepEqual(await documentOf({ server }), { ...own, server: { version: "v1.36.3", platform: "linux/amd64", address: server } });
  const { serverError } = (await documentOf({ server: "http://127.0.0.1:1" })) as { serverError?: string };
  assert.match(serverError ?? "", /127\.0\.0\.1:1/);
});

test("a word too many is a usage error, as elsewhere", () => {
  assert.throws(() => requestOf(version, ["foo"]), { exitCode: 2, message: 'unexpected argument "foo": version takes none' });
  assert.throws(() => answer("help", "cp", "rm"), { exitCode: 2, message: 'unexpected argument "rm": help takes one verb' });
  assert.throws(() => answer("help", "nope"), { exitCode: 2, message: 'unknown verb "nope"' });
});
