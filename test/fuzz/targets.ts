// What is done with a mutated archive: everything that reads one, as a user's command would.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Chalk } from "chalk";
import { errorText } from "../../src/cli/errors.ts";
import { escapeJson } from "../../src/cli/escape.ts";
import { Renderer } from "../../src/cli/render.ts";
import type { Verb } from "../../src/commands/shared/verb.ts";
import { verb as diff } from "../../src/commands/diff.ts";
import { verb as extract } from "../../src/commands/extract.ts";
import { verb as inspect } from "../../src/commands/inspect.ts";
import { verb as search } from "../../src/commands/search.ts";
import { verb as show } from "../../src/commands/show.ts";
import { verb as verify } from "../../src/commands/verify.ts";
import { UserError } from "../../src/model/error.ts";
import type { Piece } from "../../src/model/report.ts";
import { runVerb, type Ran } from "../commands/running.ts";
import { collectGarbage } from "./memory.ts";
import { nothingHidden } from "./hidden.ts";
import { TRAP, type Mutant } from "./mutate.ts";
import type { Random } from "./random.ts";

interface Target {
  readonly command: Verb;
  readonly words: readonly string[];
  readonly flags?: Readonly<Record<string, string | boolean>>;
}

/** What a mutant is compared with. */
const SOUND = "test/data/archives/containerd-a.tar";

const renderer = new Renderer(new Chalk({ level: 0 }));

/**
 * Runs every command over a mutant in a directory of its own. Throws where anything but a UserError is thrown, a control
 * character would reach the terminal, a file appears where none may be, more is written than an archive may ask for, or a file of the
 * root file system's change is neither written nor mentioned.
 */
export async function tryMutant({ bytes, expandedBytes }: Mutant, random: Random, directory: string): Promise<void> {
  const inside = join(directory, "a", "b", "c");
  mkdirSync(join(inside, "out"), { recursive: true });
  const file = join(inside, "mutant.tar");
  writeFileSync(file, bytes);
  const out = `${join(inside, "out")}/`;
  const pid = String(random.pick([1, 1, 4, 8, 10, 26]));
  const targets: readonly Target[] = [
    { command: show, words: [file] },
    { command: show, words: [file], flags: { output: "wide" } },
    { command: verify, words: [file] },
    { command: inspect, words: [file], flags: { all: true } },
    { command: inspect, words: [file], flags: { memory: true, env: true, pid } },
    { command: search, words: [file, "SECRET"] },
    {
      command: search,
      words: [file, random.pick(["[A-Z_]{6,}=\\w+", "."])],
      flags: { regex: true, max: "20", around: "16", pid },
    },
    { command: diff, words: random.oneIn(2) ? [file, SOUND] : [SOUND, file] },
    { command: extract, words: [file, "/"], flags: { to: out } },
    {
      command: extract,
      words: [file, random.pick(["/data/new", "/dev", "/tmp/ghost", "checkpoint", "config.dump", "volumes"])],
      flags: { to: out },
    },
    { command: extract, words: [file], flags: { to: out, pid } },
  ];
  for (const { command, words, flags } of targets) {
    collectGarbage();
    const ran = await runTarget(command, words, flags);
    if (command !== extract) continue;
    const most = 4 * expandedBytes + SLACK;
    const written = bytesBelow(out);
    assert.ok(written <= most, `${written} bytes were written, of an archive of ${expandedBytes}`);
    if (words[1] === "/" && ran?.exitCode === 0) nothingHidden(bytes, ran.document);
    onlyInside(directory, inside);
    rmSync(out, { recursive: true });
    mkdirSync(out);
  }
  onlyInside(directory, inside);
  rmSync(directory, { recursive: true });
}

/** For directories and the ends of blocks. */
const SLACK = 1 << 20;

function bytesBelow(directory: string): number {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries.reduce((sum, entry) => sum + (entry.isFile() ? statSync(join(entry.parentPath, entry.name)).blocks * 512 : 0), 0);
}

async function runTarget(
  command: Verb,
  words: readonly string[],
  flags: Readonly<Record<string, string | boolean>> = {},
): Promise<Ran | undefined> {
  try {
    const ran = await runVerb(command, words, flags);
    const { pieces, document } = ran;
    for (const piece of pieces) printable(rendered(piece));
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
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/;

function printable(text: string): void {
  const found = CONTROL.exec(text);
  assert.ok(
    found === null,
    `a control character would reach the terminal: ${JSON.stringify(text.slice(found?.index ?? 0, (found?.index ?? 0) + 80))}`,
  );
}

/** Below `directory` there is only the way to `inside`, the mutant in it, and what was extracted. */
function onlyInside(directory: string, inside: string): void {
  assert.ok(!existsSync(TRAP), `${TRAP} has come into being`);
  for (const [level, expected] of [
    [directory, ["a", "tmp"]],
    [join(directory, "a"), ["b"]],
    [join(directory, "a", "b"), ["c"]],
    [inside, ["mutant.tar", "out"]],
    [join(directory, "tmp"), []],
  ] as const) {
    assert.deepEqual(readdirSync(level).sort(), expected, `in ${level}`);
  }
  for (const entry of readdirSync(join(inside, "out"), { recursive: true, withFileTypes: true })) {
    assert.ok(entry.isFile() || entry.isDirectory(), `${entry.name} is neither file nor directory`);
  }
}
