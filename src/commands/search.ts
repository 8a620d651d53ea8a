import { openArchive } from "../archive/open.ts";
import { hex } from "../criu/numbers.ts";
import { bytesMatcher, type Matcher } from "../criu/search/matcher.ts";
import { searchArchive, type Found } from "../flows/examine/search.ts";
import { API_VERSION } from "../model/documents.ts";
import { usageError, UserError } from "../model/error.ts";
import type { Flags } from "../model/flags.ts";
import { say, styled, type Phrase } from "../model/phrase.ts";
import type { Outcome, Piece } from "../model/report.ts";
import { formatBytes, parseCount } from "../model/units.ts";
import type { Call } from "./command.ts";
import { damages } from "./damages.ts";
import { escapeBytes } from "./search/bytes.ts";
import { trouble } from "./trouble.ts";

export interface SearchRequest {
  readonly file: string;
  readonly pattern: { readonly kind: "bytes"; readonly bytes: Buffer } | { readonly kind: "regex"; readonly source: string };
  readonly pid: number | undefined;
  /** Bytes of context before and after a match. */
  readonly around: number;
  /** Matches at most; 0 for all. */
  readonly max: number;
}

const AROUND = 32;
const MAX_AROUND = 64 * 1024;
const MAX = 1000;

/** Characters that a document may hold: it is printed when all is found. */
const MAX_COLLECTED = 32 << 20;
/** What an item takes besides its match and context. */
const ITEM = 256;

/** Throws a usage error. */
export function searchRequest(words: readonly string[], flags: Flags): SearchRequest {
  const [file, pattern, ...more] = words;
  if (file === undefined || file === "") throw usageError("which archive?", "kubectl checkpoint search FILE PATTERN");
  if (pattern === undefined || pattern === "") throw usageError("what is to be found? PATTERN", "kubectl checkpoint search FILE PATTERN");
  if (more.length > 0) throw usageError(`one PATTERN at a time, not ${words.length - 1}`, "quote a pattern that has spaces");
  if (flags.on("regex") && flags.on("hex")) throw usageError("--regex and --hex: one of them");
  const pid = flags.text("pid");
  const around = parseCount(flags.text("around") ?? String(AROUND), "--around", 0);
  if (around > MAX_AROUND)
    throw usageError(`--around: ${around} is more than ${MAX_AROUND} bytes`, "extract --range takes more of the memory");
  return {
    file,
    pattern: flags.on("regex") ? regex(pattern) : { kind: "bytes", bytes: flags.on("hex") ? hexBytes(pattern) : Buffer.from(pattern) },
    pid: pid === undefined ? undefined : parseCount(pid, "--pid"),
    around,
    max: parseCount(flags.text("max") ?? String(MAX), "--max", 0),
  };
}

/** Characters beyond ASCII stand for their UTF-8 bytes. */
function regex(pattern: string): SearchRequest["pattern"] {
  const source = Buffer.from(pattern).toString("latin1");
  try {
    void new RegExp(source, "gm");
  } catch (error) {
    throw usageError(`"${pattern}" is not a regular expression: ${(error as Error).message.replace(/^Invalid regular expression: /, "")}`);
  }
  return { kind: "regex", source };
}

/** "de ad be ef", "0xdeadbeef", "de:ad:be:ef". */
function hexBytes(pattern: string): Buffer {
  const digits = pattern.replace(/^0x/i, "").replaceAll(/[\s:]/g, "");
  if (!/^([0-9a-f]{2})+$/i.test(digits))
    throw usageError(`--hex: "${pattern}" is not a row of bytes`, "two digits a byte: deadbeef, or 'de ad be ef'");
  return Buffer.from(digits, "hex");
}

export async function* run(call: Call): AsyncGenerator<Piece, Outcome> {
  const request = searchRequest(call.words, call.flags);
  try {
    return yield* search(request, call);
  } catch (error) {
    // As grep: 1 says that nothing was found.
    throw trouble(error);
  }
}

