import { randomUUID } from "node:crypto";
import { basename, dirname, resolve } from "node:path";
import { Header } from "tar";
import { Directory } from "../local/directory.ts";
import { writing } from "../local/failure.ts";
import { writeAll } from "../local/write.ts";
import { indexWith } from "./layout.ts";
import type { Image } from "./manifest.ts";
import { LAYOUT, type ImageTarget } from "./target.ts";

const BLOCK = 512;

/**
 * An OCI archive: a layout as one tar file, new, of mode 0600. The layer's own header is written last, into the place left for it:
 * its digest is its name. Throws a UserError where something of that name is there already, or it cannot be written.
 */
export async function tarballTarget(path: string, reference: string): Promise<ImageTarget> {
  const final = basename(resolve(path));
  const partial = `${final}.${randomUUID()}.part`;
  const directory = await Directory.open(dirname(resolve(path)));
  const file = await directory.create(partial).catch(async (error: unknown) => {
    await directory[Symbol.asyncDispose]();
    throw error;
  });
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
    sink: { write: async (piece) => await writing(path, async () => await append(piece)) },
    async finish(image: Image) {
      await writing(path, async () => {
        await pad();
        await writeAll(file, header(blobName(image.layer.digest), image.layer.bytes), 0);
        for (const { digest, bytes } of [image.config, image.manifest]) await add(blobName(digest), bytes);
        await add("oci-layout", LAYOUT);
        await add("index.json", indexWith(image, reference));
        await append(Buffer.alloc(2 * BLOCK));
      });
      await directory.publish({ name: partial, file }, final, false);
    },
    async [Symbol.asyncDispose]() {
      await file.close();
      await directory.remove(partial);
      await directory[Symbol.asyncDispose]();
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
