import type { Captured } from "../../flows/capture/one.ts";
import { API_VERSION, type CheckpointItem, type CheckpointList } from "../../model/documents.ts";
import { location } from "../../model/location.ts";
import { joined, say, type Phrase } from "../../model/phrase.ts";
import type { Piece } from "../../model/report.ts";
import { formatSeconds } from "../../model/units.ts";
import { copyText } from "../shared/copies.ts";

/** The archive's place, here or on the node, and what went wrong with it. */
export function* pieces({ item, archive, error }: Captured): Generator<Piece> {
  if (archive !== undefined) {
    const { copy } = item;
    const where = copy === undefined ? say`${location(archive)}` : copyText(archive, copy, item.removedFromNode);
    yield { text: resultText(item, where), name: copy?.path ?? location(archive) };
  }
  if (error !== undefined) yield { error };
}

export function checkpointList(clockOffsetSeconds: number, items: readonly CheckpointItem[]): CheckpointList {
  return { apiVersion: API_VERSION, kind: "CheckpointList", clockOffsetSeconds, items };
}

/** What a run with several targets ends with: how many went well, and every one that did not with its reason. */
export function summaryText(items: readonly CheckpointItem[]): Phrase {
  const failed = items.filter(({ error }) => error !== undefined);
  const head = say`${items.length - failed.length} of ${items.length} containers checkpointed`;
  const lines = failed.map(
    ({ namespace, pod, container, error }) =>
      say`  ${namespace}/${pod} container ${container}: ${error?.reason ?? ""}: ${error?.message ?? ""}`,
  );
  return failed.length === 0 ? head : joined([say`${head}, ${failed.length} failed:`, ...lines], "\n");
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
