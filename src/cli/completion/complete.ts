import { Connection } from "../../cluster/connection.ts";
import type { ConnectionOptions } from "../../cluster/kubeconfig/options.ts";
import { CLUSTER, connectionOptions } from "../../commands/shared/cluster.ts";
import { valuesOf, type Given, type GivenFlags } from "../../commands/shared/flags.ts";
import type { Context } from "../../model/context.ts";
import { escapeText } from "../escape.ts";
import { VERBS } from "../table.ts";
import type { Words } from "../words.ts";
import { sourcesFor, type Files, type Outside } from "./candidates.ts";
import type { Candidate } from "./names.ts";
import { position } from "./position.ts";

/** What of the cluster's answers has not arrived by then is not offered: nobody waits for a completion. */
const PATIENCE_MS = 300;

// Cobra's directives, which kubectl hands on to the shell: https://pkg.go.dev/github.com/spf13/cobra#ShellCompDirective
const NO_SPACE = 2;
const NO_FILES = 4;
const FILES_WITH_ENDINGS = 8;
const DIRECTORIES = 16;

/**
 * The answer to kubectl for a line that is being typed: a line for each candidate, with a description after a tab, and the
 * directive after a colon. Never fails: what cannot be found out is not offered.
 */
export async function complete(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  version: string,
  patienceMs: number = PATIENCE_MS,
): Promise<string> {
  const last = argv.at(-1) ?? "";
  const found = position(argv.slice(0, -1), last, VERBS);
  if (found === undefined) return `:${NO_FILES}\n`;
  const signal = AbortSignal.timeout(patienceMs);
  const { sources, files } = sourcesFor(found, outside(found.before, { env, signal, version }));
  const late = new Promise<readonly Candidate[]>((done) => signal.addEventListener("abort", () => done([])));
  const answers = await Promise.all(sources.map(async (source) => await Promise.race([source().catch(() => []), late])));
  const candidates = answers.flat().filter(({ value }) => value.startsWith(found.typed) && isTypable(value));
  return answer(candidates, files);
}

/** Where there are candidates, the shell offers them; files only where there are none. */
function answer(candidates: readonly Candidate[], files: Files | undefined): string {
  if (candidates.length === 0 && files === "directories") return `:${DIRECTORIES}\n`;
  if (candidates.length === 0 && typeof files === "object") return [...files, `:${FILES_WITH_ENDINGS}`, ""].join("\n");
  const directive = (files === undefined ? NO_FILES : 0) + (candidates.length > 0 && candidates.every(isHalf) ? NO_SPACE : 0);
  return [...candidates.map(line), `:${directive}`, ""].join("\n");
}

function outside(before: Words, given: Pick<Context, "env" | "signal" | "version">): Outside {
  const options = (): ConnectionOptions => connectionOptions(valuesOf(CLUSTER, flagsAsGiven(before)));
  const never = async (): Promise<never> => await Promise.reject(new Error("nothing can be asked while a line is typed"));
  const context: Context = {
    ...given,
    now: Date.now,
    emit: () => undefined,
    ask: { possible: false, confirm: never, secret: never, choose: never, pick: never },
  };
  let connection: Promise<Connection> | undefined;
  return { options, env: given.env, connection: async () => await (connection ??= Connection.open(options(), context)) };
}

/** Without yargs, and so without its checks: the line is not complete. */
function flagsAsGiven({ verb, flags }: Words): GivenFlags {
  const values = new Map<string, Given>();
  for (const spec of verb.flags) {
    const given = flags.flatMap(([name, value]) => (name === spec.name ? [value] : []));
    const last = given.at(-1);
    if (last === undefined) continue;
    values.set(spec.name, spec.takes === "values" ? given : spec.takes === "nothing" ? last === "true" : last);
  }
  return values;
}

/** A name with characters that a terminal or a shell obeys, or with none, is none to be put into a command line: some shells do not quote it. */
function isTypable(value: string): boolean {
  return /^[\p{L}\p{N}_./:@%+,=-]+$/u.test(value);
}

/** More is to be typed right after it. */
function isHalf({ value }: Candidate): boolean {
  return /[/:]$/.test(value);
}

function line({ value, description = "" }: Candidate): string {
  return description === "" ? value : `${value}\t${escapeText(description)}`;
}
