// --volumes on the real cluster: emptyDirs on disk and in memory, hostile names and links, beside what the container itself says of them.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import type { CheckpointList } from "../../src/model/documents.ts";
import {
  apply,
  BUSYBOX,
  clusterTest,
  container,
  kubectl,
  NO_CLUSTER,
  onNode,
  ownNamespace,
  plugin,
  pod,
  running,
  setUp,
  shareCluster,
  temporaryDirectory,
} from "./harness.ts";

shareCluster();

const namespace = ownNamespace("e2e-volumes");
const NODE = "node1";
const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX, KUBECTL_CHECKPOINT_HELPER_NAMESPACE: namespace };
const WAIT = "while true; do sleep 1; done";
/** What is in the volumes and is not to be followed is on the node, outside. */
const OUTSIDE = "SECRET-of-the-node-4711";

const MAKE = `cd /data
echo kept >plain; printf b >"odd
name"; printf raw >"$(printf 'b\\377d')"; : >-n; mkdir -p d/e/f "with space"; echo deep-in-volume >d/e/f/g
ln -s /outside-4711 out; ln -s ../../../../../../../outside-4711 up; ln -s /proc/1/environ proc; ln -s "to
two" odd-link; ln plain hard
mkfifo fifo; mknod device c 1 3; nc -lU socket 2>/dev/null &
head -c 3000000 /dev/urandom >large; mkdir -m 0 closed; echo in >closed/x; echo memory >/memory/kept; echo part >sub/file
sha256sum large; echo ready
${WAIT}`;

function volumePod(name: string, command: string, more: readonly object[] = []): object {
  const mounts = [
    { name: "data", mountPath: "/data" },
    { name: "memory", mountPath: "/memory" },
    { name: "data", mountPath: "/part", subPath: "sub" },
    { name: "settings", mountPath: "/settings" },
  ];
  return pod(namespace, name, [{ ...container("c", command), volumeMounts: mounts }], {
    node: NODE,
    spec: {
      volumes: [
        { name: "data", emptyDir: {} },
        { name: "memory", emptyDir: { medium: "Memory", sizeLimit: "16Mi" } },
        { name: "settings", configMap: { name: "kube-root-ca.crt" } },
        ...more,
      ],
    },
  });
}

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    await onNode(NODE, "sh", "-c", `echo ${OUTSIDE} >/outside-4711`);
    await apply(volumePod("kept", MAKE), pod(namespace, "without", [container("c", WAIT)], { node: NODE }));
    await running(namespace, "kept", "without");
  });
}

clusterTest(
  "--volumes: emptyDirs on disk and in memory, every name, links as links, special files by kind; read, verified, sealed",
  async (t) => {
    const directory = await temporaryDirectory(t);
    const key = join(await temporaryDirectory(t), "key");
    execFileSync("openssl", ["genpkey", "-algorithm", "ed25519", "-out", key]);
    execFileSync("openssl", ["pkey", "-in", key, "-pubout", "-out", `${key}.pub`]);
    const flags = ["--volumes", "--sign-key", key, "--custody", join(directory, "custody.jsonl"), "--prove", "0", "-o", "json"];
    const { code, stdout, stderr } = await plugin(["kept", "-n", namespace, `--copy=${directory}/`, ...flags], { env });
    assert.equal(code, 0, stderr);
    const [item] = (JSON.parse(stdout) as CheckpointList).items;
    const path = join(directory, "kept.volumes.tar");
    const bytes = readFileSync(path);
    assert.deepEqual([item?.volumes?.path, item?.volumes?.names], [path, ["data", "memory"]]);
    assert.equal(item?.volumes?.sha256, createHash("sha256").update(bytes).digest("hex"));
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.ok(!bytes.includes(OUTSIDE) && !bytes.includes("BEGIN CERTIFICATE"), "neither the node's files nor a configMap");
    assert.match(stderr, /warning: volumes of pod\/kept: not included as they were: .*FIFOs: 1/);
    assert.deepEqual([item?.volumes?.leftOut["fifo"], item?.volumes?.leftOut["device"]], [1, 1]);
    const archive = item?.copy?.path ?? "";
    const read = async (file: string): Promise<string> => (await plugin(["extract", archive, file, "--to", "-"], { env })).stdout;
    assert.deepEqual(
      [await read("/data/d/e/f/g"), await read("/part/file"), await read("/memory/kept"), await read("volume:data/closed/x")],
      ["deep-in-volume\n", "part\n", "memory\n", "in\n"],
    );
    assert.deepEqual([await read("/data/odd\\x0aname"), await read("/data/b\\xffd")], ["b", "raw"]);
    const large = join(await temporaryDirectory(t), "large");
    assert.equal((await plugin(["extract", archive, "/data/large", "--to", large], { env })).code, 0);
    const said = (await kubectl("logs", "-n", namespace, "kept")).stdout.split(" ")[0];
    assert.equal(createHash("sha256").update(readFileSync(large)).digest("hex"), said);
    assert.match((await plugin(["search", archive, "deep-in-volume", "--in", "files"], { env })).stdout, /^\/data\/d\/e\/f\/g byte 0x0/m);
    const listed = execFileSync("tar", ["-tvf", path], { encoding: "utf8" });
    assert.match(listed, /data\/up -> (\.\.\/)+outside-4711/);
    // In the record, signed, and in the custody file.
    assert.equal((await plugin(["seal", directory, "--sign-key", key], { env })).code, 0);
    const verified = await plugin(["verify", directory, "--key", `${key}.pub`], { env });
    assert.equal(verified.code, 0, verified.stdout);
    assert.match(verified.stdout, /volumes ok: kept\.volumes\.tar has the SHA-256 of the record/);
    assert.match(readFileSync(join(directory, "custody.jsonl"), "utf8"), /"action":"checkpoint","object":"kept\.volumes\.tar"/);
    const record = JSON.parse(readFileSync(item?.copy?.record ?? "", "utf8")) as { record: { volumes: { leftOut: { path: string }[] } } };
    assert.ok(record.record.volumes.leftOut.some(({ path: one }) => one === "data/fifo"));
    rmSync(path);
    const without = await plugin(["verify", archive, "--key", `${key}.pub`], { env });
    assert.equal(without.code, 1);
    assert.match(without.stdout, /kept\.volumes\.tar, which was copied with it, is missing/);
  },
);

