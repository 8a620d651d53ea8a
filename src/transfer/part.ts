import { constants } from "node:fs";
import { open, rm, type FileHandle } from "node:fs/promises";
import { kill } from "node:process";
import { Disposal } from "../model/disposal.ts";
import { cannotWrite } from "../local/failure.ts";
import { UserError } from "../model/error.ts";
import { number, object, string } from "../model/json.ts";
import { isRanges, withRange, type Ranges } from "./ranges.ts";

/** What is being fetched: another identity is another file, whatever its name. */
export interface PartSource {
  readonly node: string;
  readonly name: string;
  readonly bytes: number;
  readonly identity: string;
}

const VERSION = 1;
const STATE_BYTES = 4096;
/** The state is written again after so many bytes: what a kill -9 can cost. */
const SAVE_EVERY = 16 * 1024 * 1024;

/**
 * A file that is arriving: FILE.part, mode 0600, and beside it FILE.part.json, which says what of it is there. Both outlive
 * any failure, so that the next run fetches only what is missing.
 */
export class Part {
  readonly path: string;
  readonly file: FileHandle;
  readonly #state: FileHandle;
  readonly source: PartSource;
  /** Whether there was a part of another file, which was given up. */
  readonly startedOver: boolean;
  #done: Ranges;
  #unsaved = 0;
  #stateLength = STATE_BYTES;
  #saving: Promise<void> = Promise.resolve();

  private constructor(path: string, file: FileHandle, stateFile: FileHandle, source: PartSource, done: Ranges, startedOver: boolean) {
    this.path = path;
    this.file = file;
    this.#state = stateFile;
    this.source = source;
    this.#done = done;
    this.startedOver = startedOver;
  }

  /** For the file that will be called `final`. Throws a UserError where the part is a link, or another command is at it. */
  static async open(final: string, source: PartSource): Promise<Part> {
    const path = `${final}.part`;
    await using opened = new Disposal();
    const file = opened.use(await openOwn(path));
    const stateFile = opened.use(await openOwn(`${path}.json`));
    const state = readState(await stateFile.readFile("utf8"), source);
    if (state === undefined || state.other) await file.truncate(0);
    const part = new Part(path, file, stateFile, source, state?.done ?? [], state?.other ?? false);
    await part.save().catch((error: unknown) => Promise.reject(cannotWrite(path, error)));
    opened.release();
    return part;
  }

  get done(): Ranges {
    return this.#done;
  }

  /** Bytes that are on their way to the disk by now. */
  add(begin: number, end: number): void {
    this.#done = withRange(this.#done, begin, end);
    this.#unsaved += end - begin;
    if (this.#unsaved < SAVE_EVERY) return;
    this.#unsaved = 0;
    this.#saving = this.#saving.then(async () => await this.save());
  }

  /** In place and padded, so that a full disk does not keep it from being written. Torn by a power cut it is no state, and the copy starts over. */
  async save(): Promise<void> {
    const { node, name, bytes, identity } = this.source;
    const state = JSON.stringify({ version: VERSION, pid: process.pid, node, name, bytes, identity, done: this.#done });
    this.#stateLength = Math.max(this.#stateLength, state.length);
    await this.#state.write(state.padEnd(this.#stateLength), 0);
  }

  /** Until all bytes are on the disk. */
  async sync(): Promise<void> {
    await this.#saving;
    await this.file.sync();
  }

  /** After the file has got its final name: only the state is left to go. */
  async finished(): Promise<void> {
    await this.#close();
    await rm(`${this.path}.json`, { force: true });
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
    await rm(this.path, { force: true });
    await rm(`${this.path}.json`, { force: true });
  }

  async #close(): Promise<void> {
    await this.file.close();
    await this.#state.close();
  }
}

/** A file of ours, mode 0600, that is no link and no device. */
async function openOwn(path: string): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);
  const file = await open(path, flags, 0o600).catch((error: unknown) => Promise.reject(cannotWrite(path, error)));
  if ((await file.stat()).isFile()) {
    await file.chmod(0o600);
    return file;
  }
  await file.close();
  throw new UserError({ reason: "DestinationUnusable", message: `${path} is not a plain file`, fix: `remove ${path}` });
}

function readState(text: string, source: PartSource): { done: Ranges; other: boolean } | undefined {
  let state;
  try {
    state = object(JSON.parse(text));
  } catch {
    return undefined;
  }
  const pid = number(state["pid"]);
  if (pid !== undefined && pid !== process.pid && isAlive(pid)) {
    throw new UserError({
      reason: "AlreadyCopying",
      message: `another command (process ${pid}) is writing this file`,
      fix: "wait until it has ended",
    });
  }
  const same =
    (["node", "name", "identity"] as const).every((key) => string(state[key]) === source[key]) && state["bytes"] === source.bytes;
  if (!same) return { done: [], other: true };
  return isRanges(state["done"], source.bytes) && state["version"] === VERSION ? { done: state["done"], other: false } : undefined;
}

function isAlive(pid: number): boolean {
  try {
    return kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
