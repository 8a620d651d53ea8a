import { usageError } from "../model/error.ts";
import { say } from "../model/phrase.ts";

/** Options of CRIU that may be given for one checkpoint, with their values: those of its configuration file that change what can be dumped. */
const OPTIONS: Readonly<Record<string, RegExp | undefined>> = {
  "ghost-limit": /^[1-9]\d{0,9}[KMG]?$/i,
  "tcp-established": undefined,
  "tcp-close": undefined,
  "file-locks": undefined,
  "ext-unix-sk": undefined,
  "link-remap": undefined,
  // What ends a word, begins a comment or means anything to CRIU's parser is no part of it.
  "irmap-scan-path": /^\/[\w./@:+,=-]*$/,
};

const LIST = "ghost-limit=SIZE, tcp-established, tcp-close, file-locks, ext-unix-sk, link-remap, irmap-scan-path=DIR";

/** `ghost-limit=64M` as a line of CRIU's configuration file. Throws a usage error. */
export function criuOptionLine(given: string): string {
  const [, name = "", value] = /^([^=]*)(?:=(.*))?$/s.exec(given) ?? [];
  if (!Object.hasOwn(OPTIONS, name)) throw usageError(say`invalid value "${given}" for --criu-option: use one of ${LIST}`);
  const values = OPTIONS[name];
  if (values === undefined && value !== undefined)
    throw usageError(say`invalid value "${given}" for --criu-option: ${name} takes no value`);
  if (values !== undefined && (value === undefined || !values.test(value)))
    throw usageError(
      name === "ghost-limit"
        ? say`invalid value "${given}" for --criu-option: use a size in bytes, or with K, M or G, such as ghost-limit=64M`
        : say`invalid value "${given}" for --criu-option: use a directory in the container, such as irmap-scan-path=/data`,
    );
  return value === undefined ? name : `${name} ${value}`;
}

/** Whether it is what criuOptionLine makes. */
export function isCriuOptionLine(line: unknown): boolean {
  try {
    return typeof line === "string" && criuOptionLine(line.replace(" ", "=")) === line;
  } catch {
    return false;
  }
}
