import type { FileHandle } from "node:fs/promises";
import { Malformed } from "./malformed.ts";

/** Small pieces are gathered: a system call each would cost more than the bytes. */
const GATHER = 1024 * 1024;

/** Writes consecutive pieces from an offset on, several at once; reports what has been written. */
export class RangeWriter {
  readonly #file: FileHandle;
  readonly #end: number;
  readonly #written: (begin: number, end: number) => void;
  #position: number;
  #pieces: Buffer[] = [];
  #gathered = 0;
  #flushing: Promise<void> = Promise.resolve();
  #inFlight = false;

  constructor(file: FileHandle, begin: number, end: number, written: (begin: number, end: number) => void) {
    this.#file = file;
    this.#position = begin;
    this.#end = end;
    this.#written = written;
  }

  /** Rejects where there is more than the range holds, or where the disk refuses. */
  write(piece: Buffer): Promise<void> | undefined {
    if (this.#position + this.#gathered + piece.length > this.#end)
      return Promise.reject(new Malformed("more bytes came than were asked for"));
    this.#pieces.push(piece);
    this.#gathered += piece.length;
    if (this.#gathered < GATHER) return undefined;
    // One write under way and one being gathered; beyond that the sender waits.
    const before = this.#inFlight ? this.#flushing : undefined;
    this.#flush();
    return before;
  }

  /** Whether all of the range has come, if not yet to the disk. */
  get full(): boolean {
    return this.#position + this.#gathered === this.#end;
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

  #flush(): void {
    const [pieces, bytes, begin] = [this.#pieces, this.#gathered, this.#position];
    this.#pieces = [];
    this.#gathered = 0;
    this.#position += bytes;
    this.#inFlight = true;
    this.#flushing = this.#flushing.then(async () => {
      await writeAll(this.#file, pieces, begin);
      this.#written(begin, begin + bytes);
      this.#inFlight = false;
    });
    // The failure is told by the next await; it must not count as unhandled until then.
    this.#flushing.catch(() => undefined);
  }
}

async function writeAll(file: FileHandle, pieces: readonly Buffer[], position: number): Promise<void> {
  let [rest, at] = [pieces, position];
  while (rest.length > 0) {
    const { bytesWritten } = await file.writev(rest, at);
    at += bytesWritten;
    rest = without(rest, bytesWritten);
  }
}

function without(pieces: readonly Buffer[], bytes: number): readonly Buffer[] {
  let left = bytes;
  return pieces.flatMap((piece) => {
    const skipped = Math.min(left, piece.length);
    left -= skipped;
    return skipped === piece.length ? [] : [piece.subarray(skipped)];
  });
}
