import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { newHeader, type Header } from "../../../age/header.ts";
import { encrypted, encryptedSize } from "../../../age/payload.ts";
import type { Codec, NodeDirectory } from "../../../helper/directory.ts";
import type { NodeFile } from "../../../helper/listing.ts";
import { alreadyExists, writing } from "../../../local/failure.ts";
import { writeAll } from "../../../local/write.ts";
import type { Copy, InterruptedThread } from "../../../model/documents.ts";
import { say } from "../../../model/phrase.ts";
import type { PieceSource } from "../../../transfer/download.ts";
import { streamFile, streamPages, type Streamed } from "../../../transfer/stream.ts";
import type { FlowContext } from "../../context.ts";
import type { Encryption } from "../../evidence/open.ts";
import { byteProgress } from "../../progress.ts";
import { ensureSame, nodeHash } from "./compare.ts";
import { checkCopy } from "./complete.ts";
import type { CopyRequest } from "./copy.ts";

/** A thread of its own costs some 30 ms: less than this is encrypted sooner without. */
const WORTH_A_THREAD = 16 * 1024 * 1024;

export interface EncryptedRequest extends CopyRequest {
  readonly encryption: Encryption;
  readonly codecs: readonly Codec[];
  readonly file: NodeFile;
  /** FILE.age, in the destination's directory. */
  readonly final: string;
  readonly verifying: () => void;
}

export interface BroughtEncrypted {
  readonly copy: Omit<Copy, "path" | "record">;
  readonly hashedAt: { readonly node: string; readonly here: string };
  readonly interrupted?: readonly InterruptedThread[];
}

/**
 * Brings an archive here as FILE.age: encrypted in memory as it arrives, so that the disk never has a byte of it in plain. What was cut off by
 * the network continues; what an earlier command left cannot be continued, because nobody has its key any more. Throws a UserError.
 */
export async function bringEncrypted(context: FlowContext, source: NodeDirectory, request: EncryptedRequest): Promise<BroughtEncrypted> {
  const { archive, destination, force, codec, codecs, encryption, file, final, verifying } = request;
  const { signal } = context;
  const { directory } = destination;
  if (!force && (await directory.look(final)) !== undefined)
    throw alreadyExists(directory.pathOf(final), undefined, "rerun with --force to replace it, or choose another destination");
  const name = `${final}.part`;
  if ((await directory.look(name)) !== undefined) {
    context.emit({
      kind: "warning",
      text: say`an interrupted copy cannot be resumed because it is encrypted: copying ${file.name} from the beginning`,
    });
    await directory.remove(name);
  }
  const started = performance.now();
  const progress = byteProgress(context, `copy ${file.name}`, say`copying ${file.name}`, file.bytes);
  const header = await newHeader(encryption.recipients);
  await directory.ensureRoom(final, encryptedSize(header.bytes.length, file.bytes));
  const part = await directory.create(name);
  let published = false;
  try {
    const there = nodeHash(context, source, file.name);
    // Its failure is said when it is compared.
    there.catch(() => undefined);
    const write = file.bytes < WORTH_A_THREAD ? writeHere : writeBeside;
    const { sha256, wireBytes, sealed } = await write({
      source: { codecs, pour: async (piece) => await source.pour(file, piece) },
      bytes: file.bytes,
      codec,
      signal,
      header,
      part,
      path: directory.pathOf(final),
      progress: (bytes) => progress.update(bytes, undefined),
    });
    verifying();
    const onNode = await there;
    const hashedAt = { node: onNode.computedAt, here: new Date(context.now()).toISOString() };
    await ensureSame(source, file, { there: onNode, here: sha256 }, archive);
    const { frozenSeconds, interrupted } = await checkCopy(
      directory.pathOf(name),
      signal,
      async () => await Promise.resolve(header.fileKey),
    );
    await directory.publish({ name, file: part }, final, force);
    published = true;
    const copy = {
      bytes: file.bytes,
      sha256,
      seconds: Math.round(performance.now() - started) / 1000,
      wireBytes,
      ...(frozenSeconds === undefined ? {} : { frozenSeconds }),
      encrypted: sealed,
      encryptedTo: encryption.recipients,
    };
    return { copy, hashedAt, ...(interrupted === undefined ? {} : { interrupted }) };
  } finally {
    progress.end();
    await part.close();
    if (!published) await directory.remove(name);
  }
}

interface Writing {
  readonly source: PieceSource;
  /** Of the archive. */
  readonly bytes: number;
  readonly codec: Codec | "auto";
  readonly signal: AbortSignal;
  readonly header: Header;
  readonly part: FileHandle;
  /** As messages name it. */
  readonly path: string;
  readonly progress: (bytes: number) => void;
}

interface Written {
  /** Of the archive. */
  readonly sha256: string;
  readonly wireBytes: number;
  /** Of the age file. */
  readonly sealed: { readonly bytes: number; readonly sha256: string };
}

async function writeHere({ source, bytes, codec, signal, header, part, path, progress }: Writing): Promise<Written> {
  const hash = createHash("sha256");
  let [at, arrived] = [0, 0];
  let end: Streamed | undefined;
  async function* plain(): AsyncGenerator<Buffer, void> {
    const stream = streamFile(source, bytes, codec, signal);
    for (let next = await stream.next(); ; next = await stream.next()) {
      if (next.done === true) {
        end = next.value;
        return;
      }
      yield next.value;
      progress((arrived += next.value.length));
    }
  }
  for await (const piece of encrypted(header, plain())) {
    hash.update(piece);
    await writing(path, async () => await writeAll(part, piece, at));
    at += piece.length;
  }
  if (end === undefined) throw new Error("the stream has not ended");
  return { ...end, sealed: { bytes: at, sha256: hash.digest("hex") } };
}

/** What encrypts, hashes and writes does so in a thread of its own, beside what receives and decompresses. */
async function writeBeside({ source, bytes, codec, signal, header, part, path, progress }: Writing): Promise<Written> {
  const { sealingThread } = await import("../../../age/sealing.ts");
  const spare: Buffer[] = [];
  const sealing = sealingThread(part.fd, header, spare);
  const pages = streamPages(source, bytes, codec, signal, spare);
  try {
    let arrived = 0;
    for (;;) {
      const next = await pages.next();
      if (next.done === true) {
        const { plainSha256, ...sealed } = await writing(path, async () => await sealing.finish());
        return { sha256: plainSha256, ...next.value, sealed };
      }
      arrived += next.value.length;
      await writing(path, async () => await sealing.write(next.value));
      progress(arrived);
    }
  } finally {
    await sealing.stop();
    await pages.return({ wireBytes: 0 });
  }
}
