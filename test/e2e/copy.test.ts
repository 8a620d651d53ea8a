// Archives brought here, on the real cluster: cp and --copy.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { V1PodList } from "@kubernetes/client-node";
import type { CheckpointList, CopyList } from "../../src/model/documents.ts";
import {
  apply,
  BUSYBOX,
  clusterTest,
  container,
  COUNT,
  eventually,
  getJson,
  kubectl,
  NO_CLUSTER,
  onNode,
  ownNamespace,
  plugin,
  pod,
  REGISTRY,
  run,
  running,
  setUp,
  shareCluster,
  temporaryDirectory,
} from "./harness.ts";
import { Terminal } from "./terminal.ts";
import { apiProxy } from "./api-proxy.ts";

shareCluster();

const namespace = ownNamespace("e2e-copy");
const NODE = "node1";
const DIRECTORY = "/var/lib/kubelet/checkpoints";
// Other files' helpers may run beside these.
const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX, KUBECTL_CHECKPOINT_HELPER_NAMESPACE: namespace };
let archive = "";
let sha256 = "";

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    await apply(pod(namespace, "counter", [container("counter", COUNT)], { node: NODE, labels: { app: "counter" } }));
    await running(namespace, "counter");
    archive = (await plugin(["--prove", "0", "counter", "-n", namespace, "-o", "name"])).stdout.trim();
    sha256 = (await onNode(NODE, "sha256sum", archive.slice(NODE.length + 1))).slice(0, 64);
  });
}

