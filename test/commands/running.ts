import type { Command } from "../../src/commands/command.ts";
import type { Event } from "../../src/model/context.ts";
import type { UserError } from "../../src/model/error.ts";
import { Flags } from "../../src/model/flags.ts";
import type { Piece } from "../../src/model/report.ts";
import { plain, type Phrase, type Table } from "../../src/model/phrase.ts";
import { context } from "../fakes.ts";

export interface Ran {
  readonly pieces: readonly Piece[];
  readonly events: readonly Event[];
  readonly document: unknown;
  readonly exitCode: number;
  readonly errors: readonly UserError[];
  /** The lines of stdout as people read them, tables with their cells. */
  readonly lines: readonly string[];
}

/** Runs a command as cli/ does, and keeps what it yields. Throws what it throws. */
export async function runCommand(
  command: Command,
  words: readonly string[],
  flags: Readonly<Record<string, string | boolean>> = {},
): Promise<Ran> {
  const call = {
    ...context(new AbortController().signal),
    words,
    flags: new Flags(new Map(Object.entries(flags))),
    terminal: false,
    stdin: () => process.stdin,
  };
  const pieces: Piece[] = [];
  const running = command.run(call);
  let next = await running.next();
  for (; next.done !== true; next = await running.next()) pieces.push(next.value);
  const { document, exitCode } = next.value;
  return {
    pieces,
    events: call.events,
    document,
    exitCode,
    errors: pieces.flatMap(({ error }) => error ?? []),
    lines: pieces.flatMap(({ text }) => (text === undefined ? [] : linesOf(text))),
  };
}

function linesOf(text: Phrase | Table): string[] {
  if ("columns" in text) return [text.columns.join("|"), ...text.rows.map((row) => row.map(plain).join("|"))];
  return plain(text).split("\n");
}
