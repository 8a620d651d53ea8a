import type { FileHandle } from "node:fs/promises";
import { writeAll } from "../local/write.ts";
import { Malformed, type Plain } from "./plain.ts";

/** Small pieces are gathered: a system call each would cost more than the bytes. */
const PAGE = 1024 * 1024;
/** What is smaller is copied to the others. */
const WORTH_A_CALL = 64 * 1024;
/** Of one range: one is being written, one waits. */
const UNDER_WAY = 2;

/** Pages that writers of one file take from and give back to. */
export type Pages = Buffer[];

/** Writes consecutive bytes from an offset on; reports what has been written. No byte is copied more than once, and one that is handed over not at all. */
export class RangeWriter implements Plain {
  readonly #file: FileHandle;
  readonly #end: number;
  readonly #written: (begin: number, end: number) => void;
  readonly #spare: Pages;
  /** Where the page's bytes begin in the file. */
  #position: number;
  #page: Buffer | undefined;
  #gathered = 0;
  #flushing: Promise<void> = Promise.resolve();
  #underWay = 0;

  constructor(
    file: FileHandle,
    { begin, end, spare }: { begin: number; end: number; spare: Pages },
    written: (begin: number, end: number) => void,
  ) {
    this.#file = file;
    this.#position = begin;
    this.#end = end;
    this.#spare = spare;
    this.#written = written;
  }

  /** Copies the piece. Rejects where there is more than the range holds, or where the disk refuses. */
  write(piece: Buffer): Promise<void> | undefined {
    if (this.#left < piece.length) return Promise.reject(tooMuch());
    for (let copied = 0; copied < piece.length;) {
      this.#page ??= this.#spare.pop() ?? Buffer.allocUnsafeSlow(PAGE);
      const length = piece.copy(this.#page, this.#gathered, copied);
      this.#gathered += length;
      copied += length;
      if (this.#gathered === PAGE) this.#flush();
    }
    return this.#busy();
  }

  /** Takes the piece over as it is; `release` when it is written. */
  take(piece: Buffer, release: () => void): Promise<void> | undefined {
    if (piece.length < WORTH_A_CALL) {
      const busy = this.write(piece);
      // An earlier piece may be of the same memory, and is not written yet.
      this.#flushing.then(release, release);
      return busy;
    }
    if (this.#left < piece.length) return Promise.reject(tooMuch());
    if (this.#gathered > 0) this.#flush();
    this.#queue(piece, release);
    return this.#busy();
  }

  /** A place for bytes that are about to be made; `filled` says that they are. Undefined where a page has no such place. */
  place(length: number): Buffer | undefined {
    if (length > PAGE || this.#left < length) return undefined;
    if (this.#gathered + length > PAGE) this.#flush();
    this.#page ??= this.#spare.pop() ?? Buffer.allocUnsafeSlow(PAGE);
    return this.#page.subarray(this.#gathered, this.#gathered + length);
  }

  filled(length: number): Promise<void> | undefined {
    this.#gathered += length;
    if (this.#gathered === PAGE) this.#flush();
    return this.#busy();
  }

  /** Whether all of the range has come, if not yet to the disk. */
  get full(): boolean {
    return this.#left === 0;
  }

  /** Settles when all is written. Rejects where the range is not full. */
  async finish(): Promise<void> {
    await this.settle();
    if (this.#position < this.#end) throw new Malformed(`${this.#end - this.#position} bytes of the range are missing`);
  }

  /** Writes what is there, for good or after a failure. */
  async settle(): Promise<void> {
    if (this.#gathered > 0) this.#flush();
    await this.#flushing;
  }

  get #left(): number {
    return this.#end - this.#position - this.#gathered;
  }

  /** Beyond what may be under way, the sender waits. */
  #busy(): Promise<void> | undefined {
    return this.#underWay > UNDER_WAY ? this.#flushing : undefined;
  }

  #flush(): void {
    const [page, bytes] = [this.#page, this.#gathered];
    if (page === undefined) return;
    this.#page = undefined;
    this.#gathered = 0;
    this.#queue(page.subarray(0, bytes), () => this.#spare.push(page));
  }

  #queue(bytes: Buffer, release: () => void): void {
    const [begin, end] = [this.#position, this.#position + bytes.length];
    this.#position = end;
    this.#underWay += 1;
    this.#flushing = this.#flushing.then(async () => {
      await writeAll(this.#file, bytes, begin);
      this.#underWay -= 1;
      release();
      this.#written(begin, end);
    });
    // The failure is told by the next await; it must not count as unhandled until then.
    this.#flushing.catch(() => undefined);
  }
}

function tooMuch(): Malformed {
  return new Malformed("more bytes came than were asked for");
}
