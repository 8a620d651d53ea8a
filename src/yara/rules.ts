import { Compiler, initSync, type Rules as CompiledRules, type Scanner } from "@virustotal/yara-x";
import { UserError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import { yaraModule } from "./module.ts";

/** A file of rules. */
export interface RuleFile {
  readonly path: string;
  readonly text: string;
}

export interface RuleMatch {
  readonly rule: string;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, unknown>>;
  readonly strings: readonly { readonly identifier: string; readonly offset: number; readonly length: number }[];
}

/** Matches of one pattern that are reported. */
const MOST_MATCHES = 100;
const TIMEOUT_MS = 300_000;

/** Compiled rules. Their memory is WebAssembly's, which is given back at the end. */
export class Rules implements Disposable {
  readonly #rules: CompiledRules;
  readonly #scanner: Scanner;
  /** Names of rules whose answer on a piece is that on the whole: any string of theirs is enough. */
  readonly anyString: ReadonlySet<string>;
  readonly names: readonly string[];
  readonly warnings: readonly string[];

  /** Throws a UserError with the lines that are wrong. */
  constructor(files: readonly RuleFile[]) {
    initSync({ module: yaraModule() });
    using compiler = new Compiler();
    for (const { path, text } of files) {
      // Rules of two files may have the same names.
      compiler.newNamespace(path);
      try {
        compiler.addSource(text);
      } catch (error) {
        throw invalidRules(path, error);
      }
    }
    const found = files.flatMap(({ text }) => [...conditionsIn(text)]);
    // Such a file is sound, and a search by it would find nothing.
    if (found.length === 0)
      throw new UserError({ reason: "NoRules", message: say`${files.map(({ path }) => path).join(", ")} has no rules`, exitCode: 2 });
    this.#rules = compiler.build();
    this.#scanner = this.#rules.scanner();
    this.#scanner.setMaxMatchesPerPattern(MOST_MATCHES);
    this.#scanner.setTimeoutMs(TIMEOUT_MS);
    this.warnings = this.#rules.warnings;
    this.names = found.map(({ name }) => name);
    this.anyString = decidedByAny(found);
  }

  /** Matches in bytes that are one: a region, a file. Throws a UserError where it takes too long. */
  scan(bytes: Uint8Array): RuleMatch[] {
    let result: ScanResult;
    try {
      result = this.#scanner.scan(bytes) as ScanResult;
    } catch (error) {
      throw new UserError({ reason: "RulesFailed", message: say`the rules failed: ${messageOf(error)}`, cause: error });
    }
    return result.matches
      .filter(({ isPrivate }) => !isPrivate)
      .map(({ identifier, tags, metadata, patterns }) => ({
        rule: identifier,
        tags,
        meta: Object.fromEntries(metadata.map((one) => [one.identifier, one.value])),
        strings: patterns
          .filter((pattern) => !pattern.isPrivate)
          .flatMap((pattern) => pattern.matches.map(({ offset, length }) => ({ identifier: pattern.identifier, offset, length }))),
      }));
  }

  [Symbol.dispose](): void {
    this.#scanner.free();
    this.#rules.free();
  }
}

/** What scan() of yara-x answers. */
interface ScanResult {
  readonly matches: readonly {
    readonly identifier: string;
    readonly isPrivate: boolean;
    readonly tags: readonly string[];
    readonly metadata: readonly { readonly identifier: string; readonly value: unknown }[];
    readonly patterns: readonly {
      readonly identifier: string;
      readonly isPrivate: boolean;
      readonly matches: readonly { readonly offset: number; readonly length: number }[];
    }[];
  }[];
}

/** "any of them", "$a or $b": whatever else there is, a match is one. */
const ANY_STRING = /^\s*\(*\s*(any\s+of\s+(them|\([$\w*,\s]+\))|\$\w*(\s+or\s+\$\w*)*)\s*\)*\s*$/;

interface FoundRule {
  readonly name: string;
  readonly condition: string;
  readonly isGlobal: boolean;
}

/** Files may have rules of the same name, which matches do not tell apart; and where a global rule does not hold, none does. */
function decidedByAny(rules: readonly FoundRule[]): Set<string> {
  if (rules.some(({ isGlobal }) => isGlobal)) return new Set();
  const others = new Set(rules.filter(({ condition }) => !ANY_STRING.test(condition)).map(({ name }) => name));
  return new Set(rules.map(({ name }) => name).filter((name) => !others.has(name)));
}

/** Strings, comments and regular expressions: whichever begins first. Division is another character. */
const LITERAL = /"(?:[^"\\\n]|\\.)*"|\/\*[^]*?\*\/|\/\/[^\n]*|\/(?:[^/\\\n]|\\.)+\//g;

/** Rules without their comments. */
export function withoutComments(text: string): string {
  return text.replaceAll(LITERAL, (part) => (/^\/[*/]/.test(part) ? " " : part));
}

/** Rules with their conditions; comments, strings and regular expressions are no part of them. */
function* conditionsIn(text: string): Generator<FoundRule> {
  const code = text.replaceAll(LITERAL, (part) =>
    part.startsWith('"') ? '""' : part.startsWith("/*") || part.startsWith("//") ? " " : "/x/",
  );
  for (const [, kinds = "", name = "", body = ""] of code.matchAll(
    /\b((?:(?:private|global)\s+)*)rule\s+(\w+)[^{]*\{([^]*?)(?=\n?\s*(?:(?:private|global)\s+)*rule\s+\w+|$)/g,
  )) {
    yield { name, condition: /\bcondition\s*:([^]*?)\}\s*$/.exec(body.trimEnd())?.[1] ?? "", isGlobal: kinds.includes("global") };
  }
}

function invalidRules(path: string, error: unknown): UserError {
  const [first = "", ...more] = messageOf(error).split("\n");
  const line = more.find((one) => one.includes("-->")) ?? "";
  const at = /line:(\d+):(\d+)/.exec(line);
  const shown = more.filter((one) => one !== line && !/^\s*\|?\s*$/.test(one)).map((one) => one.trimEnd());
  return new UserError({
    reason: "InvalidRules",
    message: say`${path}${at === null ? "" : `:${at[1]}:${at[2]}`}: ${first.replace(/^error\[\w+\]: /, "")}`,
    why: shown.join(" "),
    exitCode: 2,
    cause: error,
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
