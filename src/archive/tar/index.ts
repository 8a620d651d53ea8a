import { posix } from "node:path";
import { UserError } from "../../model/error.ts";
import { nameText } from "../../model/name.ts";
import { say } from "../../model/phrase.ts";
import type { Source } from "../../model/source.ts";
import type { HostileMember, IndexedArchive, Member } from "../archive.ts";
import type { Budget } from "../budget.ts";
import { bufferSource, slice } from "../sources.ts";
import { chargedSparse } from "../sparse.ts";
import { mappedSource, type SparseMap } from "./sparse.ts";
import { walkTar, type Entry } from "./walk.ts";

/** Of the members that are kept in memory while an archive passes by, in bytes. */
const MOST_KEPT_BYTES = 64 << 20;
/** After so many problems the others are only counted. */
const MOST_PROBLEMS = 200;
/** A link may point to a link, so often. */
const MOST_LINKS = 8;

export interface IndexOptions {
  /** What the archive is called in errors. */
  readonly label: string;
  /** For a source that only goes forward: the members to be read as they pass by. Of others only the size is known. */
  readonly keep?: ((member: Member) => boolean) | undefined;
  /** Of the command. */
  readonly budget: Budget;
  /** It holds files of a container: hard links are other names of them, and some programs that pack them write sparse files. */
  readonly ofFiles?: boolean;
}

/** Reasons of errors that end an archive early. */
const BROKEN = new Set(["ArchiveTruncated", "ArchiveDamaged"]);

/** Where a member's data lie, the data themselves, or why they cannot be had. */
type Place = { readonly at: number; readonly stored: number; readonly sparse?: SparseMap } | Source | string;

/** Indexes a tar archive. Damage is reported in the index. Throws a UserError where there is no tar archive at all. */
export async function indexTar(source: Source, { label, keep, budget, ofFiles = false }: IndexOptions): Promise<IndexedArchive> {
  const members = new Map<string, Member>();
  const places = new Map<string, Place>();
  const hostile: HostileMember[] = [];
  const problems = new Problems();
  let keptBytes = 0;

  const place = async (member: Member, { offset, size, sparse }: Entry): Promise<Place> => {
    if (member.type !== "file") return `is a ${member.type === "other" ? "special file" : member.type}, which is never followed`;
    if (sparse === "unreadable") return "is a sparse file in a form that this plugin does not read";
    const there = sparse === undefined ? { at: offset, stored: size } : { at: offset, stored: size, sparse };
    if (sparse !== undefined) budget.keep(label, sparse.parts.length);
    if (keep === undefined) return there;
    if (!keep(member)) return passedBy(member, label);
    keptBytes += size;
    if (keptBytes > MOST_KEPT_BYTES)
      throw new UserError({ reason: "TooLarge", message: say`${member.name} in ${label} is absurdly large` });
    try {
      const data = bufferSource(Buffer.from(await source.read(offset, size)));
      return sparse === undefined ? data : mappedSource(data, sparse);
    } catch (error) {
      // The walk's next step finds out how the archive ends.
      if (error instanceof UserError && BROKEN.has(error.reason)) return "is cut short";
      throw error;
    }
  };

  const walk = walkTar(source, label, budget);
  let next = await walk.next();
  for (; next.done !== true; next = await walk.next()) {
    const entry = next.value;
    budget.keep(label, 1, (entry.name.length + entry.target.length) / 2);
    const { name, why } = memberName(entry.name);
    const type = typeOf(entry);
    const odd = entry.oddity ?? (entry.sparse === undefined || (ofFiles && entry.sparse !== "unreadable") ? undefined : "a sparse file");
    if (odd !== undefined) problems.add(`${name === "" ? "a member without a name" : name}: not all readers take it alike (${odd})`);
    if (why !== undefined) hostile.push({ name, why });
    else if (name === "" && type !== "directory") hostile.push({ name, why: "is empty" });
    if (why !== undefined || name === "") continue;
    const { mode, uid, gid, modifiedAt } = entry;
    const size = typeof entry.sparse === "object" ? entry.sparse.size : entry.size;
    const member: Member = { name, type, size, mode, uid, gid, modifiedAt, target: nameText(entry.target), ...SPECIAL[entry.type] };
    if (members.has(name)) problems.add(`there is more than one member ${name}`);
    members.set(name, member);
    places.set(name, await place(member, entry));
  }
  const ending = next.value;
  for (const problem of ending.problems) problems.add(problem);
  for (const problem of foldersThatAreNone(members, budget)) problems.add(problem);
  if (ofFiles) resolveLinks(members, places);

  return {
    members,
    hostile,
    problems: problems.all(),
    complete: ending.complete,
    end: ending.end,
    budget,
    open(name) {
      const found = places.get(name);
      const { target = "" } = members.get(name) ?? {};
      if (found === undefined) throw new UserError({ reason: "NoSuchMember", message: say`there is no ${name} in ${label}` });
      if (typeof found === "string") {
        const why = target === "" ? undefined : say`it points to ${target}`;
        throw new UserError({ reason: "UnreadableMember", message: say`${name} in ${label} ${found}`, why });
      }
      if ("read" in found) return chargedSparse(found, budget);
      if (found.at + found.stored > source.size)
        throw new UserError({ reason: "ArchiveTruncated", message: say`${name} in ${label} is cut short` });
      const data = slice(source, found.at, found.stored);
      return chargedSparse(found.sparse === undefined ? data : mappedSource(data, found.sparse), budget);
    },
  };
}

