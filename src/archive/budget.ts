import { UserError } from "../model/error.ts";
import { command, say, type Phrase } from "../model/phrase.ts";
import { formatBytes } from "../model/units.ts";

/** Bytes of memory that one command may keep of archives. With Node.js itself and garbage it stays below 300 MB. */
const MOST_KEPT = 64e6;
/** What an object with its fields takes, and a character of text, in bytes. */
const ITEM = 256;
const CHARACTER = 2;

/**
 * Processor time that one command may take, in milliseconds: so much, and so much for each byte decoded, each object kept and each file made. A sound
 * archive takes about a tenth of it: processors that others use as well are several times slower.
 */
const BASE_TIME = 5000;
const TIME_PER_BYTE = 2000 / 100e6;
const TIME_PER_ITEM = 0.25;
/** To make a file takes the kernel some tenth of it, however small the file is. */
const TIME_PER_FILE = 2;

/** Bytes that one command may decode: so many, and so many times the archive. */
const BASE_DECODED = 2 ** 30;
const DECODED_TIMES = 64;

/** Bytes that one command may write to disk: so many times the archive. */
const WRITTEN_TIMES = 4;

/** The processor time is looked at after so many steps, or bytes decoded. */
const STEPS_BETWEEN = 4096;
const BYTES_BETWEEN = 1 << 20;

/**
 * What one command may take for the archives it reads, so that none of them fills memory or disk, or takes for ever: whatever
 * decodes, keeps or writes charges it. Each charge throws a UserError where it is too much.
 */
export class Budget {
  readonly #clock: () => number;
  #started: number;
  #archiveBytes = 0;
  #decoded = 0;
  #kept = 0;
  /** All that were ever kept. */
  #items = 0;
  /** By what it is of, in bytes. */
  readonly #keptOf = new Map<string, number>();
  #written = 0;
  #files = 0;
  #mostWritten: number | undefined;
  #steps = 0;
  #bytesSince = 0;

  /** `clock` tells the processor time of this command in milliseconds. */
  constructor(clock: () => number = processorTime) {
    this.#clock = clock;
    this.#started = clock();
  }

  /** Time is not bounded: where other work goes on in the same process, such as copies or compression. */
  static withoutClock(): Budget {
    return new Budget(() => 0);
  }

  /** Another archive is read: of so many bytes, expanded. */
  opened(bytes: number): void {
    this.#archiveBytes += bytes;
  }

  /** So many bytes came out of a decoder, or were read of a member. */
  decode(bytes: number): void {
    this.#decoded += bytes;
    const most = BASE_DECODED + DECODED_TIMES * this.#archiveBytes;
    if (this.#decoded > most) {
      throw new UserError({
        reason: "TooLarge",
        message: say`reading it takes more than ${formatBytes(most)}, which is ${DECODED_TIMES} times the archive`,
        why: HOSTILE,
      });
    }
    this.#bytesSince += bytes;
    if (this.#bytesSince >= BYTES_BETWEEN) this.#lookAtTime();
  }

  /** A step of work that neither decodes nor keeps anything. */
  step(count = 1): void {
    this.#steps += count;
    if (this.#steps >= STEPS_BETWEEN) this.#lookAtTime();
  }

  /**
   * So many objects, and bytes of text in them, stay in memory until the command ends. `what` names where they come from: where it is too
   * much, nothing of it counts any more, because the error ends what collected it.
   */
  keep(what: string, items: number, text = 0): void {
    const bytes = items * ITEM + text * CHARACTER;
    if (this.#kept + bytes > MOST_KEPT) {
      this.#release(what, this.#keptOf.get(what) ?? 0);
      throw new UserError({ reason: "TooLarge", message: say`${what} has too much in it to be kept in memory`, why: HOSTILE });
    }
    this.#kept += bytes;
    this.#items += items;
    this.#keptOf.set(what, (this.#keptOf.get(what) ?? 0) + bytes);
    this.step(items);
  }

  #release(what: string, bytes: number): void {
    const kept = this.#keptOf.get(what) ?? 0;
    const released = Math.min(bytes, kept);
    this.#kept -= released;
    if (released === kept) this.#keptOf.delete(what);
    else this.#keptOf.set(what, kept - released);
  }

  /** For what stays until the end of a block. */
  lease(what: string): Lease {
    let [items, text] = [0, 0];
    return {
      keep: (moreItems, moreText = 0) => {
        this.keep(what, moreItems, moreText);
        items += moreItems;
        text += moreText;
      },
      [Symbol.dispose]: () => {
        this.#release(what, items * ITEM + text * CHARACTER);
        [items, text] = [0, 0];
      },
    };
  }

  /** So many bytes may be written, however large the archive is. */
  allowWriting(bytes: number): void {
    this.#mostWritten = bytes;
  }

  /** So many bytes go to disk. */
  write(bytes: number): void {
    this.#written += bytes;
    const most = this.#mostWritten ?? WRITTEN_TIMES * this.#archiveBytes;
    if (this.#written > most) throw tooMuchToWrite(most, this.#mostWritten === undefined);
  }

  /** A file is made on disk. */
  makeFile(): void {
    this.#files += 1;
  }

  /** Processor time of what the user asked for and no archive decides, such as a slow pattern: it does not count. */
  excuse<T>(work: () => T): T {
    const before = this.#clock();
    try {
      return work();
    } finally {
      this.#started += this.#clock() - before;
    }
  }

  /** As excuse(), of work that others wait for: an image that is pulled and unpacked. */
  async excused<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#clock();
    try {
      return await work();
    } finally {
      this.#started += this.#clock() - before;
    }
  }

  #lookAtTime(): void {
    this.#steps = 0;
    this.#bytesSince = 0;
    const most = BASE_TIME + this.#decoded * TIME_PER_BYTE + this.#items * TIME_PER_ITEM + this.#files * TIME_PER_FILE;
    if (this.#clock() - this.#started <= most) return;
    throw new UserError({
      reason: "TooSlow",
      message: say`reading it takes more than ${Math.round(most / 1000)} s of processor time for ${formatBytes(this.#decoded)}`,
      why: HOSTILE,
    });
  }
}

/** What is given back at the end of a block. */
export interface Lease extends Disposable {
  keep(items: number, text?: number): void;
}

const HOSTILE = "no real checkpoint is like that: the archive may have been made to do harm";

function tooMuchToWrite(most: number, byDefault: boolean): UserError {
  const limit: Phrase = byDefault ? say`${WRITTEN_TIMES} times the archive` : say`--max-bytes`;
  return new UserError({
    reason: "TooMuchToWrite",
    message: say`it would write more than ${formatBytes(most)}: ${limit}`,
    why: byDefault ? "an archive can be made so that little of it becomes very much" : undefined,
    fix: say`if you trust the archive, allow more: ${command`--max-bytes ${"10Gi"}`}`,
  });
}

/** Of this process, in milliseconds: the threads that decompress and collect garbage are in it. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
