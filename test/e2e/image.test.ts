// Images on the real registries, read back by skopeo and containerd.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { ImageDocument } from "../../src/model/restoration.ts";
import { TAR_END, tarHeader } from "../archive/tars.ts";
import { clusterTest, onNode, plugin, REGISTRY, run, shareCluster, temporaryDirectory } from "./harness.ts";
import { cuttingProxy, ownRegistry } from "./registries.ts";
import { CA, skopeo } from "./skopeo.ts";

shareCluster();

const ARCHIVES = join(import.meta.dirname, "../data/archives");
const RAW = join(ARCHIVES, "containerd-a.tar");
const PRIVATE = REGISTRY.replace(/:\d+$/, ":5001");
const MIB = 2 ** 20;

/** A name that no run has used. */
function fresh(name: string): string {
  return `e2e/${name}-${process.pid}-${Date.now()}`;
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function skopeoRun(...args: string[]): Promise<string> {
  const [command, ...before] = skopeo();
  const { code, stdout, stderr } = await run(command, [...before, "--insecure-policy", ...args], { env: { SSL_CERT_FILE: CA } });
  assert.equal(code, 0, stderr);
  return stdout;
}

/** A user with a home of their own, so that nothing is known from before. */
async function user(t: Parameters<Parameters<typeof clusterTest>[1]>[0]) {
  const home = await temporaryDirectory(t);
  const image = async (args: readonly string[]) => await plugin(["image", ...args], { env: { HOME: home } });
  return { home, image };
}

async function pushed(
  image: (args: readonly string[]) => ReturnType<typeof plugin>,
  file: string,
  reference: string,
  ...more: string[]
): Promise<ImageDocument> {
  const { code, stdout, stderr } = await image([file, reference, "--push", "--yes", "--ca-file", CA, "-o", "json", ...more]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as ImageDocument;
}

clusterTest("raw, gzip and zstd layers: skopeo reads each back from the registry, byte for byte", async (t) => {
  const { home, image } = await user(t);
  const plain = readFileSync(RAW);
  for (const compression of ["none", "gzip", "zstd"]) {
    const reference = `${REGISTRY}/${fresh(compression)}:1`;
    const { digest, bytes } = await pushed(image, RAW, reference, "--compress", compression);
    const inspected = JSON.parse(await skopeoRun("inspect", `docker://${reference}`)) as { Digest: string; Architecture: string };
    assert.deepEqual([inspected.Digest, inspected.Architecture], [digest, "amd64"]);
    const layout = join(home, compression);
    await skopeoRun("copy", "--quiet", "--preserve-digests", `docker://${reference}`, `oci:${layout}`);
    const config = JSON.parse(await skopeoRun("inspect", "--config", `oci:${layout}`)) as { rootfs: { diff_ids: string[] } };
    assert.deepEqual(config.rootfs.diff_ids, [`sha256:${sha256(plain)}`]);
    const blobs = readdirSync(join(layout, "blobs/sha256")).map((name) => readFileSync(join(layout, "blobs/sha256", name)));
    assert.ok(blobs.some((blob) => blob.length === bytes));
    if (compression === "none") assert.ok(blobs.some((blob) => blob.equals(plain)));
  }
});

clusterTest("a layout and an OCI archive: skopeo and containerd read them", async (t) => {
  const { home, image } = await user(t);
  const name = `dumps.local/${fresh("import")}:1`;
  const layout = join(home, "layout");
  assert.equal((await image([RAW, name, "--to", `oci:${layout}`])).code, 0);
  await skopeoRun("copy", "--quiet", `oci:${layout}:${name}`, `oci-archive:${join(home, "copy.tar")}`);
  const podman = join(home, "podman.tar");
  assert.equal((await image([join(ARCHIVES, "podman-zstd.tar.zst"), name, "--to", `oci-archive:${podman}`])).code, 0);
  await skopeoRun("inspect", `oci-archive:${podman}`);
  const file = join(home, "image.tar");
  const { code, stdout } = await image([RAW, name, "--to", `oci-archive:${file}`, "-o", "json"]);
  assert.equal(code, 0);
  const { digest } = JSON.parse(stdout) as ImageDocument;
  const imported = await run(
    "sh",
    ["-c", `test/cluster/cluster node-shell node1 -- ctr -n e2e-image images import --all-platforms - <'${file}'`],
    { cwd: join(import.meta.dirname, "../..") },
  );
  assert.equal(imported.code, 0, imported.stderr);
  const listed = await onNode("node1", "ctr", "-n", "e2e-image", "images", "ls");
  assert.ok(listed.includes(name) && listed.includes(digest), listed);
  await onNode("node1", "ctr", "-n", "e2e-image", "images", "rm", name);
});

clusterTest("straight from a pipe, and by digest what is there already", async (t) => {
  const { home } = await user(t);
  const reference = `${REGISTRY}/${fresh("pipe")}:1`;
  const piped = await run("sh", ["-c", `kubectl checkpoint image - ${reference} --push --yes --ca-file ${CA} -o name <${RAW}`], {
    env: { HOME: home },
  });
  assert.equal(piped.code, 0, piped.stderr);
  const pinned = piped.stdout.trim();
  assert.match(pinned, new RegExp(`^${reference.replace(/:1$/, "")}@sha256:[0-9a-f]{64}$`));
  const again = await plugin(["image", RAW, pinned, "--push", "--yes", "--ca-file", CA], { env: { HOME: home } });
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stdout, /; the registry already has it/);
});

clusterTest("the first push to a reference wants a yes, the next ones do not", async (t) => {
  const { image } = await user(t);
  const reference = `${REGISTRY}/${fresh("consent")}:1`;
  const asked = await image([RAW, reference, "--push", "--ca-file", CA]);
  assert.equal(asked.code, 2);
  assert.match(
    asked.stderr,
    /this would push the first checkpoint to .*\n {2}why: it is a memory dump with passwords and keys.*\n {2}fix: rerun with --yes to confirm/,
  );
  await pushed(image, RAW, reference);
  assert.equal((await image([RAW, reference, "--push", "--ca-file", CA])).code, 0);
  const busybox = await image([RAW, `${REGISTRY}/busybox:1`, "--push", "--ca-file", CA]);
  assert.equal(busybox.code, 2);
  assert.match(busybox.stderr, /an image that is not a checkpoint would be replaced/);
  const open = await image([RAW, "quay.io/team/dump:1", "--push", "--yes"]);
  assert.equal(open.code, 2);
  assert.match(open.stderr, /is in a public registry\n.*\n.*--allow-public/);
});

clusterTest("the private registry: no login, a wrong one, the right one; an unknown CA", async (t) => {
  const { home, image } = await user(t);
  const reference = `${PRIVATE}/${fresh("private")}:1`;
  mkdirSync(join(home, ".docker"));
  const login = (password: string): void =>
    writeFileSync(
      join(home, ".docker/config.json"),
      JSON.stringify({ auths: { [PRIVATE]: { auth: Buffer.from(`test:${password}`).toString("base64") } } }),
    );
  const none = await image([RAW, reference, "--push", "--yes", "--ca-file", CA]);
  assert.match(none.stderr, new RegExp(`^error: the registry ${PRIVATE} requires a login\n.*\n {2}fix: docker login ${PRIVATE}`));
  login("wrong");
  const wrong = await image([RAW, reference, "--push", "--yes", "--ca-file", CA]);
  assert.equal(wrong.code, 1);
  assert.match(
    wrong.stderr,
    new RegExp(`^error: the registry ${PRIVATE} does not accept the login of test from ${home}/.docker/config.json`),
  );
  assert.ok(!wrong.stderr.includes("wrong\n"));
  login("test-password");
  assert.equal((await pushed(image, RAW, reference)).pushed, true);
  const untrusted = await image([RAW, reference, "--push", "--yes"]);
  assert.match(
    untrusted.stderr,
    /is not signed by an authority that this machine trusts\n.*\n {2}fix: give the certificate of its CA: --ca-file FILE/,
  );
  const logged = await image([RAW, reference, "--push", "--yes", "--ca-file", CA, "-v=8"]);
  assert.match(logged.stderr, /authorization: Basic <masked>/);
});

/** A checkpoint of so many MiB. */
function bigArchive(path: string, mebibytes: number): Buffer {
  const real = readFileSync(RAW);
  let end = real.length;
  while (real[end - 1] === 0) end -= 1;
  const head = real.subarray(0, Math.ceil(end / 512) * 512);
  const file = openSync(path, "w", 0o600);
  const parts = [
    head,
    tarHeader({ name: "checkpoint/pages-9.img", size: mebibytes * MIB }),
    Buffer.alloc(mebibytes * MIB, "pages "),
    TAR_END,
  ];
  for (const part of parts) writeSync(file, part);
  closeSync(file);
  return Buffer.concat(parts);
}

clusterTest("two cuts between pieces: it goes on, and sends nothing twice", async (t) => {
  const { home, image } = await user(t);
  const registry = await ownRegistry(t, 5011, 600);
  const file = join(home, "big.tar");
  const bytes = bigArchive(file, 150);
  const proxy = await cuttingProxy(t, registry, "between", [2, 4]);
  const { code, stdout, stderr } = await image([file, `${proxy.address}/a:1`, "--push", "--yes", "--plain-http", "-o", "json"]);
  assert.equal(code, 0, stderr);
  assert.equal((JSON.parse(stdout) as ImageDocument).sentBytes, bytes.length);
  assert.ok(proxy.sent() < bytes.length + 32 * MIB, `${proxy.sent()} bytes for ${bytes.length}`);
  assert.ok(!/starting again/.test(stderr));
  const blob = await fetch(`http://${registry}/v2/a/blobs/sha256:${sha256(bytes)}`);
  assert.equal(blob.status, 200);
  assert.equal(Number(blob.headers.get("content-length")), bytes.length);
  await blob.body?.cancel();
});

clusterTest(
  "two cuts in the middle of pieces: the upload is lost, begun again, and completed",
  async (t) => {
    const { home, image } = await user(t);
    const registry = await ownRegistry(t, 5012, 900);
    const file = join(home, "big.tar");
    const bytes = bigArchive(file, 100);
    const proxy = await cuttingProxy(t, registry, "middle", [50 * MIB, 20 * MIB]);
    const { code, stderr } = await image([file, `${proxy.address}/a:1`, "--push", "--yes", "--plain-http"]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /warning: the upload of the layer was lost \(.*\): starting again/);
    const blob = Buffer.from(await (await fetch(`http://${registry}/v2/a/blobs/sha256:${sha256(bytes)}`)).arrayBuffer());
    assert.equal(sha256(blob), sha256(bytes));
  },
  { full: true },
);

clusterTest("a registry without space says so", async (t) => {
  const { home, image } = await user(t);
  const registry = await ownRegistry(t, 5013, 10);
  const file = join(home, "big.tar");
  bigArchive(file, 40);
  const { code, stderr } = await image([file, `${registry}/a:1`, "--push", "--yes", "--plain-http"]);
  assert.equal(code, 1);
  assert.match(stderr, new RegExp(`^error: the registry ${registry} has no space left\n`));
});
