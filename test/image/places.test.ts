// Runs on Linux and macOS only: it looks at file modes.
// What --to writes: a layout and an archive of one, and what is left where it fails.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Budget } from "../../src/archive/budget.ts";
import { bufferSource } from "../../src/archive/sources.ts";
import { indexTar } from "../../src/archive/tar/index.ts";
import { buildImage } from "../../src/flows/restore/image/build.ts";
import { digestOf } from "./fake-registry.ts";
import { context } from "../fakes.ts";
import { archiveBytes, sample } from "./samples.ts";

const ARCHIVE = sample("containerd-a.tar");

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "kubectl-checkpoint-test-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

async function build(t: TestContext, kind: "oci" | "oci-archive", path: string, reference = "reg.local/a:1", bytes = ARCHIVE) {
  const archive = archiveBytes(bytes);
  return await buildImage(context(t.signal), { archive, compression: undefined, origin: {}, reference, to: { kind, path } });
}

interface Index {
  readonly manifests: { digest: string; size: number; annotations: Record<string, string> }[];
}

test("a layout: every blob is its digest, only the user can read it", async (t) => {
  const layout = join(folder(t), "layout");
  const { digest, bytes } = await build(t, "oci", layout);
  assert.equal(bytes, ARCHIVE.length);
  assert.equal(readFileSync(join(layout, "oci-layout"), "utf8"), '{"imageLayoutVersion":"1.0.0"}');
  const index = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")) as Index;
  assert.deepEqual(
    index.manifests.map((one) => [one.digest, one.annotations["org.opencontainers.image.ref.name"]]),
    [[digest, "reg.local/a:1"]],
  );
  const blobs = readdirSync(join(layout, "blobs/sha256"));
  assert.equal(blobs.length, 3);
  for (const blob of blobs) assert.equal(digestOf(readFileSync(join(layout, "blobs/sha256", blob))), `sha256:${blob}`);
  for (const file of [...blobs.map((blob) => `blobs/sha256/${blob}`), "index.json", "oci-layout"]) {
    assert.equal(statSync(join(layout, file)).mode & 0o777, 0o600, file);
  }
  assert.equal(statSync(layout).mode & 0o777, 0o700);
});

test("a layout that is there gets another image, and one of the same name is replaced", async (t) => {
  const layout = join(folder(t), "layout");
  await build(t, "oci", layout, "reg.local/a:1");
  await build(t, "oci", layout, "reg.local/b:1");
  const { digest } = await build(t, "oci", layout, "reg.local/a:1", sample("crio-1.34.11-criu4.2.1.tar"));
  const { manifests } = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")) as Index;
  assert.deepEqual(
    manifests.map(({ annotations }) => annotations["io.containerd.image.name"]),
    ["reg.local/b:1", "reg.local/a:1"],
  );
  assert.equal(manifests[1]?.digest, digest);
});

test("a directory with other things is refused; a failure leaves nothing of the layer", async (t) => {
  const directory = folder(t);
  writeFileSync(join(directory, "precious"), "x");
  await assert.rejects(build(t, "oci", directory), { reason: "DestinationUnusable" });
  assert.deepEqual(readdirSync(directory), ["precious"]);
  const layout = join(directory, "layout");
  await assert.rejects(build(t, "oci", layout, "reg.local/a:1", ARCHIVE.subarray(0, 100_000)), { reason: "ArchiveUnfinished" });
  assert.deepEqual(readdirSync(join(layout, "blobs/sha256")), []);
  assert.ok(!readdirSync(layout).some((name) => name.startsWith(".partial")));
});

test("an OCI archive is a tar of the same layout", async (t) => {
  const directory = folder(t);
  const path = join(directory, "image.tar");
  const { digest } = await build(t, "oci-archive", path);
  assert.deepEqual(readdirSync(directory), ["image.tar"]);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const archive = await indexTar(bufferSource(readFileSync(path)), { label: path, budget: new Budget() });
  assert.ok(archive.complete);
  assert.deepEqual(archive.problems, []);
  const read = async (name: string): Promise<Buffer> => {
    const source = archive.open(name);
    return await source.read(0, source.size);
  };
  const { manifests } = JSON.parse((await read("index.json")).toString()) as Index;
  assert.equal(manifests[0]?.digest, digest);
  for (const name of archive.members.keys()) {
    if (name.startsWith("blobs/")) assert.equal(digestOf(await read(name)), name.replace("blobs/sha256/", "sha256:"));
  }
  assert.ok((await read(`blobs/${digestOf(ARCHIVE).replace(":", "/")}`)).equals(ARCHIVE));
});

test("an OCI archive replaces nothing, and a failure leaves nothing", async (t) => {
  const directory = folder(t);
  const path = join(directory, "image.tar");
  writeFileSync(path, "mine");
  await assert.rejects(build(t, "oci-archive", path), { reason: "AlreadyExists" });
  assert.equal(readFileSync(path, "utf8"), "mine");
  await assert.rejects(build(t, "oci-archive", join(directory, "b.tar"), "x:1", ARCHIVE.subarray(0, 70_000)), {
    reason: "ArchiveUnfinished",
  });
  assert.deepEqual(readdirSync(directory), ["image.tar"]);
  mkdirSync(join(directory, "sub"));
  await assert.rejects(build(t, "oci-archive", join(directory, "none/x.tar")), { reason: "DestinationUnusable" });
});
