import { ApiFailure } from "../../cluster/answer.ts";
import { skip, warn, type Finding } from "../../doctor/finding.ts";
import { say } from "../../model/phrase.ts";
import type { FlowContext } from "../context.ts";
import { leftMoves } from "../restore/move/leftovers.ts";

/** Pods in the namespace that moves have left which were killed, or that are being moved. Nothing where there are none. */
export async function movesLeft({ connection }: FlowContext, namespace: string): Promise<Finding[]> {
  const about = { check: "moves", decides: [] };
  try {
    const found = await leftMoves({ connection }, namespace);
    return found.map(({ message, fix }) => ({ ...about, ...warn(message, fix) }));
  } catch (error) {
    if (!(error instanceof ApiFailure)) throw error;
    return [{ ...about, ...skip(say`pods could not be listed (${error.whole}): whether a move is unfinished is unknown`) }];
  }
}
