// Words and flags of image, restore and move as requests.
import assert from "node:assert/strict";
import { test } from "node:test";
import { verb as image } from "../../src/commands/image.ts";
import { verb as move } from "../../src/commands/move.ts";
import { verb as restore } from "../../src/commands/restore.ts";
import { HELPER_IMAGE } from "../../src/helper/image.ts";
import { UserError } from "../../src/model/error.ts";
import { requestOf } from "./running.ts";

const REFERENCE = { registry: "reg.local", repository: "a", tag: "1", digest: undefined };
const SETTINGS = { caFile: undefined, plainHttp: false, registryConfig: undefined, allowPublic: false };

function isUsage(error: unknown): boolean {
  return error instanceof UserError && error.exitCode === 2;
}

test("image: FILE, REFERENCE and one place", () => {
  assert.deepEqual(
    requestOf(image, ["a.tar", "reg.local/a:1"], { push: true, compress: "zstd", "ca-file": "ca.crt", "allow-public": true }),
    {
      file: "a.tar",
      reference: REFERENCE,
      to: undefined,
      compression: "zstd",
      yes: false,
      settings: { ...SETTINGS, caFile: "ca.crt", allowPublic: true },
    },
  );
  assert.deepEqual(requestOf(image, ["-", "reg.local/a:1"], { to: "oci-archive:/tmp/a:b.tar" }).to, {
    kind: "oci-archive",
    path: "/tmp/a:b.tar",
  });
  const wrong: [string[], Record<string, string | boolean>][] = [
    [[], { push: true }],
    [["a.tar"], { push: true }],
    [["a.tar", "reg.local/a:1", "b"], { push: true }],
    [["a.tar", "reg.local/a:1"], {}],
    [["a.tar", "reg.local/a:1"], { push: true, to: "oci:x" }],
    [["a.tar", "reg.local/a:1"], { to: "docker:x" }],
    [["a.tar", "reg.local/a:1"], { to: "oci:" }],
    [["a.tar", "Nonsense!"], { push: true }],
  ];
  for (const [words, given] of wrong) assert.throws(() => requestOf(image, words, given), isUsage, JSON.stringify([words, given]));
});

test("restore: with and without FILE", () => {
  const given = {
    image: "reg.local/a:1",
    node: "node2",
    namespace: "shop",
    "set-image": ["proxy=p:2", "x=y=z"],
    isolated: true,
    "keep-labels": true,
  };
  const all = requestOf(restore, ["a.tar"], given);
  assert.ok("file" in all);
  const { cluster: _cluster, helper: _helper, ...request } = all;
  assert.deepEqual(request, {
    file: "a.tar",
    reference: REFERENCE,
    options: {
      name: undefined,
      namespace: "shop",
      node: "node2",
      bypassScheduler: false,
      setImages: new Map([
        ["proxy", "p:2"],
        ["x", "y=z"],
      ]),
      isolated: true,
      keep: { labels: true, annotations: false, liveness: false, readiness: false, startup: false },
      keepHostPorts: false,
    },
    settings: SETTINGS,
    dryRun: undefined,
    explain: false,
    yes: false,
  });
  const inRegistry = requestOf(restore, [], { image: "reg.local/a:1" });
  assert.ok("file" in inRegistry && inRegistry.file === undefined);
  for (const words of [["a", "b"], ["-"], [""]]) assert.throws(() => requestOf(restore, words, { image: "reg.local/a:1" }), isUsage);
  assert.throws(() => requestOf(restore, ["a.tar"]), isUsage);
  assert.throws(() => requestOf(restore, [], { image: "reg.local/a:1", "set-image": ["proxy"] }), isUsage);
  assert.throws(() => requestOf(restore, ["a.tar"], { image: "reg.local/a:1", "bypass-scheduler": true }), isUsage, "of which node?");
});

test("restore --sandbox: an archive or an image, with flags of its own", () => {
  const given = {
    sandbox: true,
    stopped: true,
    ttl: "2h",
    node: "node2",
    name: "look",
    namespace: "lab",
    "base-image": "reg.local/base:1",
  };
  const all = requestOf(restore, ["a.tar"], { ...given, "helper-image": "reg.local/helper:1" });
  const named = requestOf(restore, ["a.tar"], { ...given, "helper-image": "helper" });
  assert.ok("sandbox" in named && named.sandbox.image === HELPER_IMAGE);
  assert.ok("sandbox" in all);
  const { cluster: _cluster, ...request } = all.sandbox;
  assert.deepEqual(request, {
    file: "a.tar",
    reference: undefined,
    stopped: true,
    network: "none",
    ttlSeconds: 7200,
    node: "node2",
    name: "look",
    namespace: "lab",
    baseImage: "reg.local/base:1",
    image: "reg.local/helper:1",
    pullSecret: undefined,
    settings: SETTINGS,
    explain: false,
    dryRun: undefined,
  });
  const remote = requestOf(restore, [], { sandbox: true, image: "reg.local/a:1", network: "pod" });
  assert.ok("sandbox" in remote && remote.sandbox.network === "pod" && remote.sandbox.ttlSeconds === 8 * 3600);
  assert.deepEqual(remote.sandbox.reference, REFERENCE);
  const wrong: [string[], Record<string, unknown>][] = [
    [[], { sandbox: true }],
    [["a", "b"], { sandbox: true }],
    [["-"], { sandbox: true }],
    [["a.tar"], { sandbox: true, image: "reg.local/a:1" }],
    [["a.tar"], { sandbox: true, isolated: true }],
    [["a.tar"], { sandbox: true, "keep-labels": true }],
    [["a.tar"], { sandbox: true, "set-image": ["a=b"] }],
    [["a.tar"], { sandbox: true, namespace: "kube-system" }],
    [["a.tar"], { sandbox: true, ttl: "1s" }],
    [["a.tar"], { image: "reg.local/a:1", stopped: true }],
    [["a.tar"], { image: "reg.local/a:1", network: "none" }],
  ];
  for (const [words, flags] of wrong)
    assert.throws(() => requestOf(restore, words, flags as never), isUsage, JSON.stringify([words, flags]));
});

test("move: a pod, a node, an image", () => {
  const given = { to: "node2", image: "reg.local/a:1" };
  for (const words of [["web"], ["pod/web"], ["pod", "web"], ["po", "web"]]) {
    const { pod, to, reference, force, container } = requestOf(move, words, given);
    assert.deepEqual([pod, to, reference, force, container], ["web", "node2", REFERENCE, false, undefined]);
  }
  assert.deepEqual(
    [undefined, "client", "server"].map(
      (how) => requestOf(move, ["web"], { ...given, ...(how === undefined ? {} : { "dry-run": how }) }).dryRun,
    ),
    [undefined, "client", "server"],
  );
  assert.equal(requestOf(move, ["web"], { ...given, container: ["c"], force: true }).container, "c");
  const { quiesce, bypassScheduler } = requestOf(move, ["web"], { ...given, quiesce: true, "bypass-scheduler": true });
  assert.deepEqual([quiesce, bypassScheduler], [true, true]);
  for (const words of [[], ["a", "b"], ["deploy/web"], ["pod/"]])
    assert.throws(() => requestOf(move, words, given), isUsage, words.join(" "));
  for (const without of ["to", "image"]) assert.throws(() => requestOf(move, ["web"], { ...given, [without]: "" }), isUsage, without);
  assert.throws(() => requestOf(move, ["web"], { ...given, container: ["a", "b"] }), isUsage);
});
