import { archiveName, type Codec } from "../../../helper/files.ts";
import type { Helpers } from "../../../helper/helpers.ts";
import { UserError } from "../../../model/error.ts";
import { location, type NodeArchive } from "../../../model/location.ts";
import type { PieceSource } from "../../../transfer/download.ts";
import { streamFile } from "../../../transfer/stream.ts";
import type { FlowContext } from "../../context.ts";
import { completeFile } from "./complete.ts";
import { ensureCodec } from "./copy.ts";

export interface StreamRequest {
  readonly archive: NodeArchive;
  readonly codec: Codec | "auto";
  readonly remove: boolean;
  readonly checkpointDir: string;
}

/** The bytes of an archive in order, for a pipe. Throws HashMismatch in the end where they were not those on the node. */
export async function* streamArchive(
  context: FlowContext,
  helpers: Helpers,
  { archive, codec, remove, checkpointDir }: StreamRequest,
): AsyncGenerator<Buffer> {
  const name = archiveName(archive.path, checkpointDir);
  await using lease = helpers.on(archive.node, remove ? "write" : "read");
  const helper = await lease.helper();
  ensureCodec(codec, helper);
  const { files, signal } = helper;
  const file = await completeFile(context, files, archive, name);
  const there = files.sha256(name, signal);
  there.catch(() => undefined);
  const source: PieceSource = { codecs: files.codecs, pour: async (piece) => await files.pour(file, piece) };
  const { sha256 } = yield* streamFile(source, file.bytes, codec, signal);
  if (sha256 !== (await there)) {
    throw new UserError({
      reason: "HashMismatch",
      message: `what was sent is not ${location(archive)} as it is on the node`,
      why: `SHA-256 on the node ${await there}, of what was sent ${sha256}`,
      fix: "throw it away, and run the command again",
    });
  }
  if (remove) await files.remove(name, signal);
}
