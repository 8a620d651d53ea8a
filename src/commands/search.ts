import type { Budget } from "../archive/budget.ts";
import { bytesMatcher, eitherMatcher, type Matcher } from "../criu/search/matcher.ts";
import { SCOPES, type Scope } from "../flows/examine/search/location.ts";
import { searchArchive } from "../flows/examine/search/search.ts";
import { usageError, UserError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import { formatBytes } from "../model/units.ts";
import { activity, item, line, matchList, type Item } from "./search/matches.ts";
import { damages, fileWord, openCheckpoint, orOffered, PREVIOUS, volumesBeside } from "./shared/archives.ts";
import { COMMON, output, PID, RULES } from "./shared/common.ts";
import { noted, PULL, pulling, registrySettings, type ReadingSettings } from "./shared/registry.ts";
import { choices, count, on } from "./shared/flags.ts";
import { defineVerb } from "./shared/verb.ts";

type SearchPattern =
  | { readonly kind: "bytes"; readonly forms: readonly Buffer[] }
  | { readonly kind: "regex"; readonly source: string }
  /** Files and directories of YARA rules. */
  | { readonly kind: "rules"; readonly paths: readonly string[] };

export interface SearchRequest {
  readonly file: string;
  /** The archive of the checkpoint before. */
  readonly previous: string | undefined;
  readonly registry: ReadingSettings;
  /** Bytes in one of several forms, or a regular expression. */
  readonly pattern: SearchPattern;
  readonly scopes: readonly Scope[];
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
/** The size of an item without its match and context. */
const ITEM = 256;

export const verb = defineVerb({
  name: "search",
  summary: "Search memory, files and queues in an archive",
  usage: [
    "search FILE PATTERN [--regex | --hex | --utf16] [--pid PID] [--in memory|files|queues]... [options]",
    "search FILE --rules FILE|DIR... [--pid PID] [--in memory|files]... [options]",
  ],
  description: `Search everything in an archive on this machine: the memory of all processes, files (changes in the root file system, tmpfs, deleted
files, memfds, logs, the engine's and CRIU's own files, volumes that were copied with it) and queues (unread bytes of pipes, sockets and message queues). PATTERN is
searched as bytes of UTF-8; --regex takes a JavaScript regular expression over bytes (\\x00 to \\xff), --hex takes hexadecimal bytes,
--utf16 searches PATTERN in UTF-16 of both byte orders. Each match is printed with its place and surrounding bytes; bytes that are not
text are printed as \\xNN.

Memory that was never written to is not in an archive, nor are unmodified pages of programs and libraries. Matches are printed as they are
found. A document (-o json or yaml) has at most 32 MiB of matches. What could not be searched is listed on stderr and in "notSearched";
"complete" is true only if everything was searched.

--rules scans with YARA rules (yara-x, with the modules elf, hash and math): each region of memory with the pages that the archive has of it, and each changed,
deleted or anonymous file, is one scan. What is larger than 256 MiB is scanned in pieces.

Exit status, as with grep: 0 found, 1 not found, 2 if the search failed or a part could not be searched.`,
  examples: [
    { what: "Is this password anywhere in it?", command: "kubectl checkpoint search nginx.tar s3cr3t-value" },
    {
      what: "AWS access keys, with 100 bytes before and after each",
      command: "kubectl checkpoint search nginx.tar --regex '(AKIA|ASIA)[0-9A-Z]{16}' --around 100",
    },
    { what: "Which YARA rules match, and where?", command: "kubectl checkpoint search nginx.tar --rules rules/" },
    { what: "Binary data in process 7", command: "kubectl checkpoint search nginx.tar --hex 'de ad be ef' --pid 7" },
    {
      what: "In a script: which processes have the token in memory?",
      command: "kubectl checkpoint search nginx.tar \"$TOKEN\" --in memory -o json | jq '[.items[].pid] | unique'",
    },
  ],
  flags: {
    regex: on("PATTERN is a regular expression"),
    hex: on("PATTERN is bytes in hexadecimal"),
    utf16: on("PATTERN is text in UTF-16"),
    rules: RULES,
    pid: PID,
    in: choices(SCOPES, { help: "search only this part, may be repeated (default: all)" }),
    around: count({ value: "BYTES", least: 0, help: `bytes to print before and after a match (default: ${AROUND})` }),
    max: count({ value: "N", least: 0, help: `stop after N matches, 0 for no limit (default: ${MAX})` }),
    previous: PREVIOUS,
    output: output("json", "yaml"),
    ...PULL,
    ...COMMON,
  },
  failureStatus: 2,
  request(words, flags): SearchRequest {
    const file = fileWord("search", words, " PATTERN");
    const [, pattern, more] = words;
    const { rules } = flags;
    if (rules.length > 0) checkRules(pattern, flags);
    else if (pattern === undefined || pattern === "") throw usageError("PATTERN is required", "kubectl checkpoint search FILE PATTERN");
    if (more !== undefined)
      throw usageError(say`unexpected argument "${more}": search takes one PATTERN`, "quote a pattern that contains spaces");
    const forms = (["regex", "hex", "utf16"] as const).filter((form) => flags[form]).map((form) => `--${form}`);
    if (forms.length > 1) throw usageError(say`${forms.join(" and ")} cannot be used together`);
    const { pid, previous, around = AROUND, max = MAX } = flags;
    if (around > MAX_AROUND)
      throw usageError(
        `invalid value "${around}" for --around: use at most ${MAX_AROUND}`,
        "for more memory: kubectl checkpoint extract FILE --pid PID --range START-END",
      );
    return {
      file,
      previous,
      registry: registrySettings(flags),
      pattern:
        rules.length > 0
          ? { kind: "rules", paths: rules }
          : flags.regex
            ? regex(pattern ?? "")
            : { kind: "bytes", forms: formsOf(pattern ?? "", flags) },
      scopes: flags.in.length === 0 ? SCOPES : flags.in,
      pid,
      around,
      max,
      document: flags.output !== undefined,
    };
  },
  async *run({ file: given, previous, registry, pattern, scopes, pid, around, max, document: collects }, call) {
    const { signal } = call;
    const [file = given] = await orOffered([given], call);
    await noted(call, registry, "search", previous === undefined ? [file] : [file, previous]);
    const reading = pulling(call, registry);
    await using archive = await openCheckpoint(file, previous, reading);
    const problems = damages(file, archive);
    await using volumes = scopes.includes("files")
      ? await volumesBeside(file, archive.budget, reading, (error) => problems.push(error))
      : undefined;
    if (pattern.kind === "rules") {
      const { searchRules } = await import("./search/rules.ts");
      return yield* searchRules(archive, { rules: pattern.paths, scopes, pid, max, volumes }, problems, call);
    }
    const settings = {
      matcher: await matcherFor(pattern, archive.budget),
      scopes: new Set(scopes),
      pid,
      around,
      signal,
      volumes,
      progress: activity(call),
      tell: (problem: UserError) => {
        if (!problems.some(({ message }) => message === problem.message)) problems.push(problem);
      },
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
    return yield* matchList(call, { scopes, items, count, max: more ? max : undefined, problems });
  },
});

/** Throws a usage error where rules are given with what is of a pattern. */
function checkRules(
  pattern: string | undefined,
  flags: {
    readonly in: readonly Scope[];
    readonly around: number | undefined;
    readonly regex: boolean;
    readonly hex: boolean;
    readonly utf16: boolean;
  },
): void {
  if (pattern !== undefined) throw usageError(say`unexpected argument "${pattern}": PATTERN and --rules cannot be used together`);
  for (const flag of ["regex", "hex", "utf16", "around"] as const)
    if (flags[flag] !== undefined && flags[flag] !== false) throw usageError(say`--rules and ${`--${flag}`} cannot be used together`);
  if (flags.in.includes("queues")) throw usageError("--rules and --in queues cannot be used together: rules scan memory and files");
}

function formsOf(pattern: string, { hex, utf16 }: { readonly hex: boolean; readonly utf16: boolean }): Buffer[] {
  if (hex) return [hexBytes(pattern)];
  if (!utf16) return [Buffer.from(pattern)];
  const little = Buffer.from(pattern, "utf16le");
  return [little, Buffer.from(little).swap16()];
}

/** Characters beyond ASCII stand for their UTF-8 bytes. */
function regex(pattern: string): SearchPattern {
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

async function matcherFor(pattern: Exclude<SearchPattern, { readonly kind: "rules" }>, budget: Budget): Promise<Matcher> {
  if (pattern.kind === "bytes") return eitherMatcher(pattern.forms.map(bytesMatcher));
  const { regexMatcher } = await import("../criu/search/regex.ts");
  return regexMatcher(pattern.source, (work) => budget.excuse(work));
}

function tooMuch(count: number): UserError {
  return new UserError({
    reason: "TooManyMatches",
    message: say`the document contains only the first ${count} matches`,
    why: say`a document is limited to ${formatBytes(MAX_COLLECTED)} of matches`,
    fix: "use a smaller --around or --max, or rerun without -o: text is printed as it is found",
  });
}
