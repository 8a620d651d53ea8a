import type { NodeDirectory } from "../../helper/directory.ts";
import type { Helpers } from "../../helper/helpers.ts";
import type { NodeFile } from "../../helper/listing.ts";
import { CriuLogReader, type Failure } from "../../kubelet/criu-causes.ts";
import { criuLogOf, type CriuLog } from "../../kubelet/criu-log.ts";
import type { CriuFailure } from "../../kubelet/target.ts";
import { itemError, type CheckpointItem } from "../../model/documents.ts";
import { UserError } from "../../model/error.ts";
import { say } from "../../model/phrase.ts";
import { formatBytes } from "../../model/units.ts";
import { openDestination } from "../../local/destination.ts";
import type { Directory } from "../../local/directory.ts";
import { localArchiveName } from "../../local/names.ts";
import type { Captured } from "./one.ts";
import type { FlowContext } from "../context.ts";
import { writeNew } from "../../local/write.ts";
import { helperRights, requireRights } from "../rights.ts";

/** Of a longer log the end is read: its errors stand there. In bytes. */
const LONGEST_LOG = 64 << 20;
const PIECE = 1 << 20;
/** Why a log is gone, by the reason: no such directory, or a directory without it. */
const GONE: ReadonlyMap<string, string> = new Map([
  ["HelperMount", "it is gone: the container has ended, and its directory with it"],
  // containerd's two checkpoints of one container share the directory that CRIU writes its log to, and whoever ends first removes it.
  ["ArchiveNotFound", "it is gone: another checkpoint of the container ended at the same time and removed it, or the container has ended"],
]);

/** Where the log of a failure can be read; none where no path is one that a runtime would use for this very container. */
export function readableLogs({ logs }: CriuFailure, { containerID }: CheckpointItem): CriuLog[] {
  return logs.flatMap((log) => criuLogOf(log, containerID) ?? []);
}

/**
 * Reads CRIU's log of a failed checkpoint through a helper pod that sees that one directory, saves it beside where the archive would
 * have gone, and answers with the same failure, its cause found out. Where the log cannot be read it says so, and the failure stays.
 */
export async function explainFailure(
  context: FlowContext,
  helpers: Helpers,
  { item }: Captured,
  failure: CriuFailure,
  logs: readonly CriuLog[],
  destination: string | undefined,
): Promise<Captured> {
  try {
    // Beside where the archive would have gone, called like it.
    await using beside = await openDestination(destination);
    const { directory } = beside;
    const name = logName(item);
    const rights = helperRights(await helpers.namespace());
    const found = await requireRights(
      context.connection,
      rights,
      async () => await readFirst(context, helpers, item.node, logs, directory, name),
    );
    const saved = say`CRIU's log: ${directory.pathOf(name)}`;
    const fix = found.fix === undefined ? saved : say`${found.fix}\n${saved}`;
    const error = new UserError({ reason: failure.reason, message: failure.said.message, why: found.why, fix, cause: failure });
    return { item: { ...item, error: itemError("checkpoint", error) }, error };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const why = GONE.get(error.reason) ?? error.whole;
    context.emit({ kind: "warning", text: say`CRIU's log could not be read: ${why}` });
    return { item, error: failure };
  }
}

/** Of several places the first that has a log. Throws what the last one threw. */
async function readFirst(
  context: FlowContext,
  helpers: Helpers,
  node: string,
  [log, ...others]: readonly CriuLog[],
  to: Directory,
  name: string,
): Promise<Failure> {
  if (log === undefined) throw new UserError({ reason: "ArchiveNotFound", message: "the error does not say where the log is" });
  try {
    return await readLog(context, helpers, node, log, to, name);
  } catch (error) {
    if (others.length === 0 || !(error instanceof UserError && GONE.has(error.reason))) throw error;
    return await readFirst(context, helpers, node, others, to, name);
  }
}

async function readLog(context: FlowContext, helpers: Helpers, node: string, log: CriuLog, to: Directory, name: string): Promise<Failure> {
  await using directory = helpers.directory(node, "criu-log", log.directory);
  const file = await directory.stat(log.name);
  if (file.bytes > LONGEST_LOG)
    context.emit({
      kind: "warning",
      text: say`CRIU's log has ${formatBytes(file.bytes)}: only its last ${formatBytes(LONGEST_LOG)} are saved`,
    });
  const reader = new CriuLogReader();
  const pieces = async function* (): AsyncGenerator<Buffer> {
    for await (const piece of piecesOf(directory, file)) {
      reader.read(piece);
      yield piece;
    }
  };
  await writeNew(to, name, pieces(), context.signal);
  return reader.failure();
}

async function* piecesOf(directory: NodeDirectory, file: NodeFile): AsyncGenerator<Buffer> {
  for (let at = Math.max(0, file.bytes - LONGEST_LOG); at < file.bytes; at += PIECE)
    yield await directory.read(file, at, Math.min(PIECE, file.bytes - at));
}

function logName({ pod, namespace, container, startedAt }: CheckpointItem): string {
  return localArchiveName(`checkpoint-${pod}_${namespace}-${container}-${startedAt}.criu.log`);
}
