// What the words and flags of ls, rm, prune and doctor mean.
import assert from "node:assert/strict";
import { test } from "node:test";
import { verb as doctor } from "../../src/commands/doctor.ts";
import { verb as ls } from "../../src/commands/ls.ts";
import { verb as prune } from "../../src/commands/prune.ts";
import { verb as rm } from "../../src/commands/rm.ts";
import type { FlagSet } from "../../src/commands/shared/flags.ts";
import type { Verb } from "../../src/commands/shared/verb.ts";
import { DEFAULT_IMAGE } from "../../src/helper/manifest.ts";
import { requestOfLine } from "./running.ts";

const SETTINGS = { image: DEFAULT_IMAGE, namespace: undefined, pullSecret: undefined, checkpointDir: "/var/lib/kubelet/checkpoints" };

/** Without the cluster's flags. */
function request<F extends FlagSet, R extends object>(verb: Verb<F, R>, line: string): Omit<R, "cluster"> {
  const { cluster: _cluster, ...request } = requestOfLine(verb, line) as R & { readonly cluster: unknown };
  return request;
}

test("ls", () => {
  const all = { target: undefined, nodes: [], allNamespaces: false, wide: false, yes: false, settings: SETTINGS };
  assert.deepEqual(request(ls, "ls"), all);
  assert.deepEqual(request(ls, "ls nginx --node a --node b -A -o wide -y"), {
    ...all,
    target: { kind: "pod", name: "nginx" },
    nodes: ["a", "b"],
    allNamespaces: true,
    wide: true,
    yes: true,
  });
  for (const words of ["ls pod/nginx", "ls pod nginx", "ls po/nginx"])
    assert.deepEqual(request(ls, words).target, { kind: "pod", name: "nginx" });
  assert.deepEqual(request(ls, "ls deploy/web").target, { kind: "workload", type: "deploy", name: "web" });
  assert.throws(() => request(ls, "ls a b c"), { exitCode: 2 });
});

test("rm", () => {
  const { archives, dryRun } = request(rm, "rm n1:a.tar n1:/var/lib/kubelet/checkpoints/b.tar n1:a.tar --dry-run=client");
  assert.deepEqual(
    archives.map(({ node, path }) => `${node} ${path}`),
    ["n1 /var/lib/kubelet/checkpoints/a.tar", "n1 /var/lib/kubelet/checkpoints/b.tar"],
  );
  assert.equal(dryRun, true);
  assert.equal(request(rm, "rm n1:/c/a:b.tar --checkpoint-dir /c/").archives[0]?.path, "/c/a:b.tar");
  for (const line of ["rm", "rm a.tar", "rm n1:", "rm n1:../x", "rm n1:/etc/passwd", "rm N1:a"])
    assert.throws(() => request(rm, line), { exitCode: 2 }, line);
});

test("prune", () => {
  const { retention, nodes } = request(prune, "prune --keep 3 --older-than 7d --node a");
  assert.deepEqual([retention, nodes], [{ keep: 3, olderThanMs: 7 * 86_400_000 }, ["a"]]);
  assert.deepEqual(request(prune, "prune --keep 0").retention, { keep: 0, olderThanMs: undefined });
  for (const line of ["prune", "prune x --keep 1", "prune --keep -1", "prune --keep x", "prune --older-than 5"])
    assert.throws(() => request(prune, line), { exitCode: 2 }, line);
});

test("doctor", () => {
  const plain = { subject: { kind: "cluster" }, deep: false, fix: undefined, grantee: undefined, yes: false, settings: SETTINGS };
  assert.deepEqual(request(doctor, "doctor"), plain);
  assert.deepEqual(request(doctor, "doctor --for group:on-call").grantee, { kind: "group", name: "on-call" });
  assert.deepEqual(request(doctor, "doctor --for user:a:b").grantee, { kind: "user", name: "a:b" });
  for (const other of ["on-call", "group:", "role:x"]) assert.throws(() => request(doctor, `doctor --for ${other}`), { exitCode: 2 });
  assert.deepEqual(request(doctor, "doctor nginx -c c --deep"), {
    ...plain,
    subject: { kind: "pod", pod: "nginx", container: "c" },
    deep: true,
  });
  for (const line of ["doctor node/n", "doctor node n", "doctor no/n"])
    assert.deepEqual(request(doctor, line).subject, { kind: "node", node: "n" }, line);
  assert.deepEqual(request(doctor, "doctor pod node").subject, { kind: "pod", pod: "node", container: undefined });
  assert.equal(request(doctor, "doctor --fix").fix, "print");
  assert.equal(request(doctor, "doctor --fix=apply -y").fix, "apply");
  for (const line of ["doctor a b", "doctor deploy/x", "doctor node/n -c c", "doctor -c c", "doctor --fix=all", "doctor a b c"])
    assert.throws(() => request(doctor, line), { exitCode: 2 }, line);
});
