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
  const search = function* <P extends Part>(parts: readonly P[]): Generator<Hit<P>, void> {
    let rest: readonly P[] = parts;
    if (linear === undefined) rest = yield* inTurns(run, expression, parts, PATIENCE);
    if (rest.length === 0) return;
    linear ??= linearExpression(source);
    if (linear !== undefined) rest = yield* inTurns(run, linear, rest, 60 * PATIENCE);
    if (rest.length > 0) yield* inSmallPieces(expression, rest, run);
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

/** Yields what is found; returns what is left to be searched where a turn takes longer than `timeout` milliseconds. */
function* inTurns<P extends Part & { readonly end?: number }>(
  run: Run,
  expression: RegExp,
  parts: readonly P[],
  timeout: number,
): Generator<Hit<P>, readonly P[]> {
  const texts = parts.map(({ bytes, from, to, end = bytes.length }) => ({ text: bytes.toString("latin1", 0, end), from, to }));
  let [index, from] = [0, parts[0]?.from ?? 0];
  while (index < parts.length) {
    const turn = run(expression, texts, index, from, timeout);
    if (turn === undefined) return parts.slice(index).map((part, more) => (more === 0 ? { ...part, from } : part));
    const { found } = turn;
    for (let at = 0; at < found.length; at += 3) {
      const [part, start = 0, length = 0] = [parts[found[at] ?? 0], found[at + 1], found[at + 2]];
      if (part !== undefined) yield { part, start, length: Math.min(length, LONGEST_MATCH) };
    }
    ({ index, from } = turn);
  }
  return [];
}

function* inSmallPieces<P extends Part>(expression: RegExp, parts: readonly P[], run: Run): Generator<Hit<P>> {
  for (const part of parts) {
    for (let from = part.from; from < part.to; from += SMALL) {
      const end = Math.min(part.bytes.length, from + SMALL + LONGEST_MATCH);
      const piece = { ...part, from, to: Math.min(part.to, from + SMALL), end };
      const rest = yield* inTurns(run, expression, [piece], PATIENCE);
      if (rest.length > 0) throw tooSlow(part.address + BigInt(from));
    }
  }
}

/** Numbers of a turn: three of each match. More matches would take memory before anybody has asked for them. */
const TURN = 3 * 8192;

/** Runs inside V8's watchdog: nothing else stops an expression. Ends early where it has found enough for a turn. */
const SEARCH = new Script(`(() => {
  const found = [];
  for (let index = first, start = from; index < texts.length; index += 1, start = texts[index]?.from) {
    const { text, to } = texts[index];
    expression.lastIndex = start;
    for (let match = expression.exec(text); match !== null && match.index < to; match = expression.exec(text)) {
      const { length } = match[0];
      if (length === 0) expression.lastIndex += 1;
      else if (found.push(index, match.index, length) === ${TURN}) return { found, index, from: expression.lastIndex };
    }
  }
  return { found, index: texts.length, from: 0 };
})()`);

/** What a turn has found: index of the text, where in it, how long; and where the next begins. */
interface Turn {
  readonly found: readonly number[];
  readonly index: number;
  readonly from: number;
}

interface SearchedText {
  readonly text: string;
  readonly from: number;
  readonly to: number;
}

/** A turn from a place in one of the texts on; undefined where it takes longer than so many milliseconds. */
type Run = (expression: RegExp, texts: readonly SearchedText[], first: number, from: number, timeout: number) => Turn | undefined;

function runner(): Run {
  const inside: { expression?: RegExp; texts?: readonly SearchedText[]; first?: number; from?: number } = {};
  const context = createContext(inside);
  return (expression, texts, first, from, timeout) => {
    Object.assign(inside, { expression, texts, first, from });
    try {
      return SEARCH.runInContext(context, { timeout }) as Turn;
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