/** Sentences, each once; after many the others are only counted. */
class Problems {
  readonly #said = new Set<string>();
  #more = 0;

  add(problem: string): void {
    if (this.#said.size < MOST_PROBLEMS) this.#said.add(problem);
    else this.#more += 1;
  }

  all(): string[] {
    return [...this.#said, ...(this.#more > 0 ? [`and at least ${this.#more} more`] : [])];
  }
}

function passedBy({ name, size }: Member, label: string): Source {
  return {
    size,
    read: async () => await Promise.reject(new Error(`${name} in ${label} was not kept while reading`)),
  };
}

/** Linux's PATH_MAX: nothing longer can be a file's name. */
const LONGEST_NAME = 4096;

/** A member's name, cleaned of "./" and doubled slashes; "" is the archive's own root. `why` is there where it is hostile. */
function memberName(raw: Buffer): { readonly name: string; readonly why?: string } {
  if (raw.length > LONGEST_NAME) return { name: `${nameText(raw.subarray(0, 80))}…`, why: `is ${raw.length} bytes long` };
  const text = nameText(raw);
  if (text.startsWith("/")) return { name: text, why: "is absolute" };
  if (!/(^|\/)\.{0,2}(\/|$)/.test(text)) return { name: text };
  const parts = text.split("/").filter((part) => part !== "" && part !== ".");
  return parts.includes("..") ? { name: text, why: 'has ".." in it' } : { name: parts.join("/") };
}

/** Unpackers replace such a member by a directory, follow it, or stop. */
function* foldersThatAreNone(members: ReadonlyMap<string, Member>, budget: Budget): Generator<string> {
  const checked = new Set<string>(["."]);
  for (const name of members.keys()) {
    for (let folder = posix.dirname(name); !checked.has(folder); folder = posix.dirname(folder)) {
      checked.add(folder);
      budget.step();
      const type = members.get(folder)?.type;
      if (type !== undefined && type !== "directory") yield `${folder} is no directory, but members lie below it`;
    }
  }
}

/** A hard link to a file of the archive is one more name of it. Others stay links. */
function resolveLinks(members: Map<string, Member>, places: Map<string, Place>): void {
  for (const [name, member] of members) {
    if (member.type !== "link") continue;
    let target: Member | undefined = member;
    for (let count = 0; count < MOST_LINKS && target?.type === "link"; count += 1) target = members.get(cleaned(target.target));
    const found = target?.type === "file" ? places.get(target.name) : undefined;
    if (target === undefined || found === undefined) continue;
    members.set(name, { ...target, name });
    places.set(name, found);
  }
}

/** As memberName has it, of a target that nameText wrote. */
function cleaned(target: string): string {
  return target
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/");
}

const SPECIAL: Readonly<Record<string, Pick<Member, "special">>> = {
  "3": { special: "character device" },
  "4": { special: "block device" },
  "6": { special: "fifo" },
};

function typeOf({ type }: Entry): Member["type"] {
  switch (type) {
    case "0":
    case "7":
    case "S":
      return "file";
    case "1":
      return "link";
    case "2":
      return "symlink";
    case "5":
      return "directory";
    default:
      return "other";
  }
}
