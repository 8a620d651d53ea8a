import { randomUUID } from "node:crypto";
import { hostname, userInfo } from "node:os";
import { basename, dirname, relative, resolve, sep } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Directory } from "../local/directory.ts";
import { writing } from "../local/failure.ts";
import { isRunning, ownIdentity, readIdentity } from "../local/process.ts";
import { writeAll } from "../local/write.ts";
import { UserError } from "../model/error.ts";
import { command, say } from "../model/phrase.ts";
import { custodyLine, readChain, type CustodyEntry, type CustodyLine } from "./custody.ts";

/** Longer nobody keeps it: a line takes milliseconds. */
const PATIENCE_MS = 20_000;
const POLL_MS = 20;

/** What a verb did with an object. */
export interface Deed {
  readonly action: string;
  /** A path on this machine; undefined for a note alone. */
  readonly path?: string;
  /** Of its bytes; with `path`. */
  readonly sha256?: string;
  readonly note?: string;
}

/** Who does it, and with what. */
export interface Doer {
  readonly signal: AbortSignal;
  readonly now: () => number;
  readonly version: string;
}

/**
 * Appends a line for each deed to the custody file at `path`, which is made where it is not there, and answers with all its lines. Others
 * that append at the same time are waited for. Throws CustodyDamaged where its chain is broken, and what Directory throws.
 */
export async function appendCustody(path: string, deeds: readonly Deed[], doer: Doer): Promise<readonly CustodyLine[]> {
  const absolute = resolve(path);
  const name = basename(absolute);
  await using directory = await Directory.open(dirname(absolute));
  await using _lock = await lock(directory, `${name}.lock`, doer.signal);
  await using file = await directory.reopen(name);
  const bytes = await writing(absolute, async () => await file.readFile());
  const { lines, problems } = readChain(bytes.toString("utf8"));
  const [problem] = problems;
  if (problem !== undefined) throw damaged(absolute, problem);
  const chain = [...lines];
  let more = "";
  for (const deed of deeds) {
    const line = custodyLine(entryOf(deed, dirname(absolute), doer), chain);
    more += line;
    chain.push(JSON.parse(line) as CustodyLine);
  }
  await writing(absolute, async () => {
    await writeAll(file, Buffer.from(more), bytes.length);
    await file.sync();
  });
  return chain;
}

/** Paths in a custody file are from where it lies, so that both can be moved together. */
export function objectName(path: string, directory: string): string {
  const from = relative(directory, resolve(path));
  return (from.startsWith("..") ? resolve(path) : from).split(sep).join("/");
}

function entryOf({ action, path, sha256 = "", note }: Deed, directory: string, { now, version }: Doer): CustodyEntry {
  return {
    time: new Date(now()).toISOString(),
    user: userName(),
    machine: hostname(),
    version,
    action,
    object: path === undefined ? "" : objectName(path, directory),
    sha256,
    ...(note === undefined ? {} : { note }),
  };
}

/** Containers may have users without a name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}

/** A file that only one process makes. One whose process is known to have ended is taken out of the way. */
async function lock(directory: Directory, name: string, signal: AbortSignal): Promise<AsyncDisposable> {
  const own = `${JSON.stringify({ ...(await ownIdentity()), token: randomUUID() })}\n`;
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    signal.throwIfAborted();
    if (await made(directory, name, own)) return { [Symbol.asyncDispose]: async () => await directory.remove(name) };
    const holder = await textOf(directory, name);
    if (holder !== undefined && (await hasEnded(holder))) {
      await removeStale(directory, name, holder);
      continue;
    }
    if (performance.now() > deadline) throw busy(directory.pathOf(name));
    await sleep(POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** Written before it has its name, so that nobody reads half of it. */
async function made(directory: Directory, name: string, text: string): Promise<boolean> {
  const next = `${name}.${randomUUID()}`;
  const file = await directory.create(next);
  try {
    await file.writeFile(text);
    await directory.publish({ name: next, file }, name, false);
    return true;
  } catch (error) {
    await directory.remove(next);
    if (error instanceof UserError && error.reason === "AlreadyExists") return false;
    throw error;
  } finally {
    await file.close();
  }
}

async function textOf(directory: Directory, name: string): Promise<string | undefined> {
  try {
    await using file = await directory.read(name);
    return await file.readFile("utf8");
  } catch {
    return undefined;
  }
}

async function hasEnded(holder: string): Promise<boolean> {
  try {
    const identity = readIdentity(JSON.parse(holder));
    return identity === undefined || (await isRunning(identity)) === false;
  } catch {
    return true;
  }
}

/** Of several that see a stale lock, only one may remove it: whoever holds the lock on doing so. */
async function removeStale(directory: Directory, name: string, holder: string): Promise<void> {
  const guard = `${name}.stale`;
  if (!(await made(directory, guard, holder))) {
    // Its own process may have ended, too.
    const age = await textOf(directory, guard);
    await sleep(POLL_MS * 10);
    if (age !== undefined && (await textOf(directory, guard)) === age && (await textOf(directory, name)) === holder)
      await directory.remove(guard);
    return;
  }
  try {
    if ((await textOf(directory, name)) === holder) await directory.remove(name);
  } finally {
    await directory.remove(guard);
  }
}

function busy(path: string): UserError {
  return new UserError({
    reason: "CustodyBusy",
    message: say`cannot append to the custody file: another process holds ${path}`,
    fix: say`if no other command is running: ${command`rm ${path}`}`,
  });
}

function damaged(path: string, problem: string): UserError {
  return new UserError({
    reason: "CustodyDamaged",
    message: say`nothing was appended to ${path}: its chain is broken`,
    why: problem,
    fix: say`check it, then use another file: ${command`kubectl checkpoint verify ${path}`}`,
  });
}
