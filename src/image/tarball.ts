import { randomUUID } from "node:crypto";
import { link, open, rename, rm } from "node:fs/promises";
import { Header } from "tar";
import { UserError } from "../model/error.ts";
import { failing, indexWith, writeAll } from "./layout.ts";
import type { Image } from "./manifest.ts";
import { LAYOUT, type ImageTarget } from "./target.ts";

const BLOCK = 512;

/**
 * An OCI archive: a layout as one tar file, new, of mode 0600. The layer's own header is written last, into the place left for it:
 * its digest is its name. Throws a UserError where something of that name is there already, or it cannot be written.
 */
export async function tarballTarget(path: string, reference: string): Promise<ImageTarget> {
  const partial = `${path}.${randomUUID()}.part`;
  const file = await failing(path, async () => await open(partial, "wx", 0o600));
  let end = BLOCK;
  const append = async (bytes: Buffer): Promise<void> => {
    await writeAll(file, bytes, end);
    end += bytes.length;
  };
  const pad = async (): Promise<void> => await append(Buffer.alloc((BLOCK - (end % BLOCK)) % BLOCK));
  const add = async (name: string, bytes: Buffer): Promise<void> => {
    await append(header(name, bytes.length));
    await append(bytes);
    await pad();
  };
  return {
    sink: { write: async (piece) => await failing(path, async () => await append(piece)) },
    async finish(image: Image) {
      await failing(path, async () => {
        await pad();
        await writeAll(file, header(blobName(image.layer.digest), image.layer.bytes), 0);
        for (const { digest, bytes } of [image.config, image.manifest]) await add(blobName(digest), bytes);
        await add("oci-layout", LAYOUT);
        await add("index.json", indexWith(image, reference));
        await append(Buffer.alloc(2 * BLOCK));
        await publish(partial, path);
      });
    },
    async [Symbol.asyncDispose]() {
      await file.close();
      await rm(partial, { force: true });
    },
  };
}

function header(path: string, size: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  new Header({ path, size, mode: 0o600, type: "File", mtime: new Date(0), uid: 0, gid: 0 }).encode(block);
  return block;
}

function blobName(digest: string): string {
  return `blobs/${digest.replace(":", "/")}`;
}

/** The name appears at once, and nothing that is there is overwritten. */
async function publish(partial: string, path: string): Promise<void> {
  try {
    await link(partial, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST")
      throw new UserError({
        reason: "AlreadyExists",
        message: `${path} is there already`,
        fix: "remove it, or choose another place with --to",
      });
    // File systems without links.
    await rename(partial, path);
  }
}
