import { setFlagsFromString } from "node:v8";
import { createContext, Script } from "node:vm";
import { UserError } from "../../model/error.ts";
import { hex } from "../numbers.ts";
import type { Hit, Matcher } from "./matcher.ts";
import type { Part } from "./windows.ts";

/** Bytes of the longest match of a regular expression: longer ones are cut. A lookbehind sees as many before it. */
export const LONGEST_MATCH = 4096;

const CHUNK = 1 << 20;
/** What takes too long is tried again in pieces of so many bytes. */
const SMALL = 16 * 1024;
/** How long a window or piece may take, in milliseconds. Memory without anything awkward takes a few. */
const PATIENCE = 1000;

/**
 * Finds a regular expression of JavaScript over bytes: each byte is a character from U+0000 to U+00FF. "^" and "$" match
 * at lines. An expression that backtracks without end is stopped, and tried by V8's engine that never does; what that
 * does not know (repetition of more than a few, lookaround) is tried in small pieces. `excuse` runs what takes its time because of
 * the expression. Throws a SyntaxError where it is no expression; hits() a UserError where even that takes too long.
 */
export function regexMatcher(source: string, excuse: <T>(work: () => T) => T = (work) => work()): Matcher {
  const expression = new RegExp(source, "gm");
  const running = runner();
  const run: Run = (...given) => excuse(() => running(...given));
  let linear: RegExp | undefined;
  const search = <P extends Part>(parts: readonly P[]): Iterable<Hit<P>> => {
    const hits = linear === undefined ? run(expression, parts, PATIENCE) : undefined;
    if (hits !== undefined) return hits;
    linear ??= linearExpression(source);
    return (linear && run(linear, parts, 60 * PATIENCE)) ?? inSmallPieces(expression, parts, run);
  };
  return { longest: LONGEST_MATCH, lead: LOOKBEHIND.test(source) ? LONGEST_MATCH : 1, chunk: CHUNK, hits: search };
}

/** Without one, an expression sees one byte before a match: where a line or word begins. */
const LOOKBEHIND = /\(\?<[=!]/;

/** "l" is V8's own. */
const LINEAR = "gml";

/** The same expression for V8's linear engine; undefined where that cannot run it. */
function linearExpression(source: string): RegExp | undefined {
  setFlagsFromString("--enable-experimental-regexp-engine");
  try {
    return new RegExp(source, LINEAR);
  } catch {
    return undefined;
  }
}

function* inSmallPieces<P extends Part>(expression: RegExp, parts: readonly P[], run: Run): Generator<Hit<P>> {
  for (const part of parts) {
    for (let from = part.from; from < part.to; from += SMALL) {
      const piece = { ...part, from, to: Math.min(part.to, from + SMALL), end: from + SMALL + LONGEST_MATCH };
      const hits = run(expression, [piece], PATIENCE);
      if (hits === undefined) throw tooSlow(part.address + BigInt(from));
      for (const hit of hits) yield { ...hit, part };
    }
  }
}

/** Runs inside V8's watchdog: nothing else stops an expression. */
const SEARCH = new Script(`(() => {
  const found = [];
  for (const [index, { text, from, to }] of texts.entries()) {
    expression.lastIndex = from;
    for (let match = expression.exec(text); match !== null && match.index < to; match = expression.exec(text)) {
      const { length } = match[0];
      if (length === 0) expression.lastIndex += 1;
      else found.push([index, match.index, length]);
    }
  }
  return found;
})()`);

/** The matches; undefined where they are not found within so many milliseconds. */
type Run = <P extends Part>(expression: RegExp, parts: readonly (P & { readonly end?: number })[], timeout: number) => Hit<P>[] | undefined;

function runner(): Run {
  const inside: { expression?: RegExp; texts?: object[] } = {};
  const context = createContext(inside);
  return (expression, parts, timeout) => {
    inside.expression = expression;
    inside.texts = parts.map(({ bytes, from, to, end }) => ({
      text: bytes.toString("latin1", 0, Math.min(end ?? bytes.length, bytes.length)),
      from,
      to,
    }));
    try {
      const found = SEARCH.runInContext(context, { timeout }) as [number, number, number][];
      return found.map(([index, start, length]) => ({
        part: parts[index] as (typeof parts)[number],
        start,
        length: Math.min(length, LONGEST_MATCH),
      }));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return undefined;
      throw error;
    }
  };
}

function tooSlow(address: bigint): UserError {
  return new UserError({
    reason: "RegexTooSlow",
    message: `the regular expression takes too long on the memory at ${hex(address)}`,
    why: "it tries many ways to match the same bytes",
    fix: "begin it with something definite instead of .* or [a-z]+, and repeat nothing that repeats",
  });
}
