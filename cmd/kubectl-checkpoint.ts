#!/usr/bin/env node
// The executable: version and help at once, everything else loaded when needed. The one place that touches process.*.
import { getSystemErrorMessage } from "node:util";
import { errorText, exitCodeOf, signalStatus } from "../src/cli/errors.ts";
import { quickAnswer } from "../src/cli/quick.ts";
import { VERBS } from "../src/cli/table.ts";
import { readWords, type Words } from "../src/cli/words.ts";
import { COMPLETE } from "../src/local/completion-helper.ts";
import { Interrupted, UserError } from "../src/model/error.ts";
import { say } from "../src/model/phrase.ts";
import packageJson from "../package.json" with { type: "json" };

const LAST_WORDS_MS = 2000;
const about = { version: `v${packageJson.version}`, node: process.versions.node, platform: `${process.platform}-${process.arch}` };

/** The first failure to write a result or a message, where no signal came before it. */
let unwritten: { readonly stream: "standard output" | "standard error"; readonly error: NodeJS.ErrnoException } | undefined;

// Warnings of Node.js are for developers.
process.removeAllListeners("warning");

if (process.argv[2] === COMPLETE) void completeWords(process.argv.slice(3));
else answerOrRun();

function answerOrRun(): void {
  try {
    const words = readWords(process.argv.slice(2), VERBS);
    const answer = quickAnswer(words, about);
    if (answer === undefined) void runVerb(words);
    else print(answer);
  } catch (error) {
    process.stderr.on("error", () => undefined);
    process.stderr.write(`${errorText(error, (label) => label, process.stderr)}\n`);
    process.exitCode = exitCodeOf(error);
  }
}

function print(answer: string): void {
  process.stdout.on("error", (error) => {
    if (unwritten !== undefined) return;
    unwritten = { stream: "standard output", error };
    void end(0);
  });
  process.stdout.write(answer);
}

async function completeWords(words: readonly string[]): Promise<void> {
  const { complete } = await import("../src/cli/completion/complete.ts");
  const answer = await complete(words, process.env, about.version);
  process.stdout.on("error", () => process.exit(1));
  // Requests that are late would keep the process alive.
  process.stdout.write(answer, () => process.exit(0));
}

async function runVerb(words: Words): Promise<void> {
  const { main } = await import("../src/cli/main.ts");
  const { env, stdout, stderr } = process;
  const shell = {
    env,
    stdout,
    stderr,
    // Made when it is first looked at, which takes a while.
    get stdin() {
      return process.stdin;
    },
    signal: firstSignal(),
    version: about.version,
  };
  const status = await main(words, shell);
  // Whoever stops the command does not wait for a reader that does not read.
  if (shell.signal.aborted) setTimeout(() => process.exit(status), LAST_WORDS_MS).unref();
  await end(status);
}

/** Ends the process when everything is written: of what went to a pipe, only the first 64 KiB are there yet. */
async function end(status: number): Promise<never> {
  await Promise.all([written(process.stdout), written(process.stderr)]);
  if (unwritten === undefined) process.exit(status);
  const { stream, error } = unwritten;
  // A reader that went away is no failure of ours: the status is that of other programs then.
  if (stream === "standard output" && error.code === "EPIPE") process.exit(signalStatus("SIGPIPE"));
  const why = error.errno === undefined ? error.message : getSystemErrorMessage(error.errno);
  const failure = new UserError({ reason: "OutputFailed", message: say`cannot write to ${stream}: ${why}` });
  if (stream === "standard output") process.stderr.write(`${errorText(failure, (label) => label, process.stderr)}\n`);
  process.exit(exitCodeOf(failure));
}

async function written(stream: NodeJS.WriteStream): Promise<void> {
  // The error event comes after the callback.
  if (!stream.destroyed) await new Promise<void>((done) => stream.write("", () => setImmediate(done)));
}

/**
 * The first signal asks the command to clean up; the second ends it at once. A reader that went away counts as one, and so does output
 * that cannot be written.
 */
function firstSignal(): AbortSignal {
  const controller = new AbortController();
  const on = (signal: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(signalStatus(signal));
    controller.abort(new Interrupted(signal));
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, on);
  for (const [stream, name] of [
    [process.stdout, "standard output"],
    [process.stderr, "standard error"],
  ] as const)
    stream.on("error", (error) => {
      if (controller.signal.aborted) return;
      unwritten = { stream: name, error };
      controller.abort(new Interrupted("SIGPIPE"));
    });
  return controller.signal;
}
