import { openArchive } from "../archive/open.ts";
import { bytesMatcher, type Matcher } from "../criu/search/matcher.ts";
import { searchArchive } from "../flows/examine/search.ts";
import { API_VERSION } from "../model/documents.ts";
import { usageError, UserError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import { formatBytes } from "../model/units.ts";
import { activity, item, line, type Item } from "./search/matches.ts";
import { damages, fileWord } from "./shared/archives.ts";
import { COMMON, output, PID } from "./shared/common.ts";
import { count, on } from "./shared/flags.ts";
import { defineVerb } from "./shared/verb.ts";

export interface SearchRequest {
  readonly file: string;
  readonly pattern: { readonly kind: "bytes"; readonly bytes: Buffer } | { readonly kind: "regex"; readonly source: string };
  readonly pid: number | undefined;
  /** Bytes of context before and after a match. */
  readonly around: number;
  /** Matches at most; 0 for all. */
  readonly max: number;
  /** Whether the matches are printed as one document. */
  readonly document: boolean;
}

const AROUND = 32;
const MAX_AROUND = 64 * 1024;
const MAX = 1000;

/** Characters of matches in a document, which is printed at the end of the search. */
const MAX_COLLECTED = 32 << 20;
/** What an item takes besides its match and context. */
const ITEM = 256;

export const verb = defineVerb({
  name: "search",
  summary: "Search the memory in an archive",
  usage: ["search FILE PATTERN [--regex | --hex] [--pid PID] [--around BYTES] [--max N] [options]"],
  description: `Search the memory of all processes in an archive on this machine. PATTERN is searched as bytes of UTF-8; --regex takes a JavaScript
regular expression over bytes (\\x00 to \\xff), --hex takes hexadecimal bytes. Each match is printed with its process, address, region and
surrounding bytes; bytes that are not text are printed as \\xNN.

Memory that was never written to is not in an archive, nor are unmodified pages of programs and libraries. Matches are printed as they are
found. A document (-o json or yaml) has at most 32 MiB of matches; if there are more, "complete" is false and the exit status is 2.

Exit status, as with grep: 0 found, 1 not found, 2 if the search failed or part of the memory could not be searched.`,
  examples: [
    { what: "Is this password still in memory?", command: "kubectl checkpoint search nginx.tar s3cr3t-value" },
    {
      what: "AWS access keys, with 100 bytes before and after each",
      command: "kubectl checkpoint search nginx.tar --regex '(AKIA|ASIA)[0-9A-Z]{16}' --around 100",
    },
    { what: "Binary data in process 7", command: "kubectl checkpoint search nginx.tar --hex 'de ad be ef' --pid 7" },
    {
      what: "In a script: which processes have the token in memory?",
      command: "kubectl checkpoint search nginx.tar \"$TOKEN\" -o json | jq '[.items[].pid] | unique'",
    },
  ],
  flags: {
    regex: on("PATTERN is a regular expression"),
    hex: on("PATTERN is bytes in hexadecimal"),
    pid: PID,
    around: count({ value: "BYTES", least: 0, help: `bytes to print before and after a match (default: ${AROUND})` }),
    max: count({ value: "N", least: 0, help: `stop after N matches, 0 for no limit (default: ${MAX})` }),
    output: output("json", "yaml"),
    ...COMMON,
  },
  failureStatus: 2,
  request(words, flags): SearchRequest {
    const file = fileWord("search", words, " PATTERN");
    const [, pattern, more] = words;
    if (pattern === undefined || pattern === "") throw usageError("PATTERN is required", "kubectl checkpoint search FILE PATTERN");
    if (more !== undefined)
      throw usageError(say`unexpected argument "${more}": search takes one PATTERN`, "quote a pattern that contains spaces");
    if (flags.regex && flags.hex) throw usageError("--regex and --hex cannot be used together");
    const { pid, around = AROUND, max = MAX } = flags;
    if (around > MAX_AROUND)
      throw usageError(
        `invalid value "${around}" for --around: use at most ${MAX_AROUND}`,
        "for more memory: kubectl checkpoint extract FILE --pid PID --range START-END",
      );
    return {
      file,
      pattern: flags.regex ? regex(pattern) : { kind: "bytes", bytes: flags.hex ? hexBytes(pattern) : Buffer.from(pattern) },
      pid,
      around,
      max,
      document: flags.output !== undefined,
    };
  },
  async *run({ file, pattern, pid, around, max, document: collects }, call) {
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
    if (more) call.emit({ kind: "hint", text: say`only the first ${max} matches were printed: use --max N for more, --max 0 for all` });
    const document = { apiVersion: API_VERSION, kind: "MatchList", items, complete: !more && damage.length + problems.length === 0 };
    return { document, exitCode: damage.length + problems.length > 0 ? 2 : count > 0 ? 0 : 1 };
  },
});

/** Characters beyond ASCII stand for their UTF-8 bytes. */
function regex(pattern: string): SearchRequest["pattern"] {
  const source = Buffer.from(pattern).toString("latin1");
  try {
    void new RegExp(source, "gm");
  } catch (error) {
    const reason = (error as Error).message.replace(/^Invalid regular expression: /, "");
    throw usageError(say`invalid regular expression "${pattern}": ${reason}`);
  }
  return { kind: "regex", source };
}

/** "de ad be ef", "0xdeadbeef", "de:ad:be:ef". */
function hexBytes(pattern: string): Buffer {
  const digits = pattern.replace(/^0x/i, "").replaceAll(/[\s:]/g, "");
  if (!/^([0-9a-f]{2})+$/i.test(digits))
    throw usageError(say`invalid hexadecimal bytes "${pattern}": use two digits for each byte, such as deadbeef or 'de ad be ef'`);
  return Buffer.from(digits, "hex");
}

async function matcherFor(pattern: SearchRequest["pattern"]): Promise<Matcher> {
  if (pattern.kind === "bytes") return bytesMatcher(pattern.bytes);
  const { regexMatcher } = await import("../criu/search/regex.ts");
  return regexMatcher(pattern.source);
}

function tooMuch(count: number): UserError {
  return new UserError({
    reason: "TooManyMatches",
    message: say`the document contains only the first ${count} matches`,
    why: say`a document is limited to ${formatBytes(MAX_COLLECTED)} of matches`,
    fix: "use a smaller --around or --max, or rerun without -o: text is printed as it is found",
  });
}
