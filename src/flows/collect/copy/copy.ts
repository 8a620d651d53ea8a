import { recordPath } from "../../../archive/record.ts";
import type { Codec, NodeFile, NodeFiles } from "../../../helper/files.ts";
import { archiveName } from "../../../helper/files.ts";
import type { Helper, Helpers } from "../../../helper/helpers.ts";
import type { Copy, ItemError } from "../../../model/documents.ts";
import { UserError } from "../../../model/error.ts";
import { location, type NodeArchive } from "../../../model/location.ts";
import { say } from "../../../model/phrase.ts";
import { openDestination } from "../../../local/destination.ts";
import type { Directory } from "../../../local/directory.ts";
import { localArchiveName } from "../../../local/names.ts";
import { Part } from "../../../local/part.ts";
import { totalBytes } from "../../../local/ranges.ts";
import { sha256Of } from "../../../local/write.ts";
import { download } from "../../../transfer/download.ts";
import type { FlowContext } from "../../context.ts";
import { completeFile } from "./complete.ts";
import { checkArchive } from "./check.ts";
import { transferProgress } from "./progress.ts";
import { writeRecord, type RecordFacts, type RecordRequest } from "../../evidence/record.ts";

export interface CopyRequest {
  readonly archive: NodeArchive;
  /** DEST as given; undefined is the working directory. */
  readonly destination: string | undefined;
  /** Several archives go to one destination: it must be a directory. */
  readonly several: boolean;
  readonly force: boolean;
  readonly codec: Codec | "auto";
  readonly remove: boolean;
  /** The kubelet's, on the node. */
  readonly checkpointDir: string;
  /** What the record says besides. */
  readonly facts: RecordFacts;
}

/** How far it came: `copy` is there when the local file is, whatever failed afterwards. */
export interface CopyOutcome {
  readonly copy?: Copy;
  readonly removedFromNode?: boolean;
  readonly failure?: { readonly phase: ItemError["phase"]; readonly error: UserError };
}

/** Pieces under way at once: more than the cores at both ends do not help. */
const STREAMS = 2;

/**
 * Brings one archive here: fetched, verified by size and SHA-256 on both sides, given its name, recorded; then, if asked for,
 * removed from the node. Never throws a UserError: it is in the outcome.
 */
export async function copyArchive(context: FlowContext, helpers: Helpers, request: CopyRequest): Promise<CopyOutcome> {
  let phase: ItemError["phase"] = "copy";
  let copy: Copy | undefined;
  try {
    await using lease = helpers.on(request.archive.node, "read");
    const helper = await lease.helper();
    copy = await bring(context, helper, request, () => (phase = "verify"));
    if (!request.remove) return { copy };
    phase = "remove";
    await removeFromNode(context, helpers, request);
    return { copy, removedFromNode: true };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { ...(copy === undefined ? {} : { copy }), failure: { phase, error } };
  }
}

async function bring(context: FlowContext, helper: Helper, request: CopyRequest, verifying: () => void): Promise<Copy> {
  const { archive, checkpointDir, force } = request;
  const { files, signal } = helper;
  const name = archiveName(archive.path, checkpointDir);
  await using destination = await openDestination(request.destination, request.several);
  const { directory } = destination;
  const final = destination.nameFor(localArchiveName(name));
  const record = { archive, directory, name: recordPath(final), facts: request.facts, helperImage: helper.pod.imageID };
  ensureCodec(request.codec, helper);
  const file = await completeFile(context, files, archive, name);
  const known = force ? undefined : await sameAlready(context, files, file, directory, final, signal);
  if (known !== undefined) {
    // Of a command that ended between the archive's name and its record.
    if ((await directory.look(record.name)) === undefined) await writeRecord(context, { ...record, ...known });
    return known.copy;
  }

  const source = { node: archive.node, name, bytes: file.bytes, identity: file.identity };
  const part = await Part.open(directory, final, source);
  if (part.startedOver) context.emit({ kind: "warning", text: say`the archive on ${archive.node} has changed: starting over` });
  const resumed = totalBytes(part.done);
  if (resumed > 0) context.emit({ kind: "hint", text: say`resuming an interrupted copy` });
  const started = performance.now();
  const progress = transferProgress(context, name, file.bytes, resumed);
  let closed = false;
  try {
    await directory.ensureRoom(final, file.bytes - resumed);
    const [there, here] = await Promise.all([
      nodeHash(context, files, name, signal),
      download({
        source: { codecs: files.codecs, pour: async (piece) => await files.pour(file, piece) },
        part,
        codec: request.codec,
        streams: STREAMS,
        signal,
        progress: progress.update,
      }),
    ]);
    const hashedAt = { node: there.computedAt, here: new Date(context.now()).toISOString() };
    verifying();
    const checked = checkArchive(part.path, signal);
    // Whether it is what the node has comes first.
    checked.catch(() => undefined);
    await verify(files, file, { there: there.sha256, here: here.sha256 }, archive, signal);
    const frozenSeconds = await checked;
    await part.publish(final, force);
    closed = true;
    const copy = {
      ...localCopy(directory, final),
      bytes: file.bytes,
      sha256: here.sha256,
      seconds: Math.round(performance.now() - started) / 1000,
      wireBytes: here.wireBytes,
      ...(frozenSeconds === undefined ? {} : { frozenSeconds }),
    };
    await writeRecord(context, { ...record, copy, hashedAt });
    return copy;
  } catch (error) {
    if (!closed && isWrong(error)) {
      await part.discard();
      closed = true;
    }
    throw error;
  } finally {
    progress.end();
    if (!closed) await part.close();
  }
}

