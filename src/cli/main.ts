import { COMMON } from "../commands/shared/common.ts";
import { valuesOf, type GivenFlags, type Values } from "../commands/shared/flags.ts";
import { start, type Call } from "../commands/shared/verb.ts";
import type { Asking } from "../model/context.ts";
import { Interrupted } from "../model/error.ts";
import type { Outcome } from "../model/report.ts";
import { errorText, exitCodeOf, signalStatus } from "./errors.ts";
import { parseFlags } from "./parse.ts";
import { Printer } from "./printer.ts";
import { isFile } from "./quick.ts";
import { inContext } from "./suggest.ts";
import { VERBS } from "./table.ts";
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
    const given = parseFlags(words);
    const flags = valuesOf(COMMON, given);
    const output = given.get("output");
    printer = await printerFor(flags, typeof output === "string" ? output : undefined, shell);
    const outcome = await gracefully(run(words, given, callOf(flags, printer, shell), printer), shell.signal);
    await printer.outcome(outcome);
    return interruption(shell.signal.reason) ?? outcome.exitCode;
  } catch (thrown) {
    const error = inContext(thrown, words, VERBS, isFile);
    printer?.stopProgress();
    if (!(error instanceof Interrupted)) {
      if (printer === undefined) shell.stderr.write(`${errorText(error, (label) => label, shell.stderr)}\n`);
      else printer.error(error);
    }
    return interruption(shell.signal.reason) ?? interruption(error) ?? words.verb.failureStatus ?? exitCodeOf(error);
  }
}

type CommonFlags = Values<typeof COMMON>;

async function run({ verb, words }: Words, given: GivenFlags, call: Call, printer: Printer): Promise<Outcome> {
  const loaded = await verb.load?.();
  if (loaded === undefined) throw new Error(`the verb ${verb.name} has no command`);
  const pieces = start(loaded, words, given, call);
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

function callOf(flags: CommonFlags, printer: Printer, shell: Shell): Call {
  return {
    signal: shell.signal,
    env: shell.env,
    ask: asking(flags, printer, shell),
    emit: (event) => printer.event(event),
    now: Date.now,
    version: shell.version,
    stdin: () => shell.stdin,
    terminal: shell.stdout.isTTY && shell.stderr.isTTY,
  };
}

async function printerFor(
  { color, quiet, v = 0 }: CommonFlags,
  format: string | undefined,
  { stdout, stderr, env }: Shell,
): Promise<Printer> {
  const exchangeLog = v >= 6 ? (await import("./requestlog.ts")).exchangeLog : undefined;
  return new Printer({ stdout, stderr, env, format, color, quiet, level: v, exchangeLog });
}

/** Prompts appear only where both ends are terminals; they are drawn on stderr, and loaded when first needed. */
function asking(flags: CommonFlags, printer: Printer, shell: Shell): Asking {
  const possible = shell.stderr.isTTY && !flags["no-input"] && shell.stdin.isTTY;
  const prompts = async (): Promise<Asking> => {
    if (!possible) throw new Error("a question where none may be asked");
    printer.stopProgress();
    const { Prompts } = await import("./prompts/prompts.ts");
    return new Prompts(shell);
  };
  return {
    possible,
    confirm: async (question) => await (await prompts()).confirm(question),
    secret: async (question) => await (await prompts()).secret(question),
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

function interruption(reason: unknown): number | undefined {
  return reason instanceof Interrupted ? signalStatus(reason.signal) : undefined;
}
