import { basename, posix } from "node:path";
import { recordPath } from "../../../archive/record.ts";
import type { Codec, NodeDirectory } from "../../../helper/directory.ts";
import type { Helpers } from "../../../helper/helpers.ts";
import type { NodeFile } from "../../../helper/listing.ts";
import type { Copy, InterruptedThread, ItemError } from "../../../model/documents.ts";
import { UserError } from "../../../model/error.ts";
import { location, type NodeArchive } from "../../../model/location.ts";
import { say, type Phrase } from "../../../model/phrase.ts";
import { formatBytes } from "../../../model/units.ts";
import type { Destination } from "../../../local/destination.ts";
import type { Directory } from "../../../local/directory.ts";
import { encryptedName, localArchiveName } from "../../../local/names.ts";
import { leftOf, Part, type Arrived } from "../../../local/part.ts";
import { totalBytes } from "../../../local/ranges.ts";
import { sha256Of } from "../../../local/write.ts";
import { download } from "../../../transfer/download.ts";
import type { FlowContext } from "../../context.ts";
import { byteProgress } from "../../progress.ts";
import type { BroughtVolumes } from "../volumes/bring.ts";
import { ensureSame, nodeHash } from "./compare.ts";
import { checkCopy, completeFile } from "./complete.ts";
import type { Evidence } from "../../evidence/open.ts";
import { surroundingsOf, writeRecord, type RecordFacts, type RecordRequest } from "../../evidence/record.ts";

/** The command that copies an archive to a path; `replace`: what is there is replaced. */
export type CopyAgain = (archive: NodeArchive, path: string, replace?: boolean) => Phrase;

export interface CopyRequest {
  readonly archive: NodeArchive;
  readonly destination: Destination;
  readonly force: boolean;
  readonly codec: Codec | "auto";
  readonly remove: boolean;
  /** What the record says besides. */
  readonly facts: RecordFacts;
  /** The kubelet has said that the archive is done: it need not be waited for. */
  readonly made: boolean;
  readonly evidence?: Evidence | undefined;
  /** Of the container's log in the record: see sceneOf. */
  readonly logLines?: number | undefined;
  /** For whoever stops this; where it is missing, the caller says how to continue. */
  readonly again?: CopyAgain | undefined;
  /** Of the container's pod, for the record: settled when they are here, undefined where they could not be copied. */
  readonly broughtVolumes?: Promise<BroughtVolumes | undefined> | undefined;
}

/** How far it came: `copy` is there when the local file is, whatever failed afterwards. */
export interface CopyOutcome {
  readonly copy?: Copy;
  /** Of the archive's own images and log. */
  readonly interrupted?: readonly InterruptedThread[];
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
  let brought: Brought | undefined;
  const reached: Reached = {};
  try {
    await using source = helpers.directory(request.archive.node);
    brought = await bring(context, source, request, reached, () => (phase = "verify"));
    if (!request.remove) return brought;
    phase = "remove";
    await removeFromNode(context, helpers, request);
    return { ...brought, removedFromNode: true };
  } catch (error) {
    const saysWhatToDo = error instanceof UserError && /^Already(Exists|Copying)$/.test(error.reason);
    if (context.signal.aborted && request.again !== undefined && !saysWhatToDo)
      context.emit({ kind: "hint", text: await stopped(request, request.again, reached, brought !== undefined) });
    if (!(error instanceof UserError)) throw error;
    return { ...brought, failure: { phase, error } };
  }
}

/** How far a copy came. Nothing of it: not even the part of an earlier one was looked at. */
interface Reached {
  /** Of the archive's bytes, in a part that was kept. */
  part?: Arrived;
  /** What had arrived was not what the node has. */
  discarded?: true;
  /** The file has its final name, and is what the node has. */
  named?: true;
}

/** Where a copy goes to; one that is encrypted gets its .age besides. */
export function copyPath({ destination }: Pick<CopyRequest, "destination">, { path }: NodeArchive): string {
  return destination.directory.pathOf(destination.nameFor(localArchiveName(posix.basename(path))));
}