function localCopy(directory: Directory, final: string): { readonly path: string; readonly record: string } {
  return { path: directory.pathOf(final), record: directory.pathOf(recordPath(final)) };
}

/** Throws where the image cannot do what --compress asks for. */
export function ensureCodec(codec: Codec | "auto", { files }: Helper): void {
  if (codec === "auto" || files.codecs.includes(codec)) return;
  throw new UserError({
    reason: "CodecMissing",
    message: `the helper pod's image has no ${codec}`,
    fix: `it has ${files.codecs.join(", ")}: give another --compress, or another --helper-image`,
  });
}

/** Errors after which what has arrived is worth nothing. */
function isWrong(error: unknown): boolean {
  return error instanceof UserError && /^(HashMismatch|ArchiveChanged|ArchiveUnfinished)$/.test(error.reason);
}

/** A final file that is there already: the same is recognised, any other one is refused. */
async function sameAlready(
  context: FlowContext,
  files: NodeFiles,
  file: NodeFile,
  directory: Directory,
  final: string,
  signal: AbortSignal,
): Promise<Pick<RecordRequest, "copy" | "hashedAt"> | undefined> {
  const there = await directory.look(final);
  if (there === undefined) return undefined;
  const path = directory.pathOf(final);
  if (there.kind !== "file" || there.bytes !== file.bytes) throw different(path);
  const hashHere = async (): Promise<string> => {
    await using own = await directory.read(final);
    return await sha256Of(own, signal);
  };
  const [{ sha256, computedAt }, here] = await Promise.all([nodeHash(context, files, file.name, signal), hashHere()]);
  if (here !== sha256) throw different(path);
  context.emit({ kind: "hint", text: say`${path} already exists and has the same bytes` });
  return {
    copy: { ...localCopy(directory, final), bytes: file.bytes, sha256, seconds: 0, wireBytes: 0 },
    hashedAt: { node: computedAt, here: new Date(context.now()).toISOString() },
  };
}

function different(path: string): UserError {
  return new UserError({
    reason: "AlreadyExists",
    message: say`${path} already exists, and it is not a copy of this archive`,
    fix: "--force replaces it; or choose another destination",
  });
}

async function nodeHash(
  { now }: FlowContext,
  files: NodeFiles,
  name: string,
  signal: AbortSignal,
): Promise<{ sha256: string; computedAt: string }> {
  const sha256 = await files.sha256(name, signal);
  return { sha256, computedAt: new Date(now()).toISOString() };
}

async function verify(
  files: NodeFiles,
  file: NodeFile,
  hashes: { there: string; here: string },
  archive: NodeArchive,
  signal: AbortSignal,
): Promise<void> {
  const after = await files.stat(file.name, signal);
  if (after.identity !== file.identity) {
    throw new UserError({
      reason: "ArchiveChanged",
      message: `${location(archive)} changed while it was copied`,
      fix: "run the command again: it starts over",
    });
  }
  if (hashes.there === hashes.here) return;
  throw new UserError({
    reason: "HashMismatch",
    message: `the copy of ${location(archive)} is not the same as the archive on the node`,
    why: `SHA-256 on the node ${hashes.there}, here ${hashes.here}`,
    fix: "run the command again: it starts over",
  });
}

async function removeFromNode(context: FlowContext, helpers: Helpers, { archive, checkpointDir }: CopyRequest): Promise<void> {
  await using lease = helpers.on(archive.node, "write");
  const { files, signal } = await lease.helper();
  context.emit({ kind: "activity", lane: "remove", text: say`removing ${location(archive)}` });
  try {
    await files.remove(archiveName(archive.path, checkpointDir), signal);
  } finally {
    context.emit({ kind: "idle", lane: "remove" });
  }
}
