import { openArchive } from "../archive/open.ts";
import { compareArchives } from "../flows/examine/diff/diff.ts";
import { usageError } from "../model/error.ts";
import type { Outcome, Piece } from "../model/report.ts";
import type { Call } from "./command.ts";
import { damages } from "./damages.ts";
import { differenceViews } from "./diff/views.ts";
import { trouble } from "./trouble.ts";

export interface DiffRequest {
  readonly from: string;
  readonly to: string;
}

/** Throws a usage error. */
export function diffRequest(words: readonly string[]): DiffRequest {
  const [from, to, ...more] = words;
  if (from === undefined || to === undefined || from === "" || to === "") {
    throw usageError("which archives? Two of them", "kubectl checkpoint diff FILE FILE");
  }
  if (more.length > 0) throw usageError(`two archives, not ${words.length}`);
  if (from === "-" && to === "-") throw usageError("only one of the archives can be standard input");
  return { from, to };
}

export async function* run(call: Call): AsyncGenerator<Piece, Outcome> {
  const request = diffRequest(call.words);
  try {
    return yield* diff(request, call);
  } catch (error) {
    // As diff: 1 says that they differ.
    throw trouble(error);
  }
}

async function* diff({ from, to }: DiffRequest, call: Call): AsyncGenerator<Piece, Outcome> {
  await using before = await openArchive(from, call);
  await using after = await openArchive(to, call);
  const damage = [...damages(from, before), ...damages(to, after)];
  for (const error of damage) yield { error };
  const { difference: compared, problems } = await compareArchives(
    { path: from, archive: before },
    { path: to, archive: after },
    call.signal,
  );
  const difference = { ...compared, problems: [...damage, ...problems].map(({ message }) => message) };
  for (const text of differenceViews(difference)) yield { text };
  for (const error of problems) yield { error };
  return { document: difference, exitCode: damage.length + problems.length > 0 ? 2 : difference.same ? 0 : 1 };
}
