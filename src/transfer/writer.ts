import type { FileHandle } from "node:fs/promises";
import { writeAll } from "../local/write.ts";
import { Malformed } from "./malformed.ts";

/** Small pieces are gathered: a system call each would cost more than the bytes. */
const GATHER = 1024 * 1024;

/** Writes consecutive pieces from an offset on, several at once; reports what has been written. */
export class RangeWriter {
  readonly #file: FileHandle;
  readonly #end: number;
  readonly #written: (begin: number, end: number) => void;
  readonly #spare: Buffer[];
  #position: number;
  #buffer: Buffer | undefined;
  #gathered = 0;
  #flushing: Promise<void> = Promise.resolve();
  #inFlight = 0;

  /** `spare` are buffers that writers of one file take from and give back to. */
  constructor(
    file: FileHandle,
    { begin, end, spare }: { begin: number; end: number; spare: Buffer[] },
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
    if (this.#position + this.#gathered + piece.length > this.#end)
      return Promise.reject(new Malformed("more bytes came than were asked for"));
    let busy: Promise<void> | undefined;
    for (let copied = 0; copied < piece.length;) {
      this.#buffer ??= this.#spare.pop() ?? Buffer.allocUnsafeSlow(GATHER);
      const length = piece.copy(this.#buffer, this.#gathered, copied);
      this.#gathered += length;
      copied += length;
      if (this.#gathered < GATHER) continue;
      // One write under way and one being gathered; beyond that the sender waits.
      if (this.#inFlight > 0) busy = this.#flushing;
      this.#flush();
    }
    return busy;
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
    const [buffer, bytes, begin] = [this.#buffer, this.#gathered, this.#position];
    if (buffer === undefined) return;
    this.#buffer = undefined;
    this.#gathered = 0;
    this.#position += bytes;
    this.#inFlight += 1;
    this.#flushing = this.#flushing.then(async () => {
      await writeAll(this.#file, buffer.subarray(0, bytes), begin);
      this.#inFlight -= 1;
      this.#spare.push(buffer);
      this.#written(begin, begin + bytes);
    });
    // The failure is told by the next await; it must not count as unhandled until then.
    this.#flushing.catch(() => undefined);
  }
}
