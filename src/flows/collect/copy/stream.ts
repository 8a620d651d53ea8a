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
  /** The kubelet has said that the archive is done: it need not be waited for. */
  readonly made: boolean;
}

/** The bytes of an archive in order, for a pipe. Throws HashMismatch in the end where they were not those on the node. */
export async function* streamArchive(
  context: FlowContext,
  helpers: Helpers,
  { archive, codec, made }: StreamRequest,
): AsyncGenerator<Buffer> {
  await using directory = helpers.directory(archive.node);
  const [codecs, file] = await Promise.all([codecsFor(codec, directory), completeFile(context, directory, archive, made)]);
  const there = directory.sha256(file.name);
  there.catch(() => undefined);
  const source = { codecs, pour: directory.pour.bind(directory, file) };
  const { sha256 } = yield* streamFile(source, file.bytes, codec, context.signal);
  const { sha256: onNode } = await there;
  if (sha256 === onNode) return;
  throw new UserError({
    reason: "HashMismatch",
    message: say`the bytes written to standard output differ from ${location(archive)}`,
    why: say`SHA-256 on the node is ${onNode}, of the bytes written ${sha256}`,
    fix: "discard the output and rerun the command",
  });
}
