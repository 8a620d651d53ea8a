import { createHash } from "node:crypto";
import { newHeader } from "../../../age/header.ts";
import { encrypted, encryptedSize } from "../../../age/payload.ts";
import type { Codec, NodeDirectory } from "../../../helper/directory.ts";
import type { NodeFile } from "../../../helper/listing.ts";
import { alreadyExists, writing } from "../../../local/failure.ts";
import { writeAll } from "../../../local/write.ts";
import type { Copy, InterruptedThread } from "../../../model/documents.ts";
import { say } from "../../../model/phrase.ts";
import { streamFile, type Streamed } from "../../../transfer/stream.ts";
import type { FlowContext } from "../../context.ts";
import type { Encryption } from "../../evidence/open.ts";
import { byteProgress } from "../../progress.ts";
import { ensureSame, nodeHash } from "./compare.ts";
import { checkCopy } from "./complete.ts";
import type { CopyRequest } from "./copy.ts";

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
    const plain = counted(
      streamFile({ codecs, pour: async (piece) => await source.pour(file, piece) }, file.bytes, codec, signal),
      (bytes) => progress.update(bytes, undefined),
    );
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const piece of encrypted(header, plain.pieces)) {
      hash.update(piece);
      await writing(directory.pathOf(final), async () => await writeAll(part, piece, bytes));
      bytes += piece.length;
    }
    const { sha256, wireBytes } = plain.streamed();
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
      encrypted: { bytes, sha256: hash.digest("hex") },
      encryptedTo: encryption.recipients,
    };
    return { copy, hashedAt, ...(interrupted === undefined ? {} : { interrupted }) };
  } finally {
    progress.end();
    await part.close();
    if (!published) await directory.remove(name);
  }
}

/** The pieces of a stream, and what it returns when all of them are through. */
function counted(
  stream: AsyncGenerator<Buffer, Streamed>,
  report: (bytes: number) => void,
): { readonly pieces: AsyncIterable<Buffer>; readonly streamed: () => Streamed } {
  let end: Streamed | undefined;
  async function* pieces(): AsyncGenerator<Buffer, void> {
    let bytes = 0;
    for (let next = await stream.next(); ; next = await stream.next()) {
      if (next.done === true) {
        end = next.value;
        return;
      }
      yield next.value;
      bytes += next.value.length;
      report(bytes);
    }
  }
  return {
    pieces: pieces(),
    streamed() {
      if (end === undefined) throw new Error("the stream has not ended");
      return end;
    },
  };
}