async function* search({ file, pattern, pid, around, max }: SearchRequest, call: Call): AsyncGenerator<Piece, Outcome> {
  const { signal } = call;
  await using archive = await openArchive(file, call);
  const damage = damages(file, archive);
  for (const error of damage) yield { error };
  const problems: UserError[] = [];
  const progress = activity(call);
  const settings = {
    matcher: await matcherFor(pattern),
    pid,
    around,
    signal,
    progress,
    tell: (problem: UserError) => problems.push(problem),
  };
  const collects = call.flags.text("output") !== undefined;
  const items: Item[] = [];
  let collected = 0;
  let count = 0;
  let more = false;
  for await (const found of searchArchive(archive, settings)) {
    if (max !== 0 && count === max) {
      more = true;
      break;
    }
    if (collects) {
      const next = item(found);
      collected += ITEM + next.match.length + next.context.length;
      if (collected > MAX_COLLECTED) {
        problems.push(tooMuch(count));
        break;
      }
      items.push(next);
    } else {
      yield { text: line(found) };
    }
    count += 1;
  }
  for (const error of problems) yield { error };
  if (more) call.emit({ kind: "hint", text: say`Only the first ${max} matches are shown: --max has more, --max 0 all` });
  const document = { apiVersion: API_VERSION, kind: "MatchList", items, complete: !more && damage.length + problems.length === 0 };
  return { document, exitCode: damage.length + problems.length > 0 ? 2 : count > 0 ? 0 : 1 };
}

async function matcherFor(pattern: SearchRequest["pattern"]): Promise<Matcher> {
  if (pattern.kind === "bytes") return bytesMatcher(pattern.bytes);
  const { regexMatcher } = await import("../criu/search/regex.ts");
  return regexMatcher(pattern.source);
}

function tooMuch(count: number): UserError {
  return new UserError({
    reason: "TooManyMatches",
    message: `only the first ${count} matches are in the document`,
    why: `with the next one it would have more than ${formatBytes(MAX_COLLECTED)}, and it is held in memory until all is found`,
    fix: "take a smaller --around or --max, or leave -o out: text is printed as it is found",
  });
}

interface Item {
  readonly pid: number;
  readonly process: string;
  readonly address: string;
  readonly region: string;
  readonly offset: number;
  readonly bytes: number;
  readonly match: string;
  readonly context: string;
  readonly mapped?: false;
}

function item({ process, address, region, offset, before, bytes, after, mapped }: Found): Item {
  const match = escapeBytes(bytes);
  return {
    pid: process.pid,
    process: process.comm,
    address: hex(address),
    region,
    offset: Number(offset),
    bytes: bytes.length,
    match,
    context: [escapeBytes(before), match, escapeBytes(after)].join(""),
    ...(mapped ? {} : { mapped }),
  };
}

function line({ process, address, region, before, bytes, after, mapped }: Found): Phrase {
  const where = say`${process.pid} ${process.comm} ${mapped ? hex(address) : `not mapped, byte ${hex(address)}`} ${region}`;
  return say`${styled("dim", where)}: ${shortened(before)}${styled("strong", escapeBytes(bytes))}${shortened(after)}`;
}

/** Without the rest of each row of zero bytes: people have no use for them. */
function shortened(bytes: Buffer): string {
  return escapeBytes(bytes).replaceAll(/(\\x00){4,}/g, "\\x00…");
}

/** How often progress is told: every so many bytes. */
const STEP = 64 << 20;

function activity({ emit }: Call) {
  let searched = 0;
  let told = 0;
  return ({ pid, comm }: Found["process"], bytes: number): void => {
    searched += bytes;
    if (searched - told < STEP) return;
    told = searched;
    emit({ kind: "activity", lane: "search", text: say`searched ${formatBytes(searched)}, now process ${pid} ${comm}` });
  };
}
