// What is done with a mutated archive: everything that reads one, as a user's command would.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Chalk } from "chalk";
import { errorText } from "../../src/cli/errors.ts";
import { escapeJson } from "../../src/cli/escape.ts";
import { Renderer } from "../../src/cli/render.ts";
import type { Verb } from "../../src/commands/shared/verb.ts";
import { verb as diff } from "../../src/commands/diff.ts";
import { verb as extract } from "../../src/commands/extract.ts";
import { verb as inspect } from "../../src/commands/inspect.ts";
import { verb as report } from "../../src/commands/report.ts";
import { verb as search } from "../../src/commands/search.ts";
import { verb as show } from "../../src/commands/show.ts";
import { verb as verify } from "../../src/commands/verify.ts";
import { UserError } from "../../src/model/error.ts";
import type { Piece } from "../../src/model/report.ts";
import { runVerb, type Ran } from "../commands/running.ts";
import { collectGarbage } from "./memory.ts";
import { recordBeside } from "./beside.ts";
import { soundCore } from "./elf.ts";
import { nothingHidden, somewhereIn } from "./hidden.ts";
import { TRAP, type Mutant } from "./mutate.ts";
import type { Random } from "./random.ts";

interface Target {
  readonly command: Verb;
  readonly words: readonly string[];
  readonly flags?: Flags;
}

type Flags = NonNullable<Parameters<typeof runVerb>[2]>;

/** What a mutant is compared with. */
const SOUND = "test/data/archives/containerd-a.tar";

const renderer = new Renderer(new Chalk({ level: 0 }));

/** Of what may be done with a mutant, so much is done with each, besides what is done with all. */
const CHOSEN = 6;
/** One case in so many is scanned with rules: the start of yara-x takes longer than all else. */
const SCANNED = 100;
const RULES = "test/data/rules/suspicious.yar";

/**
 * Runs commands over a mutant in a directory of its own: show and verify, and by chance some of all others. Throws where anything but a
 * UserError is thrown, a control character would reach the terminal, a file appears where none may be, more is written than an archive may
 * ask for, a file of the root file system's change is neither written nor mentioned, a search that says it is complete has not found
 * what is there, or a core is none.
 */
export async function tryMutant({ bytes, expandedBytes }: Mutant, random: Random, directory: string): Promise<void> {
  const inside = join(directory, "a", "b", "c");
  mkdirSync(join(inside, "out"), { recursive: true });
  const file = join(inside, "mutant.tar");
  writeFileSync(file, bytes);
  const beside = random.oneIn(4) ? recordBeside(file, random) : [];
  const out = `${join(inside, "out")}/`;
  const pid = String(random.pick([1, 1, 4, 8, 10, 26]));
  const needle = somewhereIn(bytes, random);
  const others: readonly Target[] = [
    { command: inspect, words: [file], flags: { all: true } },
    { command: inspect, words: [file], flags: { memory: true, env: true, pid } },
    { command: inspect, words: [file], flags: { threads: true } },
    { command: inspect, words: [file], flags: { changes: true, output: "json" } },
    { command: report, words: [file] },
    { command: report, words: [file], flags: random.oneIn(2) ? { output: "json" } : { format: "timesketch" } },
    { command: report, words: [file], flags: { to: `${out}report.html` } },
    { command: search, words: [file, needle?.toString("hex") ?? "00"], flags: { hex: true, max: "1", output: "json" } },
    {
      command: search,
      words: [file, random.pick(["[A-Z_]{6,}=\\w+", "."])],
      flags: { regex: true, max: "20", around: "16", ...(random.oneIn(2) ? { pid } : {}) },
    },
    { command: diff, words: random.oneIn(2) ? [file, SOUND] : [SOUND, file] },
    { command: extract, words: [file, "/"], flags: { to: out } },
    {
      command: extract,
      words: [file, random.pick(["/data/new", "/dev", "/tmp/ghost", "checkpoint", "config.dump", "volumes", "memfd:payload", "sysv:0"])],
      flags: { to: out },
    },
    { command: extract, words: [file], flags: { to: out, pid } },
    { command: extract, words: [file], flags: { to: out, core: true, ...(random.oneIn(2) ? { pid } : {}) } },
  ];
  const targets: readonly Target[] = [
    { command: show, words: [file], flags: random.oneIn(2) ? { output: "wide" } : {} },
    { command: verify, words: [file] },
    ...random.some(others, CHOSEN),
    ...(random.oneIn(SCANNED) ? [{ command: random.oneIn(2) ? search : report, words: [file], flags: { rules: [RULES] } }] : []),
  ];
  for (const { command, words, flags } of targets) {
    collectGarbage();
    const ran = await runTarget(command, words, flags);
    if (flags?.["hex"] === true && needle !== undefined && ran?.exitCode === 1)
      assert.fail(`a search says that it is complete, and has not found ${needle.toString("hex")}`);
    if (command === report) printableIn(out);
    if (command === extract) {
      const most = 4 * expandedBytes + SLACK;
      const written = bytesBelow(out);
      assert.ok(written <= most, `${written} bytes were written, of an archive of ${expandedBytes}`);
      if (words[1] === "/" && ran?.exitCode === 0) nothingHidden(bytes, ran.document);
      if (flags?.["core"] === true) for (const core of filesBelow(out).filter((name) => /core\.\d+$/.test(name))) soundCore(core);
    }
    onlyInside(directory, inside, beside);
    rmSync(out, { recursive: true });
    mkdirSync(out);
  }
  rmSync(directory, { recursive: true });
}

