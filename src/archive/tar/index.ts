import { UserError } from "../../model/error.ts";
import { nameText } from "../../model/name.ts";
import type { Source } from "../../model/source.ts";
import type { HostileMember, IndexedArchive, Member } from "../archive.ts";
import { Budget } from "../budget.ts";
import { bufferSource, charged, slice } from "../sources.ts";
import { memberName } from "./names.ts";
import { walkTar, type Entry } from "./walk.ts";

/** Of the members that are kept in memory while an archive passes by, in bytes. */
const MOST_KEPT_BYTES = 64 << 20;

export interface IndexOptions {
  /** What the archive is called in errors. */
  readonly label: string;
  /** For a source that only goes forward: the members to be read as they pass by. Of others only the size is known. */
  readonly keep?: (member: Member) => boolean;
  /** Of the command; by default, one of its own. */
  readonly budget?: Budget;
}

/** Reasons of errors that end an archive early. */
const BROKEN = new Set(["ArchiveTruncated", "ArchiveDamaged"]);

/** Where a member's data lie, the data themselves, only their size, or why they cannot be had. */
type Place = number | Source | string;

/** Indexes a tar archive. Damage is reported in the index. Throws a UserError where there is no tar archive at all. */
export async function indexTar(source: Source, { label, keep, budget = new Budget() }: IndexOptions): Promise<IndexedArchive> {
  const members = new Map<string, Member>();
  const places = new Map<string, Place>();
  const hostile: HostileMember[] = [];
  const duplicates = new Set<string>();
  let keptBytes = 0;

  const place = async (member: Member, entry: Entry): Promise<Place> => {
    if (member.type !== "file") return `is a ${member.type === "other" ? "special file" : member.type}, which is never followed`;
    if (entry.sparse) return "is sparse, which no engine writes and this plugin does not read";
    if (keep === undefined) return entry.offset;
    if (!keep(member)) return passedBy(member, label);
    keptBytes += member.size;
    if (keptBytes > MOST_KEPT_BYTES) throw new UserError({ reason: "TooLarge", message: `${member.name} in ${label} is absurdly large` });
    try {
      return bufferSource(Buffer.from(await source.read(entry.offset, member.size)));
    } catch (error) {
      // The walk's next step finds out how the archive ends.
      if (error instanceof UserError && BROKEN.has(error.reason)) return "is cut short";
      throw error;
    }
  };

  const walk = walkTar(source, label);
  let next = await walk.next();
  for (; next.done !== true; next = await walk.next()) {
    const entry = next.value;
    budget.keep(label, 1, (entry.name.length + entry.target.length) / 2);
    const { name, why } = memberName(entry.name);
    const type = typeOf(entry);
    if (why !== undefined) hostile.push({ name, why });
    else if (name === "" && type !== "directory") hostile.push({ name, why: "is empty" });
    if (why !== undefined || name === "") continue;
    const { size, mode, modifiedAt } = entry;
    const member: Member = { name, type, size, mode, modifiedAt, target: nameText(entry.target) };
    if (members.has(name)) duplicates.add(name);
    members.set(name, member);
    places.set(name, await place(member, entry));
  }

  const { problem, complete, end } = next.value;
  return {
    members,
    hostile,
    problems: [...(problem === undefined ? [] : [problem]), ...[...duplicates].map((name) => `there is more than one member ${name}`)],
    complete,
    end,
    budget,
    open(name) {
      const found = places.get(name);
      const { size = 0, target = "" } = members.get(name) ?? {};
      if (found === undefined) throw new UserError({ reason: "NoSuchMember", message: `there is no ${name} in ${label}` });
      if (typeof found === "string") {
        const why = target === "" ? undefined : `it points to ${target}`;
        throw new UserError({ reason: "UnreadableMember", message: `${name} in ${label} ${found}`, why });
      }
      if (typeof found === "object") return charged(found, budget);
      if (found + size <= source.size) return charged(slice(source, found, size), budget);
      throw new UserError({ reason: "ArchiveTruncated", message: `${name} in ${label} is cut short` });
    },
  };
}

function passedBy({ name, size }: Member, label: string): Source {
  return {
    size,
    read: async () => await Promise.reject(new Error(`${name} in ${label} was not kept while reading`)),
  };
}

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