clusterTest("--volumes --encrypt-to, some of them, again into the same directory; nothing of them in plain", async (t) => {
  const directory = await temporaryDirectory(t);
  const secret = await generateX25519Identity();
  const identity = join(await temporaryDirectory(t), "identity");
  writeFileSync(identity, `${secret}\n`);
  const words = ["kept", "-n", namespace, `--copy=${directory}/`, "--volumes=data", "--encrypt-to", await identityToRecipient(secret)];
  for (let turn = 0; turn < 2; turn += 1) {
    const { code, stderr } = await plugin([...words, "--prove", "0"], { env });
    assert.equal(code, 0, stderr);
  }
  const files = readdirSync(directory);
  const volumes = files.filter((name) => /^kept(-[\dTZ-]+)?\.volumes\.tar\.age$/.test(name));
  assert.deepEqual([volumes.length, files.filter((name) => name.endsWith(".part"))], [2, []]);
  for (const name of files) assert.ok(!readFileSync(join(directory, name)).includes("deep-in-volume"), name);
  const archive = join(directory, files.find((name) => name.endsWith(".tar.age") && !name.includes(".volumes.")) ?? "");
  const { stdout, stderr } = await plugin(["extract", archive, "/data/d/e/f/g", "--to", "-", "--identity", identity], { env });
  assert.equal(stdout, "deep-in-volume\n", stderr);
});

clusterTest("--volumes: refused before the freeze; a pod without; what would be created", async (t) => {
  const directory = await temporaryDirectory(t);
  const copy = `--copy=${directory}/`;
  const failure = async (...words: string[]): Promise<string> => {
    const { code, stderr } = await plugin(["kept", "-n", namespace, ...words], { env });
    assert.equal(code, 2, stderr);
    return stderr;
  };
  assert.match(await failure(copy, "--volumes=settings"), /volume settings of pod\/kept is not an emptyDir \(configMap\)/);
  assert.match(await failure(copy, "--volumes=nope"), /no volume nope in the pod\n {2}fix: emptyDirs: data, memory/);
  assert.match(await failure("--volumes"), /--volumes requires --copy/);
  assert.deepEqual(readdirSync(directory), []);
  const without = await plugin(["without", "-n", namespace, copy, "--volumes", "--prove", "0", "-o", "json"], { env });
  assert.equal(without.code, 0, without.stderr);
  assert.match(without.stderr, /pod\/without: no emptyDir volumes/);
  assert.equal((JSON.parse(without.stdout) as CheckpointList).items[0]?.volumes, undefined);
  const dry = await plugin(["kept", "-n", namespace, copy, "--volumes=memory", "--dry-run=server", "-o", "yaml"], { env });
  assert.equal(dry.code, 0, dry.stderr);
  assert.match(dry.stdout, /path: \/var\/lib\/kubelet\/pods\/[-0-9a-f]+\/volumes\/kubernetes\.io~empty-dir\/memory/);
  assert.doesNotMatch(dry.stdout, /empty-dir\/data/);
});

clusterTest(
  "1 GiB is asked about, and brought whole",
  async (t) => {
    if (process.env["FULL"] === undefined) return t.skip("only with FULL");
    const fill = `cd /data; head -c 1200000000 /dev/urandom >large; sha256sum large; echo ready; ${WAIT}`;
    await apply(volumePod("large", fill));
    await running(namespace, "large");
    let log = "";
    while (!log.includes("ready")) log = (await kubectl("logs", "-n", namespace, "large")).stdout;
    const directory = await temporaryDirectory(t);
    const words = ["large", "-n", namespace, `--copy=${directory}/`, "--volumes", "--prove", "0", "-o", "json"];
    const refused = await plugin(words, { env });
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /the volumes (to copy have|of pod\/large were not copied: they have) (about )?1\.1 GiB/);
    const { code, stdout, stderr } = await plugin([...words, "--yes"], { env });
    assert.equal(code, 0, stderr);
    const path = (JSON.parse(stdout) as CheckpointList).items[0]?.volumes?.path ?? "";
    const hash = execFileSync("sh", ["-c", `tar -xOf '${path}' data/large | sha256sum`], { encoding: "utf8" });
    assert.equal(hash.split(" ")[0], log.split(" ")[0]);
  },
  { timeout: 600_000 },
);
