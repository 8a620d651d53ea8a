import { constants } from "node:os";
import type { Call } from "../commands/command.ts";
import type { Asking } from "../model/context.ts";
import { Interrupted, usageError } from "../model/error.ts";
import type { Flags } from "../model/flags.ts";
import type { Outcome } from "../model/report.ts";
import { errorText, exitCodeOf } from "./errors.ts";
import { parseFlags } from "./parse.ts";
import { Printer } from "./printer.ts";
import type { Words } from "./words.ts";

/** The process, as cmd/ hands it down. */
export interface Shell {
  readonly env: NodeJS.ProcessEnv;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Aborted with an Interrupted by the first signal. */
  readonly signal: AbortSignal;
  readonly version: string;
}

/** How long a command may clean up after a signal. */
const CLEANUP_MS = 5000;

/** Runs one verb and answers with the exit status. Never throws. */
export async function main(words: Words, shell: Shell): Promise<number> {
  let printer: Printer | undefined;
  try {
    const flags = parseFlags(words);
    printer = await printerFor(flags, shell);
    const outcome = await gracefully(run(words, flags, printer, shell), shell.signal);
    await printer.outcome(outcome);
    return signalStatus(shell.signal.reason) ?? outcome.exitCode;
  } catch (error) {
    printer?.stopProgress();
    if (!(error instanceof Interrupted)) {
      if (printer === undefined) shell.stderr.write(`${errorText(error, (label) => label)}\n`);
      else printer.error(error);
    }
    return signalStatus(shell.signal.reason) ?? signalStatus(error) ?? exitCodeOf(error);
  }
}

async function run({ verb, words }: Words, flags: Flags, printer: Printer, shell: Shell): Promise<Outcome> {
  const command = await verb.load?.();
  if (command === undefined) throw new Error(`the verb ${verb.name} has no command`);
  const call: Call = {
    words,
    flags,
    signal: shell.signal,
    env: shell.env,
    ask: asking(flags, printer, shell),
    emit: (event) => printer.event(event),
    now: Date.now,
    version: shell.version,
    stdin: () => shell.stdin,
    terminal: shell.stdout.isTTY && shell.stderr.isTTY,
  };
  const pieces = command.run(call);
  try {
    for (let next = await pieces.next(); ; next = await pieces.next()) {
      if (next.done === true) return next.value;
      await printer.piece(next.value);
    }
  } finally {
    // Where a piece could not be printed, the command still has things to put away.
    await pieces.return({ exitCode: 1 });
  }
}

async function printerFor(flags: Flags, { stdout, stderr, env }: Shell): Promise<Printer> {
  const level = flags.text("v") ?? "0";
  if (!/^\d{1,2}$/.test(level)) throw usageError(`-v: "${level}" is not a log level (0 to 10)`);
  return new Printer({
    stdout,
    stderr,
    env,
    format: flags.text("output"),
    color: flags.text("color"),
    quiet: flags.on("quiet"),
    level: Number(level),
    exchangeLog: Number(level) >= 6 ? (await import("./requestlog.ts")).exchangeLog : undefined,
  });
}

/** Prompts appear only where both ends are terminals; they are drawn on stderr, and loaded when first needed. */
function asking(flags: Flags, printer: Printer, shell: Shell): Asking {
  const possible = shell.stderr.isTTY && !flags.on("no-input") && shell.stdin.isTTY;
  const prompts = async (): Promise<Asking> => {
    if (!possible) throw new Error("a question where none may be asked");
    printer.stopProgress();
    const { Prompts } = await import("./prompts/prompts.ts");
    return new Prompts(shell);
  };
  return {
    possible,
    confirm: async (question) => await (await prompts()).confirm(question),
    choose: async (question, choices) => await (await prompts()).choose(question, choices),
    pick: async (picker) => await (await prompts()).pick(picker),
  };
}

/** A command that does not end in time after a signal is left behind: what it made has deadlines of its own. */
async function gracefully(work: Promise<Outcome>, signal: AbortSignal): Promise<Outcome> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => {
      timer = setTimeout(() => reject(signal.reason as Error), CLEANUP_MS);
    });
  });
  return await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function signalStatus(reason: unknown): number | undefined {
  return reason instanceof Interrupted ? 128 + constants.signals[reason.signal] : undefined;
}