/** For directories and the ends of blocks. */
const SLACK = 1 << 20;

function filesBelow(directory: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries.flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : []));
}

function bytesBelow(directory: string): number {
  return filesBelow(directory).reduce((sum, file) => sum + statSync(file).blocks * 512, 0);
}

/** A page has no character that a browser or terminal would obey; names come into it without being markup. */
function printableIn(directory: string): void {
  for (const file of filesBelow(directory)) printable(readFileSync(file, "utf8"));
}

async function runTarget(command: Verb, words: readonly string[], flags: Flags = {}): Promise<Ran | undefined> {
  try {
    const ran = await runVerb(command, words, flags);
    const { pieces, document } = ran;
    for (const piece of pieces) {
      printable(rendered(piece));
      if (command === report && piece.bytes !== undefined) for await (const part of piece.bytes) printable(part.toString());
    }
    if (document !== undefined) printable(escapeJson(JSON.stringify(document)));
    return ran;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    printable(errorText(error, (label) => label));
    return undefined;
  }
}

function rendered({ text, error }: Piece): string {
  if (error !== undefined) return errorText(error, (label) => label);
  if (text === undefined) return "";
  return "columns" in text ? renderer.table(text) : renderer.phrase(text);
}

// oxlint-disable-next-line no-control-regex -- they are what must not be there
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

function printable(text: string): void {
  const found = CONTROL.exec(text);
  assert.ok(
    found === null,
    `a control character would reach the terminal: ${JSON.stringify(text.slice(found?.index ?? 0, (found?.index ?? 0) + 80))}`,
  );
}

/** Below `directory` there is only the way to `inside`, the mutant in it, and what was extracted. */
function onlyInside(directory: string, inside: string, beside: readonly string[]): void {
  assert.ok(!existsSync(TRAP), `${TRAP} has come into being`);
  for (const [level, expected] of [
    [directory, ["a", "tmp"]],
    [join(directory, "a"), ["b"]],
    [join(directory, "a", "b"), ["c"]],
    [inside, ["mutant.tar", ...beside, "out"].sort()],
    [join(directory, "tmp"), []],
  ] as const) {
    assert.deepEqual(readdirSync(level).sort(), expected, `in ${level}`);
  }
  for (const entry of readdirSync(join(inside, "out"), { recursive: true, withFileTypes: true })) {
    assert.ok(entry.isFile() || entry.isDirectory(), `${entry.name} is neither file nor directory`);
  }
}