function hashOf(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

async function helpersLeft(): Promise<string[]> {
  const { items } = await getJson<V1PodList>("pods,jobs", "-n", namespace, "-l", "app.kubernetes.io/name=kubectl-checkpoint");
  return items.map(({ kind, metadata }) => `${kind}/${metadata?.name}`);
}

clusterTest("cp: the same bytes, 0600, a name without colons, a record, no pod left", async (t) => {
  const directory = await temporaryDirectory(t);
  const { code, stdout, stderr } = await plugin(["cp", archive, directory], { env });
  assert.equal(code, 0, stderr);
  const name = archive.slice(archive.lastIndexOf("/") + 1).replaceAll(":", "-");
  const path = join(directory, name);
  assert.match(
    stdout,
    new RegExp(`^${archive.replaceAll(".", "\\.")} copied: \\d+ KiB in \\d+\\.\\ds \\(.*/s\\), SHA-256 ${sha256}\n${path}\n$`),
  );
  assert.equal(stderr, "");
  assert.deepEqual(readdirSync(directory).sort(), [name, `${name}.json`]);
  assert.equal(hashOf(path), sha256);
  for (const file of [path, `${path}.json`]) assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(await helpersLeft(), [], "gone when the command returns");
  assert.equal((await plugin(["verify", path])).code, 0, "as in its record");
});

clusterTest("cp of several at a terminal: a table in the end; stopped, the command that copies the others", async (t) => {
  const directory = await temporaryDirectory(t);
  const second = (await plugin(["--prove", "0", "counter", "-n", namespace, "-o", "name"])).stdout.trim();
  const names = [archive, second].map((place) => place.slice(place.lastIndexOf("/") + 1).replaceAll(":", "-"));
  const screen = new Terminal(["cp", archive, second, directory], { columns: 200, rows: 30 }, env);
  t.after(() => screen.kill());
  assert.equal(await screen.ended(60), 0);
  const lines = (await screen.lines()).map((line) => line.trimEnd());
  assert.match(lines[0] ?? "", /^NODE +FREEZE +SIZE +ON NODE +PATH$/);
  for (const [index, name] of names.entries())
    assert.match(lines[index + 1] ?? "", new RegExp(`^node1 +\\d+ms +\\d+ KiB +kept +${join(directory, name)}$`));
  assert.deepEqual(lines.slice(3), ["2 of 2 archives copied"]);

  const other = await temporaryDirectory(t);
  const stopped = await plugin(["cp", archive, second, other, "--remove"], {
    env,
    started: (child) => child.stdout?.once("data", () => child.kill("SIGINT")),
  });
  // It may have been done already.
  if (stopped.code !== 0)
    assert.match(
      stopped.stderr,
      new RegExp(`^1 of 2 archives copied; to continue: kubectl checkpoint cp ${second} ${other} --remove( --.+)?$`, "m"),
    );
  archive = (await plugin(["--prove", "0", "counter", "-n", namespace, "-o", "name"])).stdout.trim();
  sha256 = (await onNode(NODE, "sha256sum", archive.slice(NODE.length + 1))).slice(0, 64);
});

clusterTest("checkpoint --copy --remove: one document, the pod in the record, the node's copy gone", async (t) => {
  const directory = await temporaryDirectory(t);
  const { code, stdout, stderr } = await plugin(["counter", "-n", namespace, `--copy=${directory}/`, "--remove", "-o", "json"], { env });
  assert.equal(code, 0, stderr);
  const [item] = (JSON.parse(stdout) as CheckpointList).items;
  const copy = item?.copy ?? assert.fail("no copy");
  assert.equal(item?.removedFromNode, true);
  assert.equal(hashOf(copy.path ?? ""), copy.sha256);
  assert.equal(statSync(copy.path ?? "").size, copy.bytes);
  assert.ok(copy.seconds > 0 && copy.seconds < 30 && copy.wireBytes > 0 && (copy.frozenSeconds ?? 0) > 0);
  assert.equal((await onNode(NODE, "sh", "-c", `test -e '${item?.nodePath}' && echo there || echo gone`)).trim(), "gone");
  const { items, record } = JSON.parse(readFileSync(copy.record ?? "", "utf8")) as {
    items: unknown[];
    record: {
      cluster: { server: string };
      user: { cluster: string };
      versions: Record<string, string>;
      helper: { image: string };
      hashes: { value: string; computedOn: string; computedAt: string }[];
      pod: { metadata: { labels: unknown; managedFields?: unknown } };
    };
  };
  assert.deepEqual((items[0] as { copy: unknown }).copy, copy);
  assert.equal(record.user.cluster, "kubernetes-admin");
  assert.match(record.versions["kubelet"] ?? "", /^v1\./);
  assert.match(record.versions["runtime"] ?? "", /^containerd:/);
  assert.match(record.helper.image, /@sha256:[0-9a-f]{64}$/);
  assert.deepEqual(
    record.hashes.map(({ value, computedOn }) => [value, computedOn]),
    [
      [copy.sha256, "node"],
      [copy.sha256, "here"],
    ],
  );
  assert.deepEqual(record.pod.metadata.labels, { app: "counter" });
  assert.equal(record.pod.metadata.managedFields, undefined);
});

clusterTest("to a file name, to standard output, by file name or full path, by exec where the image has no httpd", async (t) => {
  const directory = await temporaryDirectory(t);
  const name = archive.slice(archive.lastIndexOf("/") + 1);
  const plain = await plugin(["cp", `${NODE}:${name}`, join(directory, "a.tar"), "--helper-image", `${REGISTRY}/plain:1`, "-o", "json"]);
  assert.equal(plain.code, 0, plain.stderr);
  assert.equal((JSON.parse(plain.stdout) as CopyList).items[0]?.copy?.path, join(directory, "a.tar"));
  assert.equal(hashOf(join(directory, "a.tar")), sha256);
  const piped = await run("sh", ["-c", `kubectl checkpoint cp '${archive}' - | sha256sum`], { env });
  assert.equal(piped.stdout.slice(0, 64), sha256);
});

clusterTest(
  "exec stands in where port-forward is refused, not understood or swallowed on the way; where it is not, it is not used",
  async (t) => {
    const directory = await temporaryDirectory(t);
    const others = process.env["FULL"] === undefined ? [] : ([403, 404, 426] as const);
    for (const refused of ["pass", 400, ...others, 502, "silent"] as const) {
      const proxy = await apiProxy(t, (_method, path) => (path.endsWith("/portforward") ? refused : "pass"));
      const path = join(directory, `${refused}.tar`);
      const { code, stderr } = await plugin(["cp", archive, path, ...proxy.flags], { env });
      assert.equal(code, 0, `${refused}: ${stderr}`);
      assert.equal(hashOf(path), sha256);
      assert.equal(
        proxy.seen.some((request) => request.endsWith("/exec")),
        refused !== "pass",
        String(refused),
      );
    }
    assert.deepEqual(await helpersLeft(), []);
  },
);

clusterTest("exec stands in where the user may not port-forward", async (t) => {
  const directory = await temporaryDirectory(t);
  const role = ["--resource=pods,pods/exec,jobs.batch", "--verb=get,list,create,patch,delete", "-n", namespace];
  assert.equal((await kubectl("create", "role", "exec", ...role)).code, 0);
  await kubectl("create", "rolebinding", "exec", "--role=exec", "--user=exec", "-n", namespace);
  const as = ["--as", "exec", "-n", namespace];
  await eventually(async () => (await kubectl("auth", "can-i", "create", "pods", "--subresource=exec", ...as)).code === 0, "the role");
  assert.equal((await kubectl("auth", "can-i", "create", "pods", "--subresource=portforward", ...as)).code, 1);
  const path = join(directory, "a.tar");
  const { code, stderr } = await plugin(["cp", archive, path, "--as", "exec", "--helper-namespace", namespace], { env });
  assert.equal(code, 0, stderr);
  assert.equal(hashOf(path), sha256);
});

clusterTest("where neither works, it is port-forward's refusal that is said", async (t) => {
  const directory = await temporaryDirectory(t);
  const proxy = await apiProxy(t, (_method, path) => (/\/(portforward|exec)$/.test(path) ? 400 : "pass"));
  const { code, stderr } = await plugin(["cp", archive, directory, ...proxy.flags], { env });
  assert.equal(code, 1);
  assert.match(stderr, /^error: the API server answered 400 to GET \S+\/portforward/);
  assert.deepEqual(readdirSync(directory), []);
});

clusterTest("every codec brings the same bytes", async (t) => {
  const directory = await temporaryDirectory(t);
  for (const codec of ["none", "gzip", "lzop", "zstd"]) {
    const path = join(directory, `${codec}.tar`);
    const { code, stderr } = await plugin(["cp", archive, path, "--compress", codec, "--helper-image", `${REGISTRY}/tools:1`]);
    assert.equal(code, 0, stderr);
    assert.equal(hashOf(path), sha256, codec);
  }
  const without = await plugin(["cp", archive, join(directory, "x.tar"), "--compress", "zstd"], { env });
  assert.equal(without.code, 1);
  assert.match(without.stderr, /^error: the helper image has no zstd\n {2}fix: .*--compress/);
});

clusterTest("what is there already: the same is recognised without a transfer, another one is refused, --force replaces", async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, "a.tar");
  assert.equal((await plugin(["cp", archive, path], { env })).code, 0);
  const again = await plugin(["cp", archive, path, "-o", "json"], { env });
  assert.equal(again.code, 0);
  assert.match(again.stderr, /a\.tar already exists and has the same bytes/);
  assert.equal((JSON.parse(again.stdout) as CopyList).items[0]?.copy?.wireBytes, 0);
  writeFileSync(path, "something else");
  const refused = await plugin(["cp", archive, path], { env });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^error: \S+a\.tar already exists and is not a copy of this archive\n {2}fix: rerun with --force/);
  assert.equal(readFileSync(path, "utf8"), "something else");
  assert.equal((await plugin(["cp", archive, path, "--force"], { env })).code, 0);
  assert.equal(hashOf(path), sha256);
});

