import { hex } from "../../criu/numbers.ts";
import type { Found } from "../../flows/examine/search/search.ts";
import type { Location } from "../../flows/examine/search/location.ts";
import { API_VERSION } from "../../model/documents.ts";
import type { UserError } from "../../model/error.ts";
import type { Holder } from "../../model/inspection.ts";
import { say, styled, whole, type Phrase } from "../../model/phrase.ts";
import type { Outcome, Piece } from "../../model/report.ts";
import { formatBytes } from "../../model/units.ts";
import type { Call } from "../shared/verb.ts";

/** One match of the document MatchList. */
export interface Item {
  readonly in: Location["in"];
  /** Of memory. */
  readonly pid?: number;
  readonly process?: string;
  readonly address?: string;
  readonly region?: string;
  readonly mapped?: false;
  /** Of a file: in the container; absent where it is only in the archive. */
  readonly path?: string;
  /** Of a file or queue: what has it, in the archive. */
  readonly member?: string;
  /** Of a file: who has it open, runs it or maps it. */
  readonly pids?: readonly number[];
  readonly queue?: string;
  readonly heldBy?: readonly Holder[];
  readonly offset: number;
  readonly bytes: number;
  readonly match: string;
  readonly context: string;
}

export function item({ location, before, bytes, after }: Found): Item {
  const match = escapeBytes(bytes);
  const context = [escapeBytes(before), match, escapeBytes(after)].join("");
  return { in: location.in, ...placeItem(location), offset: Number(location.offset), bytes: bytes.length, match, context };
}

export function placeItem(location: Location): Partial<Item> {
  if (location.in === "queues") return { queue: location.queue, member: location.member, heldBy: location.heldBy };
  if (location.in === "files") {
    const { path, member, users } = location;
    return { ...(path === undefined ? {} : { path }), member, ...(users === undefined ? {} : { pids: users }) };
  }
  const { process, address, region, mapped } = location;
  return { pid: process.pid, process: process.comm, address: hex(address), region, ...(mapped ? {} : { mapped }) };
}

export function line({ location, before, bytes, after }: Found): Phrase {
  return whole(say`${styled("dim", placeText(location))}: ${shortened(before)}${styled("strong", escapeBytes(bytes))}${shortened(after)}`);
}

export function placeText(location: Location): Phrase {
  if (location.in === "memory") {
    const { process, address, region, mapped } = location;
    return say`${process.pid} ${process.comm} ${mapped ? hex(address) : `not mapped, byte ${hex(address)}`} ${region}`;
  }
  const isFile = location.in === "files";
  const name = isFile ? (location.path ?? location.member) : location.queue;
  const users = isFile ? (location.users ?? []).map(String) : location.heldBy.map(({ pid, fd }) => `${pid} fd ${fd}`);
  const more = users.length > MOST_USERS ? " and more" : "";
  const who = users.length === 0 ? "" : ` (process ${users.slice(0, MOST_USERS).join(", ")}${more})`;
  return say`${name} byte ${hex(location.offset)}${who}`;
}

const MOST_USERS = 5;

/** Without the rest of each row of zero bytes: people have no use for them. */
function shortened(bytes: Buffer): string {
  return escapeBytes(bytes).replaceAll(/(\\x00){4,}/g, "\\x00…");
}

/** Progress is reported every so many bytes. */
const STEP = 64 << 20;

export function activity({ emit }: Call) {
  let searched = 0;
  let reported = 0;
  return (label: string, bytes: number): void => {
    searched += bytes;
    if (searched - reported < STEP) return;
    reported = searched;
    emit({ kind: "activity", lane: "search", text: say`searching ${label}: ${formatBytes(searched)} searched` });
  };
}

/**
 * Bytes as text that says which they are: ASCII as it stands, whole UTF-8 characters too, everything else as \xNN, and a
 * backslash as two.
 */
export function escapeBytes(bytes: Buffer): string {
  // Joined at the end: a string that grows by a byte at a time keeps a node for each of them.
  const parts: string[] = [];
  for (let at = 0; at < bytes.length;) {
    let end = at;
    while (end < bytes.length && ESCAPED[bytes[end] ?? 0] === undefined) end += 1;
    if (end > at) parts.push(bytes.toString("latin1", at, end));
    at = end;
    if (at === bytes.length) break;
    const length = characterLength(bytes, at);
    parts.push(length > 0 ? bytes.toString("utf8", at, at + length) : (ESCAPED[bytes[at] ?? 0] ?? ""));
    at += Math.max(1, length);
  }
  return parts.join("");
}

const SHORT: Readonly<Record<number, string>> = { 0x9: "\\t", 0xa: "\\n", 0xd: "\\r", 0x5c: "\\\\" };

/** What stands for each byte by itself; undefined for those that stand as they are. */
const ESCAPED: readonly (string | undefined)[] = Array.from({ length: 256 }, (_, byte) => {
  if (SHORT[byte] !== undefined) return SHORT[byte];
  return byte >= 0x20 && byte < 0x7f ? undefined : `\\x${byte.toString(16).padStart(2, "0")}`;
});

/** Of a UTF-8 character that is printable, in bytes; 0 where there is none. */
function characterLength(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  const character = bytes.toString("utf8", at, at + length);
  return character.length === (length === 4 ? 2 : 1) && !/[\p{C}\p{Z}\ufffd]/u.test(character) ? length : 0;
}

interface Matches {
  readonly scopes: readonly string[];
  /** Those that the document has. */
  readonly items: readonly object[];
  readonly count: number;
  /** Where there are more than these. */
  readonly max: number | undefined;
  /** What was not searched. */
  readonly problems: readonly UserError[];
}

/** The end of a search: what was not searched, and the document. */
export function* matchList(call: Call, { scopes, items, count, max, problems }: Matches): Generator<Piece, Outcome> {
  for (const error of problems) yield { error };
  if (max !== undefined)
    call.emit({ kind: "hint", text: say`only the first ${max} matches were printed: use --max N for more, --max 0 for all` });
  const notSearched = problems.map(({ reason, message, why }) => ({ reason, message, why }));
  const complete = max === undefined && problems.length === 0;
  const document = { apiVersion: API_VERSION, kind: "MatchList", in: scopes, items, complete, notSearched };
  return { document, exitCode: problems.length > 0 ? 2 : count > 0 ? 0 : 1 };
}
