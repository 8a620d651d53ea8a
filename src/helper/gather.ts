/** Gathered before they are handed on: a stream's work is done once for all of it. */
const CAPACITY = 128 * 1024;

/**
 * Copies small pieces, which are only there for a moment, into larger buffers: handed on when full, or when nothing more comes in
 * this turn of the event loop. A buffer is used again when its reader is through with it.
 */
export class Gather {
  readonly #push: (bytes: Buffer) => boolean;
  readonly #unread: () => number;
  #buffer: Buffer = Buffer.alloc(0);
  /** Of the buffer: gathered, and handed on. */
  #length = 0;
  #handedOn = 0;
  #pushed = 0;
  /** Handed on altogether, with the count of bytes pushed by then. */
  readonly #full: { readonly buffer: Buffer; readonly end: number }[] = [];
  #scheduled = false;

  /** `push` answers false when it has enough for now; `unread` tells how many of the bytes pushed may still be looked at. */
  constructor(push: (bytes: Buffer) => boolean, unread: () => number = () => Infinity) {
    this.#push = push;
    this.#unread = unread;
  }

  /** False: enough for now. */
  add(piece: Buffer): boolean {
    let more = true;
    for (let copied = 0; copied < piece.length;) {
      if (this.#length === this.#buffer.length) this.#renew();
      const length = piece.copy(this.#buffer, this.#length, copied);
      this.#length += length;
      copied += length;
      if (this.#length === this.#buffer.length) more = this.flush();
    }
    if (this.#length > this.#handedOn && !this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.flush();
      });
    }
    return more;
  }

  flush(): boolean {
    if (this.#length === this.#handedOn) return true;
    const bytes = this.#buffer.subarray(this.#handedOn, this.#length);
    this.#handedOn = this.#length;
    this.#pushed += bytes.length;
    return this.#push(bytes);
  }

  #renew(): void {
    if (this.#buffer.length > 0) this.#full.push({ buffer: this.#buffer, end: this.#pushed });
    const [oldest] = this.#full;
    const free = oldest !== undefined && oldest.end <= this.#pushed - this.#unread();
    this.#buffer = free ? oldest.buffer : Buffer.allocUnsafeSlow(CAPACITY);
    if (free) this.#full.shift();
    this.#length = 0;
    this.#handedOn = 0;
  }
}