clusterTest("links at the destination are not followed", async (t) => {
  const directory = await temporaryDirectory(t);
  const victim = join(directory, "victim");
  writeFileSync(victim, "untouched");
  for (const [link, expected] of [
    ["b.tar", /already exists/],
    ["c.tar.part", /it is a symbolic link/],
  ] as const) {
    symlinkSync(victim, join(directory, link));
    const { code, stderr } = await plugin(["cp", archive, join(directory, link.replace(/\.part$/, ""))], { env });
    assert.equal(code, 1);
    assert.match(stderr, expected);
    assert.equal(readFileSync(victim, "utf8"), "untouched");
  }
  assert.equal((await plugin(["cp", archive, join(directory, "b.tar"), "--force"], { env })).code, 0);
  assert.equal(readFileSync(victim, "utf8"), "untouched", "--force replaces the link, not what it points to");
});

clusterTest("names that lead out of the checkpoint directory, links in it, what is not there", async (t) => {
  const directory = await temporaryDirectory(t);
  await onNode(NODE, "sh", "-c", `ln -sf /etc/shadow ${DIRECTORY}/link.tar; mkdir -p ${DIRECTORY}/dir.tar`);
  t.after(async () => await onNode(NODE, "sh", "-c", `rm -rf ${DIRECTORY}/link.tar ${DIRECTORY}/dir.tar`));
  for (const name of ["../../../etc/shadow", "/etc/shadow", "..", "a/b.tar"]) {
    const { code, stderr } = await plugin(["cp", `${NODE}:${name}`, directory], { env });
    assert.equal(code, 2, name);
    assert.match(stderr, /: use a file name in \/var\/lib\/kubelet\/checkpoints, or its full path/);
  }
  for (const name of ["link.tar", "dir.tar", "none.tar", "$(touch x).tar", "a&b=c;d.tar"]) {
    const { code, stderr } = await plugin(["cp", `${NODE}:${name}`, directory], { env });
    assert.equal(code, 1, name);
    assert.match(stderr, /^error: .* not found/, name);
  }
  assert.deepEqual(readdirSync(directory), []);
});