/** Whoever stops a copy wants to know how far it came, and how to continue it. */
async function stopped(
  { archive, destination, evidence, force }: CopyRequest,
  again: NonNullable<CopyRequest["again"]>,
  { part, discarded, named }: Reached,
  brought: boolean,
): Promise<Phrase> {
  const path = copyPath({ destination }, archive);
  const how = again(archive, path);
  if (brought) return say`the copy is complete, but the archive was not removed from ${archive.node}; to continue: ${how}`;
  const isEncrypted = evidence?.encryption !== undefined;
  if (named === true && isEncrypted)
    return say`${encryptedName(path)} is complete, but its record could not be written; to copy both again: ${again(archive, path, true)}`;
  if (named === true) return say`${path} is complete, but its record could not be written; to write it: ${how}`;
  if (isEncrypted) return say`an encrypted copy cannot be resumed; to copy from the beginning: ${how}`;
  if (discarded === true) return say`what was copied differs from the archive and was discarded; to copy from the beginning: ${how}`;
  if (part !== undefined) return say`${formatBytes(part.bytes)} of ${formatBytes(part.of)} were copied; to continue: ${how}`;
  try {
    const { directory } = destination;
    const final = basename(path);
    if (!force && (await directory.look(final)) !== undefined)
      return say`${path} already exists and was not compared with the archive; to compare it: ${how}`;
    const left = await leftOf(directory, final, { node: archive.node, name: posix.basename(archive.path) });
    if (left === "unknown") return say`nothing was copied, but ${path}.part of an earlier copy is there; to copy it: ${how}`;
    if (left !== undefined)
      return say`nothing more was copied: ${formatBytes(left.bytes)} of ${formatBytes(left.of)} are there from an earlier copy; to continue: ${how}`;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return say`what of it is in ${destination.directory.path} is unknown; to copy it: ${how}`;
  }
  return say`nothing was copied; to copy it: ${how}`;
}

type Brought = Required<Pick<CopyOutcome, "copy">> & Pick<CopyOutcome, "interrupted">;

async function bring(
  context: FlowContext,
  source: NodeDirectory,
  request: CopyRequest,
  reached: Reached,
  verifying: () => void,
): Promise<Brought> {
  const { archive, force } = request;
  const { signal } = context;
  const name = source.nameOf(archive.path);
  // Asked for beside the copy, not after it.
  const surroundings = surroundingsOf(
    context,
    archive.node,
    request.facts.pod === undefined ? undefined : request.facts.item,
    request.logLines,
  );
  const { pod } = await source.ready();
  const { destination } = request;
  const { directory } = destination;
  const encryption = request.evidence?.encryption;
  const final = (encryption === undefined ? (given: string) => given : encryptedName)(destination.nameFor(localArchiveName(name)));
  const record = {
    archive,
    directory,
    name: recordPath(final),
    facts: request.facts,
    helperImage: pod.imageID,
    surroundings,
    volumes: request.broughtVolumes,
    ...(encryption === undefined ? {} : { records: encryption.records }),
  };
  const [codecs, file] = await Promise.all([codecsFor(request.codec, source), completeFile(context, source, archive, request.made)]);
  if (encryption !== undefined) {
    const { bringEncrypted } = await import("./encrypted.ts");
    const { copy, hashedAt, interrupted } = await bringEncrypted(context, source, {
      ...request,
      encryption,
      codecs,
      file,
      final,
      verifying,
    });
    reached.named = true;
    const seen = interrupted === undefined ? {} : { interrupted };
    const whole = { ...localCopy(directory, final), ...copy };
    await writeRecord(context, { ...record, copy: whole, hashedAt, ...seen });
    return { copy: whole, ...seen };
  }
  const known = force ? undefined : await sameAlready(context, source, file, directory, final);
  if (known !== undefined) {
    reached.named = true;
    // Of a command that ended between the archive's name and its record.
    if ((await directory.look(record.name)) === undefined) await writeRecord(context, { ...record, ...known });
    return { copy: known.copy };
  }

  const part = await Part.open(directory, final, { node: archive.node, name, bytes: file.bytes, identity: file.identity });
  if (part.startedOver)
    context.emit({
      kind: "warning",
      text: say`${location(archive)} has changed since the copy was interrupted: copying it from the beginning`,
    });
  const resumed = totalBytes(part.done);
  if (resumed > 0) context.emit({ kind: "hint", text: say`resuming an interrupted copy` });
  const started = performance.now();
  const progress = byteProgress(context, `copy ${name}`, say`copying ${name}`, file.bytes);
  let closed = false;
  try {
    await directory.ensureRoom(final, file.bytes - resumed);
    const [there, here] = await Promise.all([
      nodeHash(context, source, name),
      download({
        source: { codecs, pour: async (piece) => await source.pour(file, piece) },
        part,
        codec: request.codec,
        streams: STREAMS,
        signal,
        progress: ({ bytes, codec }) => progress.update(bytes, codec === "none" ? undefined : codec),
      }),
    ]);
    const hashedAt = { node: there.computedAt, here: new Date(context.now()).toISOString() };
    verifying();
    const checked = checkCopy(part.path, signal);
    // Whether it is what the node has comes first.
    checked.catch(() => undefined);
    await ensureSame(source, file, { there, here: here.sha256 }, archive);
    const { frozenSeconds, interrupted } = await checked;
    await part.publish(final, force);
    closed = true;
    reached.named = true;
    const copy = {
      ...localCopy(directory, final),
      bytes: file.bytes,
      sha256: here.sha256,
      seconds: Math.round(performance.now() - started) / 1000,
      wireBytes: here.wireBytes,
      ...(frozenSeconds === undefined ? {} : { frozenSeconds }),
    };
    const seen = interrupted === undefined ? {} : { interrupted };
    await writeRecord(context, { ...record, copy, hashedAt, ...seen });
    return { copy, ...seen };
  } catch (error) {
    if (!closed && isWrong(error)) {
      closed = true;
      await part.discard();
      reached.discarded = true;
    }
    throw error;
  } finally {
    progress.end();
    if (!closed) {
      reached.part = { bytes: totalBytes(part.done), of: file.bytes };
      await part.close();
    }
  }
}

