import { createHash } from "node:crypto";
import { object, string, type Json } from "../model/json.ts";

/** What such a file is called beside archives. */
export const CUSTODY = "custody.jsonl";
/** `previous` of the first line. */
const NONE = "0".repeat(64);

/** What a line says of an object: who did what with it, when, and what its bytes were. */
export interface CustodyEntry {
  /** RFC 3339, by that machine's clock. */
  readonly time: string;
  readonly user: string;
  readonly machine: string;
  /** Of this plugin. */
  readonly version: string;
  /** The verb, or what it did. */
  readonly action: string;
  /** A path from where the file lies, with "/"; "" for a note alone. */
  readonly object: string;
  /** Of the object's bytes, in lowercase hexadecimal; "" for a note alone. */
  readonly sha256: string;
  readonly note?: string;
}

export interface CustodyLine extends CustodyEntry {
  /** `line` of the line before. */
  readonly previous: string;
  /** SHA-256 of this line's text before its last field. */
  readonly line: string;
}

/** A file of custody as it was read. */
export interface Chain {
  readonly lines: readonly CustodyLine[];
  /** What is wrong with it, a clause each; then no line after that counts. */
  readonly problems: readonly string[];
}

/** The text of one more line, with its line break. */
export function custodyLine(entry: CustodyEntry, before: readonly CustodyLine[]): string {
  const { time, user, machine, version, action, object: of, sha256, note } = entry;
  const previous = headOf(before);
  const line = { time, user, machine, version, action, object: of, sha256, ...(note === undefined ? {} : { note }), previous };
  return `${JSON.stringify({ ...line, line: hashOf(JSON.stringify(line)) })}\n`;
}

/** The hash that stands for all lines up to the last one of these. */
export function headOf(lines: readonly CustodyLine[]): string {
  return lines.at(-1)?.line ?? NONE;
}

/** Reads a chain and checks every link. */
export function readChain(text: string): Chain {
  const lines: CustodyLine[] = [];
  const given = text.split("\n");
  const last = given.pop();
  const problem = (number: number, what: string): Chain => ({ lines, problems: [`line ${number} ${what}`] });
  for (const [index, one] of given.entries()) {
    const line = parseLine(one);
    if (line === undefined) return problem(index + 1, "is damaged or not a line of custody");
    const { line: hash, ...said } = line;
    if (JSON.stringify(line) !== one || hashOf(JSON.stringify(said)) !== hash) return problem(index + 1, "was changed");
    if (line.previous !== headOf(lines))
      return problem(index + 1, index === 0 ? "is not the first one: lines are missing before it" : "does not follow the line before it");
    lines.push(line);
  }
  return last === "" ? { lines, problems: [] } : problem(given.length + 1, "is incomplete");
}

function parseLine(text: string): CustodyLine | undefined {
  let parsed: Json;
  try {
    parsed = object(JSON.parse(text));
  } catch {
    return undefined;
  }
  const sound = ["time", "user", "machine", "version", "action", "object", "sha256", "previous", "line"].every(
    (name) => typeof parsed[name] === "string",
  );
  return sound && /^([0-9a-f]{64})?$/.test(string(parsed["sha256"])) ? (parsed as unknown as CustodyLine) : undefined;
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
