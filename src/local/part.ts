import type { FileHandle } from "node:fs/promises";
import { Disposal } from "../model/disposal.ts";
import { UserError } from "../model/error.ts";
import { number, object, string, type Json } from "../model/json.ts";
import { command, say } from "../model/phrase.ts";
import type { Directory } from "./directory.ts";
import { writing } from "./failure.ts";
import { isRunning, ownIdentity, readIdentity, type ProcessIdentity } from "./process.ts";
import { isRanges, totalBytes, withRange, type Ranges } from "./ranges.ts";

/** What is being fetched: another identity is another file, whatever its name. */
export interface PartSource {
  readonly node: string;
  readonly name: string;
  readonly bytes: number;
  readonly identity: string;
}

const VERSION = 2;
const STATE_BYTES = 4096;
/** The state is written again after so many bytes, or after so long: what a kill -9 can cost. */
const SAVE_BYTES = 16 << 20;
const SAVE_MS = 30_000;
/** Of a process that cannot be seen from here, the state tells whether it still writes. */
const SILENT_MS = 300_000;

/** Parts that this process is writing, by device and inode. */
const open = new Set<string>();

/**
 * A file that is arriving: NAME.part, mode 0600, and beside it NAME.part.json, which says what of it is there. Both outlive
 * any failure, so that the next run fetches only what is missing.
 */
export class Part {
  readonly directory: Directory;
  readonly name: string;
  readonly file: FileHandle;
  readonly source: PartSource;
  /** Whether there was a part of another file, which was given up. */
  readonly startedOver: boolean;
  readonly #key: string;
  readonly #state: FileHandle;
  readonly #writer: ProcessIdentity;
  #done: Ranges;
  #unsaved = 0;
  #savedAt = performance.now();
  #stateLength = STATE_BYTES;
  #saving: Promise<void> = Promise.resolve();

  private constructor(
    directory: Directory,
    name: string,
    { file, state, key, writer }: { file: FileHandle; state: FileHandle; key: string; writer: ProcessIdentity },
    source: PartSource,
    { done, other }: Found,
  ) {
    this.directory = directory;
    this.name = name;
    this.file = file;
    this.source = source;
    this.startedOver = other;
    this.#key = key;
    this.#state = state;
    this.#writer = writer;
    this.#done = done;
  }

  /**
   * For the file that will be called `final`. Throws DestinationUnusable where the part is not a plain file of this user with one
   * name, AlreadyCopying where another process is writing it.
   */
  static async open(directory: Directory, final: string, source: PartSource): Promise<Part> {
    const name = `${final}.part`;
    await using opened = new Disposal();
    const writer = await ownIdentity();
    const state = opened.use(await directory.reopen(stateName(name)));
    const found = await takenOver(directory.pathOf(final), state, source);
    const file = opened.use(await directory.reopen(name));
    const { dev, ino } = await file.stat({ bigint: true });
    const key = `${dev} ${ino}`;
    if (open.has(key)) throw alreadyCopying(directory.pathOf(final), "this command is copying another archive to the same name");
    if (found.done.length === 0) await writing(directory.pathOf(name), async () => await file.truncate(0));
    const part = new Part(directory, name, { file, state, key, writer }, source, found);
    await writing(directory.pathOf(name), async () => await part.save());
    open.add(key);
    opened.release();
    return part;
  }

  get path(): string {
    return this.directory.pathOf(this.name);
  }

  get done(): Ranges {
    return this.#done;
  }

