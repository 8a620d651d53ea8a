// What the words and flags of ls, rm, prune and doctor mean.
import assert from "node:assert/strict";
import { test } from "node:test";
import { doctorRequest } from "../../src/commands/doctor.ts";
import { lsRequest } from "../../src/commands/ls.ts";
import { pruneRequest } from "../../src/commands/prune.ts";
import { rmRequest } from "../../src/commands/rm.ts";
import { parseFlags } from "../../src/cli/parse.ts";
import { VERBS } from "../../src/cli/verbs/table.ts";
import { readWords } from "../../src/cli/words.ts";
import { DEFAULT_IMAGE } from "../../src/helper/manifest.ts";

const SETTINGS = { image: DEFAULT_IMAGE, namespace: undefined, pullSecret: undefined, checkpointDir: "/var/lib/kubelet/checkpoints" };

function request<T>(read: (words: readonly string[], flags: ReturnType<typeof parseFlags>, env: NodeJS.ProcessEnv) => T, line: string): T {
  const parsed = readWords(line.split(" "), VERBS);
  return read(parsed.words, parseFlags(parsed), {});
}

test("ls", () => {
  const all = { pod: undefined, nodes: [], allNamespaces: false, wide: false, yes: false, settings: SETTINGS };
  assert.deepEqual(request(lsRequest, "ls"), all);
  assert.deepEqual(request(lsRequest, "ls nginx --node a --node b -A -o wide -y"), {
    ...all,
    pod: "nginx",
    nodes: ["a", "b"],
    allNamespaces: true,
    wide: true,
    yes: true,
  });
  for (const words of ["ls pod/nginx", "ls pod nginx", "ls po/nginx"]) assert.equal(request(lsRequest, words).pod, "nginx");
  assert.throws(() => request(lsRequest, "ls a b c"), { exitCode: 2 });
});

test("rm", () => {
  const { archives, dryRun } = request(rmRequest, "rm n1:a.tar n1:/var/lib/kubelet/checkpoints/b.tar n1:a.tar --dry-run=client");
  assert.deepEqual(
    archives.map(({ node, path }) => `${node} ${path}`),
    ["n1 /var/lib/kubelet/checkpoints/a.tar", "n1 /var/lib/kubelet/checkpoints/b.tar"],
  );
  assert.equal(dryRun, true);
  assert.equal(request(rmRequest, "rm n1:/c/a:b.tar --checkpoint-dir /c/").archives[0]?.path, "/c/a:b.tar");
  for (const line of ["rm", "rm a.tar", "rm n1:", "rm n1:../x", "rm n1:/etc/passwd", "rm N1:a"])
    assert.throws(() => request(rmRequest, line), { exitCode: 2 }, line);
});

test("prune", () => {
  const { retention, nodes } = request(pruneRequest, "prune --keep 3 --older-than 7d --node a");
  assert.deepEqual([retention, nodes], [{ keep: 3, olderThanMs: 7 * 86_400_000 }, ["a"]]);
  assert.deepEqual(request(pruneRequest, "prune --keep 0").retention, { keep: 0, olderThanMs: undefined });
  for (const line of ["prune", "prune x --keep 1", "prune --keep -1", "prune --keep x", "prune --older-than 5"])
    assert.throws(() => request(pruneRequest, line), { exitCode: 2 }, line);
});

test("doctor", () => {
  const plain = { subject: { kind: "cluster" }, deep: false, fix: undefined, yes: false, settings: SETTINGS };
  assert.deepEqual(request(doctorRequest, "doctor"), plain);
  assert.deepEqual(request(doctorRequest, "doctor nginx -c c --deep"), {
    ...plain,
    subject: { kind: "pod", pod: "nginx", container: "c" },
    deep: true,
  });
  for (const line of ["doctor node/n", "doctor node n", "doctor no/n"])
    assert.deepEqual(request(doctorRequest, line).subject, { kind: "node", node: "n" }, line);
  assert.deepEqual(request(doctorRequest, "doctor pod node").subject, { kind: "pod", pod: "node", container: undefined });
  assert.equal(request(doctorRequest, "doctor --fix").fix, "print");
  assert.equal(request(doctorRequest, "doctor --fix=apply -y").fix, "apply");
  for (const line of ["doctor a b", "doctor deploy/x", "doctor node/n -c c", "doctor -c c", "doctor --fix=all", "doctor a b c"])
    assert.throws(() => request(doctorRequest, line), { exitCode: 2 }, line);
});
