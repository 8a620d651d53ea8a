import type { OpenArchive } from "../../../archive/archive.ts";
import { engineOf } from "../../../archive/engines/engine.ts";
import { missingFields, missingMembers } from "../../../archive/expected.ts";
import { openNested } from "../../../archive/bytes.ts";
import { readJson } from "../../../archive/read.ts";
import { namesLikeWhiteouts, ROOTFS_CHANGE } from "../../../archive/rootfs.ts";
import { checkImages } from "../../../criu/check.ts";
import { missingImages } from "../../../criu/missing.ts";
import { UserError } from "../../../model/error.ts";

/** A problem, or a note. */
export type Finding = string | { readonly note: string };

/** Throws a UserError where it cannot go on. */
export type Check = (archive: OpenArchive, signal: AbortSignal) => AsyncIterable<Finding>;

/** Of a hostile process tree, or of names: no more than so many are told of. */
const MOST = 1000;
const MOST_NAMED = 5;

/** What says nothing about the archive itself. */
const NOT_ITS_FAULT = ["NoSuchFile", "PermissionDenied", "CannotOpen", "NoTemporarySpace"];
/** A file may have been compressed by hand. */
export const NOT_A_FILES_FAULT = [...NOT_ITS_FAULT, "WindowTooLarge"];

/** What ends a check is a problem too. */
export async function* orWhyNot<T>(check: AsyncIterable<T>, notItsFault = NOT_A_FILES_FAULT): AsyncGenerator<T | string, void> {
  try {
    yield* check;
  } catch (error) {
    if (!(error instanceof UserError) || notItsFault.includes(error.reason)) throw error;
    yield error.message;
  }
}

export async function* structure(archive: OpenArchive): AsyncGenerator<Finding, void> {
  yield* archive.problems;
  for (const { name, why } of archive.hostile) yield `a member's name, ${name}, ${why}`;
  for (const name of archive.members.keys())
    if (name.includes("\\")) yield `a member's name, ${name}, has characters in it that no engine writes`;
  yield* await atTheEnd(archive);
}

/** containerd writes over a file of the same name without cutting it: what the older one had more stays. */
async function atTheEnd(archive: OpenArchive): Promise<Finding[]> {
  if (!archive.complete) return [];
  const { afterArchive, afterCompressed } = await archive.rest();
  const note = `${afterArchive} bytes follow its end: left of a longer archive that it was written over, or not part of it`;
  return [...(afterArchive === 0 ? [] : [{ note }]), ...behindCompressed(afterCompressed)];
}

/** Of the image that it was found in. */
export async function* imageAround({ image }: OpenArchive): AsyncGenerator<Finding, void> {
  if (image !== undefined) yield* await image.problems();
}

function behindCompressed(bytes: number): string[] {
  return bytes === 0 ? [] : [`${bytes} bytes follow the compressed data, which not all programs pass over`];
}

/** Beside what the engine reader reads: files of JSON that only some of them write. */
const MORE_JSON = ["status", "bind.mounts", "deleted.files", "checkpoint/descriptors.json"];

export async function* members(archive: OpenArchive): AsyncGenerator<string, void> {
  const { engine } = await engineOf(archive);
  for (const name of missingMembers(archive, engine)) yield `${name} is missing`;
  yield* await missingFields(archive);
  for (const name of MORE_JSON) yield* orWhyNot(readable(readJson(archive, name)));
}

// oxlint-disable-next-line require-yield -- a check without problems of its own
async function* readable(reading: Promise<unknown>): AsyncGenerator<string, void> {
  await reading;
}

const NESTED = /^(rootfs-diff\.tar|devshm-checkpoint\.tar|volumes\/.*\.tar|checkpoint\/tmpfs-dev-\d+\.tar\.gz\.img)$/;

export async function* nestedArchives(archive: OpenArchive, signal: AbortSignal): AsyncGenerator<Finding, void> {
  for (const { name, type } of archive.members.values()) {
    if (!NESTED.test(name) || type !== "file") continue;
    for await (const finding of orWhyNot(nestedFindings(archive, name, signal), NOT_ITS_FAULT)) {
      if (typeof finding !== "string") yield { note: `${name}: ${finding.note}` };
      else yield finding.startsWith(name) ? finding : `${name}: ${finding}`;
    }
  }
}

async function* nestedFindings(archive: OpenArchive, name: string, signal: AbortSignal): AsyncGenerator<Finding, void> {
  await using nested = await openNested(archive, name, { signal });
  yield* nested.problems;
  for (const { name: bad, why } of nested.hostile) yield `the name ${bad} ${why}`;
  // Containers may call their files what they like; but it should be known.
  const escaped = [...nested.members.keys()].filter((member) => member.includes("\\x"));
  if (escaped.length > 0) yield { note: `${some(escaped, "names")} with bytes that cannot be shown` };
  const like = name === ROOTFS_CHANGE ? await namesLikeWhiteouts(archive, nested) : [];
  if (like.length > 0) yield { note: `${some(like, "files")} named like a whiteout, which none of them is` };
  if (!nested.complete) return;
  const { afterArchive, afterCompressed } = await nested.rest();
  if (afterArchive > 0) yield `${afterArchive} bytes follow its end`;
  yield* behindCompressed(afterCompressed);
}

/** "3 files (a, b, c)" */
function some(names: readonly string[], what: string): string {
  const more = names.length > MOST_NAMED ? ", …" : "";
  return `${names.length} ${names.length === 1 ? what.replace(/s$/, "") : what} (${names.slice(0, MOST_NAMED).join(", ")}${more})`;
}

export async function* images(archive: OpenArchive): AsyncGenerator<Finding, void> {
  const leftOver: string[] = [];
  for await (const { image, kind, message } of checkImages(archive)) {
    if (kind === "stale") leftOver.push(image);
    else if (kind === "unknown") yield { note: `${image}: ${message}` };
    else yield `${image}: ${message}`;
  }
  if (leftOver.length > 0) yield { note: `left over from an earlier checkpoint: ${leftOver.join(", ")}` };
}

export async function* references(archive: OpenArchive): AsyncGenerator<Finding, void> {
  let found = 0;
  for await (const { message, certain } of missingImages(archive)) {
    yield certain ? message : { note: message };
    // A forged process tree has no end of them.
    if ((found += 1) < MOST) continue;
    yield "and more images are missing";
    return;
  }
}
