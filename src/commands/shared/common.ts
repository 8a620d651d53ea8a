import { choice, count, group, list, on, parsed, type Flag } from "./flags.ts";
import { usageError } from "../../model/error.ts";
import { say } from "../../model/phrase.ts";

/** What every verb takes. */
export const COMMON = group("Common options", {
  color: choice(["auto", "always", "never"], { help: "colours (NO_COLOR is honoured)" }),
  quiet: on("no progress, no hints", "q"),
  yes: on("answer yes to this verb's questions", "y"),
  "no-input": on("ask nothing: what is missing is an error"),
  v: parsed(logLevel, { short: "v", value: "LEVEL", help: "log level: 6 logs each request, 8 its headers, 9 stack traces" }),
  help: on("help for this verb", "h"),
});

/** -o for a verb that reports. */
export function output<const C extends string>(...formats: readonly C[]): Flag<C | undefined> {
  return choice(formats, { short: "o", help: "output format" });
}

export const ALL_NAMESPACES = on("in all namespaces", "A");

/** For verbs that create objects. */
export const DRY_RUN = choice(["client", "server"], {
  help: "only show what would be created, with -o yaml the whole of it; server asks the API server too",
});

/** For verbs that remove. */
export const REMOVAL_DRY_RUN = { ...DRY_RUN, help: "only show what would be removed" };

/** A process of an archive. */
export const PID = count({ value: "PID", help: "only this process, by its number in the container" });

/** For verbs that look after nodes. */
export const NODES = list({ value: "NODE", help: "only this node, may be repeated (default: all)" });

function logLevel(text: string): number {
  if (!/^\d{1,2}$/.test(text)) throw usageError(say`-v: "${text}" is not a log level (0 to 10)`);
  return Number(text);
}
