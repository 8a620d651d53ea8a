import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../model/error.ts";
import { list, object, string, type Json } from "../model/json.ts";
import { descriptor, type Image } from "./manifest.ts";
import { INDEX_TYPE, LAYOUT, nameAnnotations, type ImageTarget } from "./target.ts";

/**
 * An OCI layout (https://github.com/opencontainers/image-spec/blob/main/image-layout.md): a new directory, or one that is a
 * layout already, where the image of the same name is replaced. Files are of mode 0600, directories of 0700.
 * Throws a UserError where the directory holds anything else, or cannot be written.
 */
export async function layoutTarget(directory: string, reference: string): Promise<ImageTarget> {
  const blobs = join(directory, "blobs", "sha256");
  const partial = join(directory, `.partial-${randomUUID()}`);
  const others = await failing(directory, async () => await manifestsIn(directory));
  const file = await failing(directory, async () => {
    await mkdir(blobs, { recursive: true, mode: 0o700 });
    return await open(partial, "wx", 0o600);
  });
  let closed = false;
  const close = async (): Promise<void> => {
    if (!closed) await file.close();
    closed = true;
  };
  return {
    sink: { write: async (piece) => await failing(directory, async () => await writeAll(file, piece)) },
    async finish(image) {
      await failing(directory, async () => {
        await close();
        await rename(partial, join(blobs, hexOf(image.layer.digest)));
        for (const { bytes, digest } of [image.config, image.manifest]) await writeFile(join(blobs, hexOf(digest)), bytes);
        await writeFile(join(directory, "oci-layout"), LAYOUT);
        await writeFile(join(directory, "index.json"), indexWith(image, reference, others));
      });
    },
    async [Symbol.asyncDispose]() {
      await close();
      await rm(partial, { force: true });
    },
  };
}

/** Bytes of index.json, the image beside those that are there already. */
export function indexWith({ manifest }: Image, reference: string, others: readonly Json[] = []): Buffer {
  const names = nameAnnotations(reference);
  const kept = others.filter((other) => Object.entries(names).every(([key, name]) => string(object(other["annotations"])[key]) !== name));
  const manifests = [...kept, { ...descriptor(manifest), annotations: names }];
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests }));
}

/** Of a layout that is there; none where there is nothing yet. */
async function manifestsIn(directory: string): Promise<Json[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  if (names.length === 0) return [];
  if (!names.includes("index.json")) {
    throw new UserError({
      reason: "DestinationUnusable",
      message: `${directory} is there already, and is no OCI layout`,
      fix: "give a new directory, or one that is a layout",
    });
  }
  return list(object(JSON.parse(await readFile(join(directory, "index.json"), "utf8")))["manifests"]).map(object);
}

function hexOf(digest: string): string {
  return digest.slice("sha256:".length);
}

async function writeFile(path: string, bytes: Buffer): Promise<void> {
  const partial = `${path}.${randomUUID()}`;
  const file = await open(partial, "wx", 0o600);
  try {
    await file.writeFile(bytes);
  } finally {
    await file.close();
  }
  await rename(partial, path);
}

/** Every byte of a piece, at a place or behind what was written last. */
export async function writeAll(file: FileHandle, piece: Buffer, position: number | null = null): Promise<void> {
  for (let done = 0; done < piece.length;) {
    const at = position === null ? null : position + done;
    done += (await file.write(piece, done, piece.length - done, at)).bytesWritten;
  }
}

export async function failing<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof UserError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UserError({
      reason: code === "ENOSPC" || code === "EDQUOT" ? "LocalDiskFull" : "CannotWrite",
      message: `cannot write the image to ${path}`,
      why: message,
      fix: code === "ENOSPC" ? "make room, or choose another place with --to" : undefined,
      cause: error,
    });
  }
}
