/**
 * How far the API server's clock is ahead of ours, from the Date headers of its answers. Each header is exact to a second
 * and was written between request and answer: every answer narrows the interval that the offset lies in.
 */
export class ClockOffset {
  #least = -Infinity;
  #most = Infinity;

  /** `sentAt` and `answeredAt` are milliseconds since the epoch, by our clock. */
  observe(date: string | undefined, sentAt: number, answeredAt: number): void {
    const second = Date.parse(date ?? "");
    if (Number.isNaN(second)) return;
    this.#least = Math.max(this.#least, second - answeredAt);
    this.#most = Math.min(this.#most, second + 1000 - sentAt);
  }

  /** 0 as long as the clocks may agree; otherwise the middle of what is possible, to 0.1 s. */
  get seconds(): number {
    if (this.#least > this.#most || !Number.isFinite(this.#least) || (this.#least <= 0 && this.#most >= 0)) return 0;
    return Math.round((this.#least + this.#most) / 200) / 10;
  }
}
