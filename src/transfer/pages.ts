/** In bytes. */
export const PAGE = 1024 * 1024;

/** Gathers plain bytes in pages whose memory belongs to nobody else. No byte is copied more than once, and a page that is handed over not at all. */
export class PageGather {
  readonly pages: Buffer[] = [];
  /** So far. */
  bytes = 0;
  readonly #spare: Buffer[];
  #page: Buffer | undefined;
  #filled = 0;

  /** `spare` has memory for pages, of PAGE bytes. */
  constructor(spare: Buffer[]) {
    this.#spare = spare;
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
      this.pages.push(piece);
      this.bytes += PAGE;
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
    if (this.#page !== undefined && this.#filled > 0) this.pages.push(this.#page.subarray(0, this.#filled));
    this.#page = undefined;
    this.#filled = 0;
  }

  #open(): Buffer {
    this.#page ??= this.#spare.pop() ?? Buffer.allocUnsafeSlow(PAGE);
    return this.#page;
  }
}
