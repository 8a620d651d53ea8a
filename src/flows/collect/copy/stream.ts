import type { Codec } from "../../../helper/directory.ts";
import type { Helpers } from "../../../helper/helpers.ts";
import { UserError } from "../../../model/error.ts";
import { location, type NodeArchive } from "../../../model/location.ts";
import { say } from "../../../model/phrase.ts";
import { streamFile } from "../../../transfer/stream.ts";
import type { FlowContext } from "../../context.ts";
import { completeFile } from "./complete.ts";
import { codecsFor } from "./copy.ts";

export interface StreamRequest {
  readonly archive: NodeArchive;
  readonly codec: Codec | "auto";
}

/** The bytes of an archive in order, for a pipe. Throws HashMismatch in the end where they were not those on the node. */
export async function* streamArchive(context: FlowContext, helpers: Helpers, { archive, codec }: StreamRequest): AsyncGenerator<Buffer> {
  await using directory = helpers.directory(archive.node);
  const codecs = await codecsFor(codec, directory);
  const file = await completeFile(context, directory, archive);
  const there = directory.sha256(file.name);
  there.catch(() => undefined);
  const source = { codecs, pour: directory.pour.bind(directory, file) };
  const { sha256 } = yield* streamFile(source, file.bytes, codec, context.signal);
  if (sha256 === (await there)) return;
  throw new UserError({
    reason: "HashMismatch",
    message: say`the bytes written to standard output differ from ${location(archive)}`,
    why: `SHA-256 on the node is ${await there}, of the bytes written ${sha256}`,
    fix: "discard the output and rerun the command",
  });
}
