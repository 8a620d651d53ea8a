import type { Captured } from "../../flows/capture/one.ts";
import { originalEnded } from "../../flows/capture/proof.ts";
import type { FlowContext } from "../../flows/context.ts";
import type { Evidence } from "../../flows/evidence/open.ts";
import { API_VERSION, itemError, type CheckpointItem, type CheckpointList, type Copy, type Volumes } from "../../model/documents.ts";
import { exitCodeFor, UserError } from "../../model/error.ts";
import { location } from "../../model/location.ts";
import { joined, say, styled, type Phrase, type Table } from "../../model/phrase.ts";
import type { Piece } from "../../model/report.ts";
import { counted, formatBytes, formatSeconds } from "../../model/units.ts";
import { copyText } from "../shared/copies.ts";

/** The archive's place, here or on the node, and what went wrong with it. */
export function* pieces({ item, archive, error }: Captured): Generator<Piece> {
  if (archive !== undefined) {
    const { copy } = item;
    const where = copy === undefined ? say`${location(archive)}` : copyText(archive, copy, item.removedFromNode);
    yield { text: resultText(item, where), name: copy?.path ?? location(archive) };
    if (item.volumes !== undefined) yield { text: volumesText(item.volumes) };
  }
  if (error !== undefined) yield { error };
}

/**
 * The capture once it is known what became of its original: that is said where it did not keep running, and written into the record of a
 * copy, which is signed then where that was asked for. `done` comes from `proved`; answers with it, and what became of that.
 */
export async function* settled(context: FlowContext, done: Captured, evidence?: Evidence): AsyncGenerator<Piece, Captured> {
  const { item, proof } = done;
  const record = item.copy?.record;
  if (proof !== undefined && record !== undefined) {
    const { amendRecord } = await import("../../flows/evidence/record.ts");
    try {
      await amendRecord(record, item, evidence?.encryption?.records);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      context.emit({ kind: "warning", text: say`${record} does not say whether the original keeps running: ${error.whole}` });
    }
  }
  const ended = originalEnded(item);
  if (ended !== undefined) yield { error: ended };
  return evidence === undefined || item.copy === undefined
    ? done
    : yield* sealed(context, done, { copy: item.copy, volumes: item.volumes }, evidence);
}

/** After the record has its last line: see sealCopy. */
async function* sealed(
  context: FlowContext,
  done: Captured,
  files: { readonly copy: Copy; readonly volumes: Volumes | undefined },
  evidence: Evidence,
): AsyncGenerator<Piece, Captured> {
  const { sealCopy } = await import("../../flows/evidence/open.ts");
  try {
    const finished = await sealCopy(context, files, "checkpoint", evidence);
    if (finished.bundle !== undefined) yield { text: say`${finished.bundle}` };
    return { ...done, item: { ...done.item, copy: finished } };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    yield { error };
    return { ...done, item: { ...done.item, error: itemError("seal", error) }, error };
  }
}

/** 3 where all archives were made, and an original did not keep running or files of its volumes are not as they were. */
export function exitCodeOf(captured: readonly Captured[]): number {
  const failed = exitCodeFor(
    captured.flatMap(({ error }) => error ?? []),
    captured.length,
  );
  return failed === 0 && captured.some(({ item }) => item.stillRunning === false || isPartial(item.volumes)) ? 3 : failed;
}

/** Whether files of volumes are not in their archive as they were; sockets, FIFOs and devices have nothing that could be. */
function isPartial(volumes: Volumes | undefined): boolean {
  return volumes?.leftOut["changed"] !== undefined || volumes?.leftOut["unreadable"] !== undefined;
}

function volumesText({ path, names, entries, bytes, sha256 }: Volumes): Phrase {
  return say`${counted(names.length, "volume")} copied (${entries === 1 ? "1 file, directory or link" : say`${entries} files, directories and links`}): ${formatBytes(bytes)}, SHA-256 ${sha256}\n${path}`;
}

export function checkpointList(clockOffsetSeconds: number, items: readonly CheckpointItem[]): CheckpointList {
  return { apiVersion: API_VERSION, kind: "CheckpointList", clockOffsetSeconds, items };
}

/** Of several, on a terminal: what became of each, in a line. FREEZE is CRIU's own time, or less than (<) the call to the kubelet. */
export function resultTable(items: readonly CheckpointItem[]): Table {
  const namespaces = new Set(items.map(({ namespace }) => namespace)).size;
  return {
    columns: ["CONTAINER", "NODE", "FREEZE", "SIZE", "RUNNING", "PATH"],
    rows: items.map((item) => [
      `${namespaces > 1 ? `${item.namespace}/` : ""}${item.pod}/${item.container}`,
      item.node || "-",
      freezeText(item),
      item.copy === undefined ? "-" : formatBytes(item.copy.bytes),
      item.stillRunning === false ? styled("bad", "no") : item.stillRunning === true ? "yes" : "unknown",
      item.copy?.path ?? item.nodePath ?? styled("bad", item.error?.reason ?? "-"),
    ]),
    // A path is to be pasted: it stays whole.
    narrow: { below: "PATH", without: ["SIZE", "FREEZE"], shorten: [{ CONTAINER: "middle", NODE: "middle" }] },
  };
}

function freezeText({ copy, pausedSeconds }: CheckpointItem): string {
  if (copy?.frozenSeconds !== undefined) return `${Math.round(copy.frozenSeconds * 1000)}ms`;
  return pausedSeconds === undefined ? "-" : `<${formatSeconds(pausedSeconds)}`;
}

/** What a run with several targets ends with: how many were checkpointed, every failure with its reason, and every original that ended. */
export function summaryText(items: readonly CheckpointItem[]): Phrase {
  const failed = items.filter(({ error }) => error !== undefined);
  const head = say`${items.length - failed.length} of ${items.length} containers checkpointed`;
  const lines = failed.map(
    ({ namespace, pod, container, error }) =>
      say`  ${namespace}/${pod} container ${container}: ${error?.reason ?? ""}: ${error?.message ?? ""}`,
  );
  const ended = items.filter(({ stillRunning }) => stillRunning === false);
  const ends = ended.map(
    ({ namespace, pod, container, ended: how = "" }) => say`  ${namespace}/${pod} container ${container} did not keep running: ${how}`,
  );
  const counts = [
    ...(failed.length === 0 ? [] : [say`${failed.length} failed`]),
    ...(ended.length === 0 ? [] : [say`${ended.length} did not keep running`]),
  ];
  return counts.length === 0 ? head : joined([say`${head}, ${joined(counts, ", ")}:`, ...lines, ...ends], "\n");
}

/** One line when a container of a run has ended, for whoever sees no results as they come. */
export function endText({ pod, container, node, seconds, copy, removedFromNode, error }: CheckpointItem, nth: number, of: number): Phrase {
  const copied = copy === undefined ? say`` : removedFromNode === true ? say`, copied and removed from the node` : say`, copied`;
  const what = error === undefined ? say`checkpointed in ${formatSeconds(seconds)}${copied}` : say`${error.phase} failed: ${error.reason}`;
  return say`pod/${pod} container ${container} on ${node}: ${what} (${nth} of ${of})`;
}

function resultText({ pod, container, node, seconds }: CheckpointItem, where: Phrase): Phrase {
  return say`pod/${pod} container ${container} checkpointed on ${node} in ${formatSeconds(seconds)}\n${where}`;
}
