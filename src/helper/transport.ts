import { setTimeout as sleep } from "node:timers/promises";
import { ApiFailure } from "../cluster/answer.ts";
import { UserError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import { formatBytes } from "../model/units.ts";

/**
 * Takes bytes as they arrive, which are only there until it returns: what is needed longer it copies. Where it answers with a
 * promise, no more come until that has settled.
 */
export type Sink = (piece: Buffer) => Promise<void> | undefined;

/** A range of a file, its ends included, as HTTP counts. */
export interface Range {
  /** Below the served directory, escaped. */
  readonly path: string;
  readonly first: number;
  readonly last: number;
  /** Of the whole file: another size means that it has changed. */
  readonly size: number;
}

/** How operations and bytes travel: HTTP through a tunnel, or exec. Both throw TransferCut where an answer ends too early. */
export interface Transport {
  readonly kind: "http" | "exec";
  /** The whole output of an operation: small, and known to be complete. */
  ask(operation: readonly string[], signal: AbortSignal, idleMs?: number): Promise<string>;
  /**
   * The output of an operation as it comes; whether it is complete only the caller can tell. `enough` may do so before the
   * connection ends, which it does only a second after the last byte.
   */
  pour(operation: readonly string[], sink: Sink, signal: AbortSignal, enough: AbortSignal): Promise<void>;
  /** The bytes of a range, as they lie on the disk; undefined where only operations are to be had. */
  range?(range: Range, sink: Sink, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** An operation's text answer, without its last line, which proves that it is complete. Throws TransferCut, or what the pod refused. */
export async function gathered(work: (sink: Sink, enough: AbortSignal) => Promise<void>): Promise<string> {
  let text = "";
  const enough = new AbortController();
  await work((piece) => {
    text += piece.toString("latin1");
    if (text === "end\n" || text.endsWith("\nend\n")) enough.abort();
    return text.length > MAX_TEXT ? Promise.reject(tooLong()) : undefined;
  }, enough.signal);
  if (!text.endsWith("end\n")) throw cut("the answer was cut off");
  const answer = text.slice(0, -"end\n".length);
  const refused = /(?:^|\n)no (\w+)\n$/.exec(answer)?.[1];
  if (refused !== undefined)
    throw new UserError({ reason: REFUSED[refused] ?? "HelperFailed", message: say`the helper pod refused the request: no ${refused}` });
  return answer;
}

const MAX_TEXT = 16 * 1024 * 1024;

/** Asked again it would be as long. */
function tooLong(): UserError {
  return new UserError({ reason: "AnswerTooLong", message: say`the helper pod's answer is longer than ${formatBytes(MAX_TEXT)}` });
}

/** The operations' refusals as reasons. */
const REFUSED: Readonly<Record<string, string>> = { file: "ArchiveNotFound", name: "ArchiveNameInvalid", directory: "HelperFailed" };

export function cut(why: string, cause?: unknown): UserError {
  return new UserError({ reason: "TransferCut", message: "the transfer was interrupted", why, cause });
}

/** Without success for this long, a thing is given up: an API server or a kubelet that restarts is back by then. */
export const PATIENCE_MS = 90_000;

/** Does something again, with growing pauses, as long as only passing errors come. For what may be done twice. */
export async function persistently<T>(work: () => Promise<T>, signal: AbortSignal, firstMs = 200): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  for (let pause = firstMs; ; pause = Math.min(5000, pause * 2)) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (!isPassing(error) || performance.now() > deadline) throw error;
      await sleep(pause, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

/** Whether another try may not meet this error again. */
export function isPassing(error: unknown): boolean {
  if (error instanceof ApiFailure) return error.status >= 500 || error.status === 429;
  return (
    error instanceof UserError &&
    /^(TransferCut|TunnelBroken|ExecBroken|ApiserverUnreachable|ConnectionLost|RequestTimedOut)$/.test(error.reason)
  );
}
