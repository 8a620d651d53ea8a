import { engineOf } from "../../../archive/engines/engine.ts";
import { missingFields, missingMembers } from "../../../archive/expected.ts";
import { openArchive, openNested, type OpenArchive, type Reading } from "../../../archive/open.ts";
import { readJson } from "../../../archive/read.ts";
import { recordProblems } from "../../../archive/record.ts";
import { checkImages } from "../../../criu/check.ts";
import { missingImages } from "../../../criu/missing.ts";
import { UserError } from "../../../model/error.ts";
import { memoryProblems } from "./memory.ts";

/** An archive and what is wrong with it: a sentence each, without a full stop. */
export interface Verification {
  readonly path: string;
  readonly problems: readonly string[];
  /** What is worth knowing, and wrong with nothing. */
  readonly notes: readonly string[];
  /** Whether a record lay beside it, that it was held against. */
  readonly recorded: boolean;
}

/** After so many problems the others are only counted. */
const MOST_PROBLEMS = 1000;

/**
 * Checks an archive: its structure and that of the archives inside it, that all its engine writes is there, that every
 * file of CRIU can be read, that memory and statistics fit, and that it is what the record beside it says.
 * Throws a UserError where there is no such file, or it cannot be read for what is not its fault.
 */
export async function verify(path: string, reading: Reading): Promise<Verification> {
  // What several checks stumble over is one problem.
  const problems = new Set<string>();
  const notes: string[] = [];
  let more = 0;
  for await (const finding of orWhyNot(archiveFindings(path, reading))) {
    if (typeof finding !== "string") notes.push(finding.note);
    else if (problems.size < MOST_PROBLEMS) problems.add(finding);
    else more += 1;
  }
  if (more > 0) problems.add(`and at least ${more} more`);
  const recorded = path === "-" ? undefined : await recordProblems(path, reading.signal);
  return { path, problems: [...problems, ...(recorded ?? [])], notes, recorded: recorded !== undefined };
}

/** A problem, or a note. */
type Finding = string | { readonly note: string };

/** Throws a UserError where it cannot go on. */
type Check = (archive: OpenArchive, signal: AbortSignal) => AsyncIterable<Finding>;

const CHECKS: readonly Check[] = [structure, members, nestedArchives, images, lostImages, memoryProblems];

async function* archiveFindings(path: string, reading: Reading): AsyncGenerator<Finding, void> {
  const { signal } = reading;
  await using archive = await openArchive(path, reading);
  for (const check of CHECKS) {
    signal.throwIfAborted();
    yield* orWhyNot(check(archive, signal));
  }
}

/** What says nothing about the archive itself. */
const NOT_ITS_FAULT = new Set(["NoSuchFile", "PermissionDenied", "CannotOpen", "NoTemporarySpace", "WindowTooLarge"]);

/** What ends a check is a problem too. */
async function* orWhyNot<T>(check: AsyncIterable<T>): AsyncGenerator<T | string, void> {
  try {
    yield* check;
  } catch (error) {
    if (!(error instanceof UserError) || NOT_ITS_FAULT.has(error.reason)) throw error;
    yield error.message;
  }
}

async function* structure(archive: OpenArchive): AsyncGenerator<Finding, void> {
  yield* archive.problems;
  for (const { name, why } of archive.hostile) yield `a member's name, ${name}, ${why}`;
  for (const name of archive.members.keys())
    if (name.includes("\\")) yield `a member's name, ${name}, has characters in it that no engine writes`;
  yield* await atTheEnd(archive);
}

/** containerd writes over a file of the same name without cutting it: what the older one had more stays. */
async function atTheEnd(archive: OpenArchive): Promise<Finding[]> {
  const more = archive.complete ? await archive.trailingBytes() : 0;
  return more === 0 ? [] : [{ note: `${more} bytes follow its end: left of a longer archive that it was written over, or not part of it` }];
}

/** Beside what the engine reader reads: files of JSON that only some of them write. */
const MORE_JSON = ["status", "bind.mounts", "deleted.files", "checkpoint/descriptors.json"];

async function* members(archive: OpenArchive): AsyncGenerator<string, void> {
  const { engine } = await engineOf(archive);
  for (const name of missingMembers(archive.members, engine)) yield `${name} is missing`;
  yield* await missingFields(archive);
  for (const name of MORE_JSON) yield* orWhyNot(readable(readJson(archive, name)));
}

// oxlint-disable-next-line require-yield -- a check without problems of its own
async function* readable(reading: Promise<unknown>): AsyncGenerator<string, void> {
  await reading;
}

const NESTED = /^(rootfs-diff\.tar|devshm-checkpoint\.tar|volumes\/.*\.tar|checkpoint\/tmpfs-dev-\d+\.tar\.gz\.img)$/;

async function* nestedArchives(archive: OpenArchive, signal: AbortSignal): AsyncGenerator<string, void> {
  for (const { name, type } of archive.members.values()) {
    if (!NESTED.test(name) || type !== "file") continue;
    for await (const problem of orWhyNot(nestedProblems(archive, name, signal))) {
      yield problem.startsWith(name) ? problem : `${name}: ${problem}`;
    }
  }
}

async function* nestedProblems(archive: OpenArchive, name: string, signal: AbortSignal): AsyncGenerator<string, void> {
  await using nested = await openNested(archive, name, { signal });
  yield* nested.problems;
  // Containers may call their files what they like; but no file of theirs lies outside of them.
  for (const { name: bad, why } of nested.hostile) if (/absolute|\.\./.test(why)) yield `the name ${bad} ${why}`;
  // For the checksums of its compression.
  if (nested.complete) await nested.trailingBytes();
}

async function* images(archive: OpenArchive): AsyncGenerator<Finding, void> {
  const leftOver: string[] = [];
  for await (const { image, kind, message } of checkImages(archive)) {
    if (kind === "stale") leftOver.push(image);
    else if (kind === "unknown") yield { note: `${image}: ${message}` };
    else yield `${image}: ${message}`;
  }
  if (leftOver.length > 0) yield { note: `left over from an earlier checkpoint, of no process in the tree: ${leftOver.join(", ")}` };
}

async function* lostImages(archive: OpenArchive): AsyncGenerator<Finding, void> {
  let found = 0;
  for await (const { message, certain } of missingImages(archive)) {
    yield certain ? message : { note: message };
    // A forged process tree has no end of them.
    if ((found += 1) < MOST_PROBLEMS) continue;
    yield "and more images are missing";
    return;
  }
}
