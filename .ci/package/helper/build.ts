// node .ci/package/helper/build.ts: builds the helper image, and writes its digest to src/helper/image.ts, by which the executable knows it.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { helperImage } from "./image.ts";

const root = join(import.meta.dirname, "../../..");
const CACHE = join(root, "node_modules/.cache/kubectl-checkpoint/helper-image");
const RECORD = join(root, "src/helper/image.ts");
const DIGEST = /sha256:[0-9a-f]{64}/;
const DIGEST_LENGTH = "sha256:".length + 64;

export interface BuiltImage {
  readonly digest: string;
  /** An OCI archive. */
  readonly archive: Buffer;
}

/** The helper image; its large layers come from the cache where nothing that they are made of has changed. */
export async function builtImage(): Promise<BuiltImage> {
  const key = await ingredients();
  return await helperImage(async (name, make) => {
    const cached = join(CACHE, `${key}-${name}`);
    if (!existsSync(cached)) {
      const { diffId, packed } = await make();
      await mkdir(CACHE, { recursive: true });
      await writeFile(`${cached}.${process.pid}`, Buffer.concat([Buffer.from(diffId), packed]));
      await rename(`${cached}.${process.pid}`, cached);
    }
    const bytes = await readFile(cached);
    return { diffId: bytes.toString("latin1", 0, DIGEST_LENGTH), packed: bytes.subarray(DIGEST_LENGTH) };
  });
}

/** The digest that the executable knows. */
export async function recordedDigest(): Promise<string | undefined> {
  return DIGEST.exec(await readFile(RECORD, "utf8"))?.[0];
}

/** Throws where the executable would know another image than this one. */
export async function ensureRecorded({ digest }: BuiltImage): Promise<void> {
  const recorded = await recordedDigest();
  if (recorded !== digest)
    throw new Error(
      `the helper image has the digest ${digest}, src/helper/image.ts has ${recorded}: run node .ci/package/helper/build.ts and commit it`,
    );
}

/** A hash of the packages' hashes and of the code that puts them together. */
async function ingredients(): Promise<string> {
  const hash = createHash("sha256").update(process.versions["zstd"] ?? "");
  for (const name of ["deb.ts", "layer.ts", "lock.ts", "packages.json", "packages.ts"])
    hash.update(await readFile(join(import.meta.dirname, name)));
  return hash.digest("hex").slice(0, 16);
}

if (import.meta.main) {
  const image = await builtImage();
  const text = await readFile(RECORD, "utf8");
  await writeFile(RECORD, text.replace(DIGEST, image.digest));
  process.stdout.write(`${image.digest}\n`);
}