clusterTest("names with odd characters", async (t) => {
  const directory = await temporaryDirectory(t);
  const odd = "odd name & 'quotes' $HOME %41 \u001b[31m é.tar";
  await onNode(NODE, "cp", archive.slice(NODE.length + 1), `${DIRECTORY}/${odd}`);
  t.after(async () => await onNode(NODE, "rm", "-f", `${DIRECTORY}/${odd}`));
  for (const image of [BUSYBOX, `${REGISTRY}/plain:1`]) {
    const { code, stdout, stderr } = await plugin(["cp", `${NODE}:${odd}`, directory, "--helper-image", image, "--force"]);
    assert.equal(code, 0, stderr);
    // oxlint-disable-next-line no-control-regex -- it is what must not be there
    assert.doesNotMatch(stdout, /\u001b/);
  }
  const name = readdirSync(directory).find((file) => file.endsWith(".tar"));
  assert.equal(hashOf(join(directory, name ?? "")), sha256);
});

clusterTest("an archive that is not finished is not copied short", async (t) => {
  const directory = await temporaryDirectory(t);
  const path = archive.slice(NODE.length + 1);
  await onNode(NODE, "sh", "-c", `{ head -c 100000 '${path}'; printf x; } >${DIRECTORY}/short.tar`);
  t.after(async () => await onNode(NODE, "rm", "-f", `${DIRECTORY}/short.tar`, `${DIRECTORY}/growing.tar`));
  const short = await plugin(["cp", `${NODE}:short.tar`, directory], { env });
  assert.equal(short.code, 1);
  assert.match(short.stderr, /^error: node1:\S+short\.tar is incomplete\n {2}why: its 100001 bytes do not end as an archive does/);
  // One that is still being written is waited for.
  const writing = onNode(NODE, "sh", "-c", `(head -c 700 '${path}'; sleep 4; tail -c +701 '${path}') >${DIRECTORY}/growing.tar`);
  await eventually(async () => (await onNode(NODE, "ls", DIRECTORY)).includes("growing.tar"), "the file");
  const { code, stderr } = await plugin(["cp", `${NODE}:growing.tar`, directory], { env });
  await writing;
  assert.equal(code, 0, stderr);
  assert.equal(hashOf(join(directory, "growing.tar")), sha256);
});

clusterTest("a helper that cannot start is explained in the events' words within seconds", async (t) => {
  const directory = await temporaryDirectory(t);
  const started = Date.now();
  const image = await plugin(["cp", archive, directory, "--helper-image", `${REGISTRY}/no-such-image:1`], { env });
  assert.equal(image.code, 1);
  assert.match(image.stderr, /^error: cannot pull the helper image \S+no-such-image:1 on node1\n {2}why: .*not found/m);
  const mount = await plugin(["cp", archive.replace(DIRECTORY, "/no/such/dir"), directory, "--checkpoint-dir", "/no/such/dir"], { env });
  assert.match(mount.stderr, /^error: checkpoint directory \/no\/such\/dir not found on node1\n {2}why: MountVolume\.SetUp failed/m);
  assert.ok(Date.now() - started < 30_000, `${Date.now() - started} ms`);
  const node = await plugin(["cp", "nowhere:a.tar", directory], { env });
  assert.equal(node.code, 1);
  assert.match(node.stderr, /nowhere/);
  assert.deepEqual(await helpersLeft(), []);
});

clusterTest("no room here, a directory that is not there", async (t) => {
  const directory = await temporaryDirectory(t);
  const small = join(directory, "small");
  mkdirSync(small);
  assert.equal((await run("mount", ["-t", "tmpfs", "-o", "size=100k", "tmpfs", small])).code, 0);
  const full = await plugin(["cp", archive, small], { env });
  await run("umount", [small]);
  assert.equal(full.code, 1);
  assert.match(full.stderr, /^error: not enough space for \S+\n {2}why: it needs \d+ KiB; \d+\S* \wi?B are free/);
  const nowhere = await plugin(["cp", archive, join(directory, "none/")], { env });
  assert.deepEqual([nowhere.code, existsSync(join(directory, "none"))], [2, false]);
});
