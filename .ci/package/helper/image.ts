import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { constants, zstdCompressSync } from "node:zlib";
import { Header } from "tar";
import { ownLayer, packagesLayer } from "./layer.ts";
import { LOCK, type Lock } from "./lock.ts";
import { ARCHITECTURES } from "./packages.ts";

/** The helper image of all architectures, as an OCI archive. */
export interface HelperImage {
  /** Of the index. */
  readonly digest: string;
  readonly archive: Buffer;
}

interface Blob {
  readonly digest: string;
  readonly bytes: Buffer;
}

const TYPE = "application/vnd.oci.image";
const DESCRIPTION = "CRIU and the tools of kubectl checkpoint's helper pods and sandboxes";

/** A layer's tar by the digest of its bytes, and those bytes compressed. */
export interface PackedLayer {
  readonly diffId: string;
  readonly packed: Buffer;
}

/**
 * Built of the packages in packages.json and the files in src/sandbox/image/root. The same ones give the same bytes on every machine: zstd's
 * output depends on its version alone, which Node.js brings along (gzip's depends on the processor). `kept` may remember what it makes.
 */
export async function helperImage(
  kept: (name: string, make: () => Promise<PackedLayer>) => Promise<PackedLayer> = async (_name, make) => await make(),
): Promise<HelperImage> {
  const lock = JSON.parse(await readFile(LOCK, "utf8")) as Lock;
  const blobs: Blob[] = [];
  const manifests = [];
  const own = packed(await ownLayer());
  for (const architecture of ARCHITECTURES) {
    const packages = await kept(architecture, async () => packed(await packagesLayer(lock, architecture)));
    const layers = [packages, own].map((layer) => ({ diffId: layer.diffId, ...blob(layer.packed) }));
    const config = json({
      created: lock.date,
      architecture,
      os: "linux",
      config: { Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], Cmd: ["sh"], Labels: LABELS },
      rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
      history: [
        { created: lock.date, created_by: "npm run package", comment: `packages of Debian ${lock.suite}` },
        { created: lock.date, created_by: "npm run package", comment: "kubectl checkpoint" },
      ],
    });
    const manifest = json({
      schemaVersion: 2,
      mediaType: `${TYPE}.manifest.v1+json`,
      config: { mediaType: `${TYPE}.config.v1+json`, digest: config.digest, size: config.bytes.length },
      layers: layers.map(({ digest, bytes }) => ({ mediaType: `${TYPE}.layer.v1.tar+zstd`, digest, size: bytes.length })),
      annotations: LABELS,
    });
    blobs.push(...layers, config, manifest);
    const platform = { architecture, os: "linux" };
    manifests.push({ mediaType: `${TYPE}.manifest.v1+json`, digest: manifest.digest, size: manifest.bytes.length, platform });
  }
  const index = json({ schemaVersion: 2, mediaType: `${TYPE}.index.v1+json`, manifests, annotations: LABELS });
  const all = new Map([...blobs, index].map((one) => [one.digest, one]));
  return { digest: index.digest, archive: archiveOf(index, [...all.values()]) };
}

function packed(tar: Buffer): PackedLayer {
  return { diffId: blob(tar).digest, packed: zstdCompressSync(tar, { params: { [constants.ZSTD_c_compressionLevel]: 12 } }) };
}

const LABELS = {
  "org.opencontainers.image.title": "kubectl-checkpoint helper",
  "org.opencontainers.image.description": DESCRIPTION,
  "org.opencontainers.image.source": "https://github.com/kubectl-checkpoint/kubectl-checkpoint",
  "org.opencontainers.image.licenses": "GPL-2.0-only AND GPL-2.0-or-later AND GPL-3.0-or-later AND LGPL-2.1-or-later AND Apache-2.0",
  "org.opencontainers.image.documentation": "https://github.com/kubectl-checkpoint/kubectl-checkpoint/blob/main/docs/sandbox.md",
};

/** An OCI layout as one tar, the index as its only image. */
function archiveOf(index: Blob, blobs: readonly Blob[]): Buffer {
  const descriptor = { mediaType: `${TYPE}.index.v1+json`, digest: index.digest, size: index.bytes.length };
  const files: [string, Buffer][] = [
    ["oci-layout", Buffer.from('{"imageLayoutVersion":"1.0.0"}')],
    ["index.json", json({ schemaVersion: 2, mediaType: `${TYPE}.index.v1+json`, manifests: [descriptor] }).bytes],
    ...blobs.map(({ digest, bytes }): [string, Buffer] => [`blobs/${digest.replace(":", "/")}`, bytes]),
  ];
  const pieces = files.flatMap(([path, bytes]) => {
    const header = Buffer.alloc(512);
    new Header({ path, type: "File", mode: 0o644, size: bytes.length, uid: 0, gid: 0, mtime: new Date(0) }).encode(header);
    return [header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)];
  });
  return Buffer.concat([...pieces, Buffer.alloc(1024)]);
}

function json(value: object): Blob {
  return blob(Buffer.from(JSON.stringify(value)));
}

function blob(bytes: Buffer): Blob {
  return { digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}`, bytes };
}
