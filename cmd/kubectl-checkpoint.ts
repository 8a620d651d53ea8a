#!/usr/bin/env node
// The executable: version and help at once, everything else loaded when needed. The one place that touches process.*.
import { constants } from "node:os";
import { errorText, exitCodeOf } from "../src/cli/errors.ts";
import { quickAnswer } from "../src/cli/quick.ts";
import { VERBS } from "../src/cli/table.ts";
import { readWords, type Words } from "../src/cli/words.ts";
import { COMPLETE } from "../src/local/completion-helper.ts";
import { Interrupted } from "../src/model/error.ts";
import packageJson from "../package.json" with { type: "json" };

const LAST_WORDS_MS = 2000;
const about = { version: `v${packageJson.version}`, node: process.versions.node, platform: `${process.platform}-${process.arch}` };

// What Node.js warns of is for developers of Node.js programs.
process.removeAllListeners("warning");

if (process.argv[2] === COMPLETE) void completeWords(process.argv.slice(3));
else answerOrRun();

function answerOrRun(): void {
  try {
    const words = readWords(process.argv.slice(2), VERBS);
    const answer = quickAnswer(words, about);
    if (answer === undefined) void runVerb(words);
    else process.stdout.write(answer);
  } catch (error) {
    process.stderr.write(`${errorText(error, (label) => label)}\n`);
    process.exitCode = exitCodeOf(error);
  }
}

async function completeWords(words: readonly string[]): Promise<void> {
  const { complete } = await import("../src/cli/completion/complete.ts");
  const answer = await complete(words, process.env, about.version);
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
  // Of what was written to a pipe, only its first 64 KiB are there yet.
  await Promise.all([written(stdout), written(stderr)]);
  process.exit(status);
}

async function written(stream: NodeJS.WriteStream): Promise<void> {
  if (!stream.destroyed) await new Promise<void>((done) => stream.write("", () => done()));
}

/** The first signal asks the command to clean up; the second ends it at once. A reader that went away counts as one. */
function firstSignal(): AbortSignal {
  const controller = new AbortController();
  const on = (signal: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(128 + constants.signals[signal]);
    controller.abort(new Interrupted(signal));
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, on);
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    if (!controller.signal.aborted) controller.abort(new Interrupted("SIGPIPE"));
  });
  return controller.signal;
}
