import { constants } from "node:os";
import { UserError, type Explanation } from "../model/error.ts";
import { phraseOf, say, type Text } from "../model/phrase.ts";
import { escapeLines } from "./escape.ts";
import { laidOut } from "./layout.ts";

/** "error: ", and the others below it. */
const LABEL = 7;
const ISSUES = "https://github.com/kubectl-checkpoint/kubectl-checkpoint/issues";

/**
 * A failure as users read it: what happened, then why and what to do where known. Several lines stay below their label; for a terminal they
 * are broken between words.
 */
export function errorText(error: unknown, paint: (label: string) => string, stream?: NodeJS.WriteStream): string {
  const { message, why, fix } = explanation(error);
  const width = columnsOf(stream) - LABEL;
  const lines = [`${paint("error:")} ${hanging(message, width)}`];
  if (why !== undefined) lines.push(`  ${paint("why:")} ${hanging(why, width)}`);
  if (fix !== undefined) lines.push(`  ${paint("fix:")} ${hanging(fix, width)}`);
  return lines.join("\n");
}

/** Of a terminal; infinite elsewhere. */
export function columnsOf(stream: NodeJS.WriteStream | undefined): number {
  return stream?.isTTY === true ? stream.columns || 80 : Infinity;
}

/** What -v=9 adds: where the error comes from, and its causes. */
export function stackText(error: unknown): string {
  const parts: string[] = [];
  for (let cause = error; cause instanceof Error; cause = cause.cause) parts.push(escapeLines(cause.stack ?? cause.message));
  return parts.join("\ncaused by ");
}

/** 128+n; Windows has no SIGPIPE, which is 13 elsewhere. */
export function signalStatus(signal: NodeJS.Signals): number {
  return 128 + (constants.signals[signal] ?? 13);
}

export function exitCodeOf(error: unknown): number {
  return error instanceof UserError ? error.exitCode : 1;
}

function explanation(error: unknown): Omit<Explanation, "reason"> {
  if (error instanceof UserError) return error.said;
  return {
    message: say`internal error: ${error instanceof Error ? error.message : String(error)}`,
    why: "this is a bug in kubectl checkpoint",
    fix: `rerun with -v=9 and report the output at ${ISSUES}`,
  };
}

/** Line breaks of ours are indented below the label; those of a value are shown as escapes. */
function hanging(text: Text, width: number): string {
  return laidOut(phraseOf(text), width, (piece) => piece, 0)
    .trimEnd()
    .replaceAll("\n", `\n${" ".repeat(LABEL)}`);
}
