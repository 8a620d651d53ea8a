/** Gathered before they are handed on: a stream's work is done once for all of it. */
const CAPACITY = 128 * 1024;

/**
 * Copies small pieces, which are only there for a moment, into larger buffers: handed on when full, or when nothing more comes in
 * this turn of the event loop.
 */
export class Gather {
  readonly #push: (bytes: Buffer) => boolean;
  #buffer = Buffer.alloc(0);
  #length = 0;
  #scheduled = false;

  /** `push` answers false when it has enough for now. */
  constructor(push: (bytes: Buffer) => boolean) {
    this.#push = push;
  }

  /** False: enough for now. */
  add(piece: Buffer): boolean {
    let rest = piece;
    let more = true;
    while (rest.length > 0) {
      if (this.#buffer.length === 0) this.#buffer = Buffer.allocUnsafeSlow(CAPACITY);
      const copied = rest.copy(this.#buffer, this.#length);
      this.#length += copied;
      rest = rest.subarray(copied);
      if (this.#length === this.#buffer.length) more = this.flush();
    }
    if (this.#length > 0 && !this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.flush();
      });
    }
    return more;
  }

  flush(): boolean {
    if (this.#length === 0) return true;
    const bytes = this.#buffer.subarray(0, this.#length);
    // What is left is used on; nothing of a buffer is written twice.
    this.#buffer = this.#buffer.subarray(this.#length);
    this.#length = 0;
    return this.#push(bytes);
  }
}
