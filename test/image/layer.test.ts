import assert from "node:assert/strict";
import { test } from "node:test";
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { imageFacts } from "../../src/flows/restore/image/facts.ts";
import { checkpointImage, POD_ANNOTATION } from "../../src/image/manifest.ts";
import { digestOf } from "./fake-registry.ts";
import { archiveBytes, layerOf, sample } from "./samples.ts";

const CONTAINERD = sample("containerd-a.tar");
const ORIGINALS = {
  containerd: { file: CONTAINERD, plain: CONTAINERD, compression: "none" },
  "cri-o": { file: sample("crio-1.34.11-criu4.2.1.tar"), plain: sample("crio-1.34.11-criu4.2.1.tar"), compression: "none" },
  podman: { file: sample("podman-zstd.tar.zst"), plain: zstdDecompressSync(sample("podman-zstd.tar.zst")), compression: "zstd" },
  "podman, gzip": {
    file: sample("podman-5.4.2-criu4.1.1-oldpagemap.tar.gz"),
    plain: gunzipSync(sample("podman-5.4.2-criu4.1.1-oldpagemap.tar.gz")),
    compression: "gzip",
  },
} as const;

for (const [name, { file, plain, compression }] of Object.entries(ORIGINALS)) {
  test(`${name}: the layer is the file byte for byte, both digests right`, async () => {
    const { layer, blob, archiveDigest, facts } = await layerOf(file);
    assert.ok(blob.equals(file));
    assert.deepEqual(layer, { compression, digest: digestOf(file), bytes: file.length, diffId: digestOf(plain) });
    assert.equal(archiveDigest, digestOf(file));
    assert.equal(facts.architecture, "amd64");
    assert.equal(facts.info.engine, name.replace(/,.*/, ""));
  });

  test(`${name}: compressed otherwise, the diff_id stays that of the plain archive`, async () => {
    const expand = { none: (bytes: Buffer) => bytes, gzip: gunzipSync, zstd: zstdDecompressSync };
    for (const wanted of ["none", "gzip", "zstd"] as const) {
      const { layer, blob } = await layerOf(file, wanted);
      assert.ok(expand[wanted](blob).equals(plain), wanted);
      assert.deepEqual(layer, { compression: wanted, digest: digestOf(blob), bytes: blob.length, diffId: digestOf(plain) });
    }
  });
}

test("what is no archive, no checkpoint, cut short or damaged makes no layer", async () => {
  await assert.rejects(layerOf(Buffer.alloc(0)), { reason: "NotAnArchive" });
  await assert.rejects(layerOf(Buffer.from("hello, this is a text and not an archive".repeat(50))), { reason: "NotAnArchive" });
  await assert.rejects(layerOf(Buffer.alloc(10_240)), { reason: "NotACheckpoint" });
  await assert.rejects(layerOf(CONTAINERD.subarray(0, 100_000)), { reason: "ArchiveUnfinished" });
  await assert.rejects(layerOf(gzipSync(CONTAINERD).subarray(0, 30_000)), { reason: "ArchiveUnfinished", why: /cut/ as unknown as string });
  const damaged = zstdCompressSync(CONTAINERD);
  damaged.fill(0x55, 20_000, 20_100);
  await assert.rejects(layerOf(damaged), { reason: /^Archive(Damaged|Truncated|Unfinished)$/ as unknown as string });
});

test("a sink that fails ends the reading", async () => {
  const { writeLayer } = await import("../../src/image/layer.ts");
  for (const compression of [undefined, "zstd"] as const) {
    let read = 0;
    const archive = {
      ...archiveBytes(CONTAINERD),
      async *open() {
        for (let at = 0; at < CONTAINERD.length; at += 10_000) {
          read += 1;
          yield CONTAINERD.subarray(at, at + 10_000);
        }
      },
    };
    const sink = { write: async () => await Promise.reject(new Error("full")) };
    const facts = async () => await Promise.resolve(0);
    await assert.rejects(
      writeLayer({ archive, compression, sink, keep: () => false, facts, signal: new AbortController().signal }),
      /full/,
    );
    assert.ok(read < 60, `${read} pieces`);
  }
});

test("an image has what each engine looks for, a config of its own, and the pod it came from", async () => {
  const { layer, facts } = await layerOf(CONTAINERD);
  const pod = {
    metadata: { name: "a", namespace: "b", uid: "c", managedFields: [1] },
    spec: { containers: [{ name: "counter" }] },
    status: { phase: "Running" },
  };
  const image = checkpointImage(layer, imageFacts(facts, { pod, kernel: "6.1.0" }));
  const manifest = JSON.parse(image.manifest.bytes.toString()) as {
    annotations: Record<string, string>;
    config: { digest: string };
    layers: object[];
  };
  const name = facts.info.container ?? "";
  assert.equal(manifest.annotations["org.criu.checkpoint.container.name"], name);
  assert.equal(manifest.annotations["io.kubernetes.cri-o.annotations.checkpoint.name"], name);
  assert.equal(manifest.annotations["io.podman.annotations.checkpoint.runtime.name"], "runc");
  assert.equal(manifest.annotations["org.criu.checkpoint.host.kernel"], "6.1.0");
  assert.equal(manifest.annotations["org.criu.checkpoint.pod.name"], undefined, "CRI-O takes that for a pod's checkpoint");
  assert.deepEqual(JSON.parse(manifest.annotations[POD_ANNOTATION] ?? ""), {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "a", namespace: "b", annotations: {} },
    spec: pod.spec,
  });
  assert.deepEqual(manifest.layers, [{ mediaType: "application/vnd.oci.image.layer.v1.tar", digest: layer.digest, size: layer.bytes }]);
  const config = JSON.parse(image.config.bytes.toString()) as { architecture: string; created: string; rootfs: { diff_ids: string[] } };
  assert.equal(manifest.config.digest, digestOf(image.config.bytes));
  assert.deepEqual([config.architecture, config.created, config.rootfs.diff_ids], ["amd64", facts.info.checkpointedAt, [layer.diffId]]);
  assert.equal(
    checkpointImage(layer, imageFacts(facts, { pod, kernel: "6.1.0" })).manifest.digest,
    image.manifest.digest,
    "the same from the same",
  );
  assert.notEqual(checkpointImage(layer, imageFacts(facts, {})).config.digest, image.config.digest, "other annotations, another config");
});
