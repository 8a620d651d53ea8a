import type { RestorePlan } from "../../flows/restore/plan.ts";
import { joined, say, type Phrase } from "../../model/phrase.ts";
import type { Outcome, Piece } from "../../model/report.ts";
import { on, text } from "./flags.ts";
import type { Call } from "./verb.ts";

export const CHECKPOINT_IMAGE = text({ value: "REFERENCE", help: "checkpoint image" });

export const BYPASS_SCHEDULER = on("bind the pod to the node directly: cordons and NoSchedule taints do not matter");

export const EXPLAIN_RESTORE = on("if CRIU fails, wait for the next attempt and read its log through a helper pod");

export function proof(evidence: readonly string[]): Phrase {
  return say`the container was restored: ${joined(evidence, "; ")}`;
}

/** A line for each, and them as the document. */
export async function* shown(call: Call, plan: RestorePlan, objects: readonly object[], how: string): AsyncGenerator<Piece, Outcome> {
  const { name, namespace, policy, gaps, notes } = plan;
  for (const text of gaps) call.emit({ kind: "warning", text });
  for (const text of notes) call.emit({ kind: "hint", text: say`note: ${text}` });
  if (policy !== undefined)
    yield { text: say`networkpolicy/${name} created in namespace ${namespace} (${how})`, name: `networkpolicy/${name}` };
  yield { text: say`pod/${name} created in namespace ${namespace} (${how})`, name: `pod/${name}` };
  const [only] = objects;
  return { document: objects.length === 1 && only !== undefined ? only : { apiVersion: "v1", kind: "List", items: objects }, exitCode: 0 };
}