  /** Bytes that are on their way to the disk by now. */
  add(begin: number, end: number): void {
    this.#done = withRange(this.#done, begin, end);
    this.#unsaved += end - begin;
    if (this.#unsaved < SAVE_BYTES && performance.now() - this.#savedAt < SAVE_MS) return;
    this.#unsaved = 0;
    this.#savedAt = performance.now();
    // A state that cannot be written costs a later run some bytes, nothing more.
    this.#saving = this.#saving.then(async () => await this.save().catch(() => undefined));
  }

  /** In place and padded, so that a full disk does not keep it from being written. Torn by a power cut it is no state, and the copy starts over. */
  async save(): Promise<void> {
    const { node, name, bytes, identity } = this.source;
    const state = JSON.stringify({ version: VERSION, writer: this.#writer, node, name, bytes, identity, done: this.#done });
    this.#stateLength = Math.max(this.#stateLength, state.length);
    await this.#state.write(state.padEnd(this.#stateLength), 0);
  }

  /** Gives it its final name: see Directory.publish. After this it is closed. */
  async publish(final: string, replace: boolean): Promise<void> {
    await this.#saving;
    await this.directory.publish({ name: this.name, file: this.file }, final, replace);
    await this.#close();
    await this.directory.remove(stateName(this.name));
  }

  /** Keeps what is there for the next run. */
  async close(): Promise<void> {
    await this.#saving;
    await this.save().catch(() => undefined);
    await this.#close();
  }

  /** Gives up all of it: it is not what it should be. */
  async discard(): Promise<void> {
    await this.#saving;
    await this.#close();
    await this.directory.remove(this.name);
    await this.directory.remove(stateName(this.name));
  }

  async #close(): Promise<void> {
    open.delete(this.#key);
    await this.file.close();
    await this.#state.close();
  }
}

function stateName(part: string): string {
  return `${part}.json`;
}

/** What of the file is there; `other`: there was something of another file. */
interface Found {
  readonly done: Ranges;
  readonly other: boolean;
}

const NOTHING: Found = { done: [], other: false };

/** Throws AlreadyCopying where a process that still runs, or may still run, is writing it. */
async function takenOver(final: string, file: FileHandle, source: PartSource): Promise<Found> {
  const state = readState(await file.readFile("utf8"));
  if (state === undefined) return NOTHING;
  const writer = readIdentity(state["writer"]);
  const runs = writer === undefined ? false : await isRunning(writer);
  const { pid: own } = process;
  if (runs === true && writer?.pid !== own) throw alreadyCopying(final, `process ${writer?.pid} is writing it`);
  if (runs === undefined && Date.now() - (await file.stat()).mtimeMs < SILENT_MS) {
    const why = "a process in another container or on another machine wrote to it in the last five minutes";
    throw alreadyCopying(final, why);
  }
  const same = (["node", "name", "identity"] as const).every((key) => string(state[key]) === source[key]);
  if (!same || state["bytes"] !== source.bytes) return { done: [], other: true };
  return isRanges(state["done"], source.bytes) && state["version"] === VERSION ? { done: state["done"], other: false } : NOTHING;
}

/** So much of a file is there, in bytes. */
export interface Arrived {
  readonly bytes: number;
  readonly of: number;
}

/**
 * What an earlier copy left of the file that will be called `final`, as its state says, written or not since; undefined where there is no
 * part. "unknown" where the state cannot be read, or is of another archive.
 */
export async function leftOf(
  directory: Directory,
  final: string,
  source: Pick<PartSource, "node" | "name">,
): Promise<Arrived | "unknown" | undefined> {
  const name = `${final}.part`;
  if ((await directory.look(name)) === undefined) return undefined;
  if ((await directory.look(stateName(name)))?.kind !== "file") return "unknown";
  await using file = await directory.read(stateName(name));
  const state = readState(await file.readFile("utf8"));
  const [of, done] = [number(state?.["bytes"]), state?.["done"]];
  const isSame = state?.["version"] === VERSION && state["node"] === source.node && state["name"] === source.name;
  return isSame && of !== undefined && isRanges(done, of) ? { bytes: totalBytes(done), of } : "unknown";
}

function readState(text: string): Json | undefined {
  try {
    return object(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function alreadyCopying(final: string, why: string): UserError {
  return new UserError({
    reason: "AlreadyCopying",
    message: say`${final} is already being copied`,
    why,
    fix: say`wait until that copy has ended; if it no longer runs: ${command`rm ${`${final}.part.json`}`}`,
  });
}