function localCopy(directory: Directory, final: string): { readonly path: string; readonly record: string } {
  return { path: directory.pathOf(final), record: directory.pathOf(recordPath(final)) };
}

/** What the image can compress with. Throws CodecMissing where that is not what --compress asks for. */
export async function codecsFor(wanted: Codec | "auto", source: NodeDirectory): Promise<readonly Codec[]> {
  const codecs = await source.codecs();
  if (wanted === "auto" || codecs.includes(wanted)) return codecs;
  throw new UserError({
    reason: "CodecMissing",
    message: say`the helper image has no ${wanted}`,
    fix: `use --compress with one of ${codecs.join(", ")}, or another --helper-image`,
  });
}

/** Errors after which what has arrived is worth nothing. */
function isWrong(error: unknown): boolean {
  return error instanceof UserError && /^(HashMismatch|ArchiveChanged|ArchiveUnfinished)$/.test(error.reason);
}

/** A final file that is there already: the same is recognised, any other one is refused. */
async function sameAlready(
  context: FlowContext,
  source: NodeDirectory,
  file: NodeFile,
  directory: Directory,
  final: string,
): Promise<Pick<RecordRequest, "copy" | "hashedAt"> | undefined> {
  const there = await directory.look(final);
  if (there === undefined) return undefined;
  const path = directory.pathOf(final);
  if (there.kind !== "file" || there.bytes !== file.bytes) throw different(path);
  const hashHere = async (): Promise<string> => {
    await using own = await directory.read(final);
    return await sha256Of(own, context.signal);
  };
  const [{ sha256, computedAt }, here] = await Promise.all([nodeHash(context, source, file.name), hashHere()]);
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
    message: say`${path} already exists and is not a copy of this archive`,
    fix: "rerun with --force to replace it, or choose another destination",
  });
}

async function removeFromNode(context: FlowContext, helpers: Helpers, { archive }: CopyRequest): Promise<void> {
  await using directory = helpers.directory(archive.node, "write");
  context.emit({ kind: "activity", lane: "remove", text: say`removing ${location(archive)}` });
  try {
    await directory.remove(directory.nameOf(archive.path));
  } finally {
    context.emit({ kind: "idle", lane: "remove" });
  }
}
