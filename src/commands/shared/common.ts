import { choice, count, group, list, on, optional, parsed, type Flag } from "./flags.ts";
import { usageError } from "../../model/error.ts";
import { say } from "../../model/phrase.ts";

/** What every verb takes. */
export const COMMON = group("Common", {
  color: choice(["auto", "always", "never"], { help: "when to print colors (NO_COLOR is honored)" }),
  quiet: on("print no progress and no hints", "q"),
  yes: on("answer yes to the questions of this verb", "y"),
  "no-input": on("ask no questions: what is missing is an error"),
  v: parsed(logLevel, { short: "v", value: "LEVEL", help: "log level: 6 logs each request, 8 also headers, 9 also stack traces" }),
  help: on("print the help of the verb", "h"),
});

/** -o for a verb that reports. */
export function output<const C extends string>(...formats: readonly C[]): Flag<C | undefined> {
  return choice(formats, { short: "o", help: "output format" });
}

export const ALL_NAMESPACES = on("all namespaces", "A");

/** For verbs that create objects. */
export const DRY_RUN = choice(["client", "server"], {
  help: "show what would be created (-o yaml: all of it); server: validated by the API server",
});

/** For verbs that remove. */
export const REMOVAL_DRY_RUN = { ...DRY_RUN, help: "show what would be removed" };

/** The image that the container was made from. */
export const BASE_IMAGE = optional({
  value: "REFERENCE",
  help: "image that the container was made from, oci:DIR or oci-archive:FILE (default: as the archive names it)",
});

/** A process of an archive. */
export const PID = count({ value: "PID", help: "only this process, by its PID in the container" });

/** YARA rules. */
export const RULES = list({ value: "FILE|DIR", help: "YARA rules, each region and file is scanned with them, repeatable" });

/** For verbs that look after nodes. */
export const NODES = list({ value: "NODE", help: "only this node, repeatable (default: all nodes)" });

function logLevel(text: string): number {
  if (!/^\d{1,2}$/.test(text)) throw usageError(say`invalid value "${text}" for -v: use a log level from 0 to 10`);
  return Number(text);
}
