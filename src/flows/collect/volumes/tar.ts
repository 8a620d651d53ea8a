import { END, memberHeader, padding, type NewMember } from "../../../archive/tar/write.ts";
import type { Codec } from "../../../helper/directory.ts";
import { nameWord } from "../../../helper/operations.ts";
import { MOST_FILES, MOST_WORDS, type Facts, type PodVolumes } from "../../../helper/volumes.ts";
import { streamFile } from "../../../transfer/stream.ts";
import type { Found, LeftOut } from "./walk.ts";

/** Smaller files are read together. */
const SMALL = 1 << 20;
/** Of files that are read together, in bytes. */
const TOGETHER = 4 << 20;

export interface TarRequest {
  readonly volumes: PodVolumes;
  readonly found: readonly Found[];
  readonly codec: Codec | "auto";
  readonly signal: AbortSignal;
  /** Takes what cannot be in it as it was. */
  readonly leaveOut: (one: LeftOut) => void;
  /** Called for each member. */
  readonly counted?: () => void;
}

/** The volumes as a tar archive: directories and links first, then small files, large ones, and last further names of files. */
export async function* volumesTar({ volumes, found, codec, signal, leaveOut, counted }: TarRequest): AsyncGenerator<Buffer, void> {
  const { small, large, others, again } = sorted(found);
  const header = (about: NewMember): Buffer => {
    counted?.();
    return memberHeader(about);
  };
  for (const { path, facts, target } of others) {
    if (facts.type === "directory") yield header(member(Buffer.concat([path, Buffer.from("/")]), "directory", facts));
    else if (target === undefined) leaveOut({ path, kind: "changed" });
    else yield header(member(path, "symlink", facts, target));
  }
  for (const group of groups(small)) {
    const read = await volumes.read(group.map(({ path, facts }) => ({ path, bytes: facts.bytes })));
    for (const [index, { path, facts }] of group.entries()) {
      const { bytes = Buffer.alloc(0), after } = read[index] ?? {};
      if (after?.identity !== facts.identity || bytes.length !== facts.bytes)
        leaveOut({ path, kind: after === undefined ? "changed" : why(facts, after) });
      if (after === undefined && bytes.length === 0) continue;
      yield header(member(path, "file", { ...facts, bytes: bytes.length }));
      if (bytes.length > 0) yield Buffer.concat([bytes, padding(bytes.length)]);
    }
  }
  const codecs = large.length === 0 ? [] : await volumes.codecs();
  for (const { path, facts } of large) {
    yield header(member(path, "file", facts));
    yield* streamFile({ codecs, pour: async (piece) => await volumes.pour(path, piece) }, facts.bytes, codec, signal);
    yield padding(facts.bytes);
    const [now] = await volumes.read([{ path, bytes: 0 }]);
    if (now?.after?.identity !== facts.identity) leaveOut({ path, kind: "changed" });
  }
  for (const [{ path, facts }, first] of again) yield header(member(path, "link", { ...facts, bytes: 0 }, first));
  yield END;
}

/** A file that is what it was, and could not be read all the same. */
function why(before: Facts, after: Facts): LeftOut["kind"] {
  return before.identity === after.identity ? "unreadable" : "changed";
}

function member(name: Buffer, type: NewMember["type"], facts: Facts, target: Buffer = Buffer.alloc(0)): NewMember {
  const { bytes, mode, uid, gid, modifiedAt } = facts;
  return { name, type, size: type === "file" ? bytes : 0, mode, uid, gid, modifiedAt, target };
}

interface Sorted {
  readonly small: readonly Found[];
  readonly large: readonly Found[];
  readonly others: readonly Found[];
  /** Further names of a file, and its first one. */
  readonly again: readonly (readonly [Found, Buffer])[];
}

function sorted(found: readonly Found[]): Sorted {
  const first = new Map<string, Buffer>();
  const all = { small: [] as Found[], large: [] as Found[], others: [] as Found[], again: [] as [Found, Buffer][] };
  for (const entry of found) {
    const { facts, path } = entry;
    const known = facts.links > 1 ? first.get(facts.inode) : undefined;
    if (facts.type !== "file") all.others.push(entry);
    else if (known !== undefined) all.again.push([entry, known]);
    else {
      if (facts.links > 1) first.set(facts.inode, path);
      (facts.bytes <= SMALL ? all.small : all.large).push(entry);
    }
  }
  return all;
}

function* groups(files: readonly Found[]): Generator<Found[]> {
  let group: Found[] = [];
  let [words, bytes] = [0, 0];
  for (const file of files) {
    const length = nameWord(file.path).length + 10;
    if (group.length === MOST_FILES || (group.length > 0 && (words + length > MOST_WORDS || bytes + file.facts.bytes > TOGETHER))) {
      yield group;
      group = [];
      [words, bytes] = [0, 0];
    }
    group.push(file);
    words += length;
    bytes += file.facts.bytes;
  }
  if (group.length > 0) yield group;
}

/** Bytes of all files, each counted once. */
export function bytesOf(found: readonly Found[]): number {
  const { small, large } = sorted(found);
  return [...small, ...large].reduce((sum, { facts }) => sum + facts.bytes, 0);
}
