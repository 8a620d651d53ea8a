import { openArchive } from "../archive/open.ts";
import { compareArchives } from "../flows/diff/diff.ts";
import { UserError, usageError } from "../model/error.ts";
import type { Outcome, Piece } from "../model/report.ts";
import type { Call } from "./command.ts";
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

async function* diff({ from, to }: DiffRequest, { signal }: Call): AsyncGenerator<Piece, Outcome> {
  await using before = await openArchive(from, { signal });
  await using after = await openArchive(to, { signal });
  const structure = [...before.problems.map((problem) => `${from}: ${problem}`), ...after.problems.map((problem) => `${to}: ${problem}`)];
  const { difference, problems } = await compareArchives({ path: from, archive: before }, { path: to, archive: after }, signal);
  for (const text of differenceViews(difference)) yield { text };
  const all = [...structure.map((message) => new UserError({ reason: "ArchiveDamaged", message })), ...problems];
  for (const error of all) yield { error };
  return { document: difference, exitCode: all.length > 0 ? 2 : difference.same ? 0 : 1 };
}
