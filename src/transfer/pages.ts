/** In bytes. */
export const PAGE = 1024 * 1024;

/** Gathers plain bytes in pages whose memory belongs to nobody else. No byte is copied more than once, and a page that is handed over not at all. */
export class PageGather {
  /** So far. */
  bytes = 0;
  readonly #spare: Buffer[];
  readonly #full: (page: Buffer) => void;
  #page: Buffer | undefined;
  #filled = 0;

  /** `spare` has memory for pages, of PAGE bytes; `full` is given each page that is full, and the last one at `end`. */
  constructor(spare: Buffer[], full: (page: Buffer) => void) {
    this.#spare = spare;
    this.#full = full;
  }

  write(piece: Buffer): void {
    for (let copied = 0; copied < piece.length;) {
      const count = piece.copy(this.#open(), this.#filled, copied);
      copied += count;
      this.filled(count);
    }
  }

  /** A piece that is not the whole of its memory is copied: whoever made it goes on to use the rest. */
  take(piece: Buffer, release: () => void): void {
    if (piece.length === PAGE && piece.buffer.byteLength === PAGE && this.#filled === 0) {
      this.bytes += PAGE;
      this.#full(piece);
      return;
    }
    this.write(piece);
    release();
  }

  /** A place for bytes that are about to be made; `filled` says that they are. Undefined where a page has no such place. */
  place(length: number): Buffer | undefined {
    if (length > PAGE) return undefined;
    if (this.#filled + length > PAGE) this.end();
    return this.#open().subarray(this.#filled, this.#filled + length);
  }

  filled(length: number): void {
    this.#filled += length;
    this.bytes += length;
    if (this.#filled === PAGE) this.end();
  }

  /** What there is of the last page is one of the pages, too. */
  end(): void {
    const [page, filled] = [this.#page, this.#filled];
    this.#page = undefined;
    this.#filled = 0;
    if (page !== undefined && filled > 0) this.#full(page.subarray(0, filled));
  }

  #open(): Buffer {
    this.#page ??= this.#spare.pop() ?? Buffer.allocUnsafeSlow(PAGE);
    return this.#page;
  }
}
