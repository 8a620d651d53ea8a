import { verify, type Verification } from "../flows/examine/verify/verify.ts";
import { API_VERSION } from "../model/documents.ts";
import { UserError, usageError } from "../model/error.ts";
import { joined, say, styled, type Phrase } from "../model/phrase.ts";
import type { Outcome, Piece } from "../model/report.ts";
import type { Call } from "./command.ts";

/** Throws a usage error. */
export function verifyRequest(words: readonly string[]): readonly string[] {
  if (words.length === 0) throw usageError("which archive?", "kubectl checkpoint verify FILE...");
  return words;
}

export async function* run(call: Call): AsyncGenerator<Piece, Outcome> {
  const files = verifyRequest(call.words);
  const items: object[] = [];
  let sound = 0;
  for (const file of files) {
    try {
      call.emit({ kind: "activity", lane: file, text: say`verifying ${file}` });
      const verification = await verify(file, call);
      const { path, problems, notes } = verification;
      for (const note of notes) call.emit({ kind: "hint", text: say`${path}: ${note}` });
      const ok = problems.length === 0;
      if (ok) sound += 1;
      items.push({ path, ok, problems, notes });
      yield { text: lines(verification), ...(ok ? { name: path } : {}) };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      items.push({ path: file, ok: false, problems: [error.message], notes: [] });
      yield { error };
    } finally {
      call.emit({ kind: "idle", lane: file });
    }
  }
  return {
    document: { apiVersion: API_VERSION, kind: "VerificationList", items },
    exitCode: sound === files.length ? 0 : sound === 0 ? 1 : 3,
  };
}

/** One line a problem; one that says so where there is none. */
function lines({ path, problems, recorded }: Verification): Phrase {
  if (problems.length === 0) {
    return say`${path}: ${styled("good", "OK")}${recorded ? ", as in the record beside it" : ""}`;
  }
  return joined(
    problems.map((problem) => say`${path}: ${styled("bad", problem)}`),
    "\n",
  );
}
