import type { Codec } from "../helper/files.ts";

/** A codec, and how many bytes to fetch with it. */
export interface Choice {
  readonly codec: Codec;
  readonly bytes: number;
}

const MiB = 1024 * 1024;
/** What a codec is tried with first. */
const PROBE_BYTES = MiB;
/** How long a piece should take: long enough that its tunnel costs little, short enough to notice a change. */
const PIECE_SECONDS = 0.75;
const MAX_BYTES = 64 * MiB;
/** The other codecs are tried again after so many pieces, or when the best one has become this much slower. */
const PROBE_AGAIN = 24;
const SLOWER = 0.5;
/** Weight of the newest measurement. */
const NEWEST = 0.5;

/**
 * Chooses the codec of each piece by what the last ones brought, in plain bytes a second: on a fast link nothing beats no
 * compression, on a slow one every byte not sent counts. Where the image has zstd, lzop and gzip are no match for it.
 */
export class CodecChooser {
  readonly #candidates: readonly Codec[];
  readonly #rates = new Map<Codec, number>();
  #untried: Codec[];
  #pieces = 0;

  constructor(available: readonly Codec[], fixed: Codec | "auto") {
    if (fixed !== "auto") this.#candidates = [fixed];
    else this.#candidates = available.includes("zstd") ? ["none", "zstd"] : available;
    this.#untried = [...this.#candidates];
  }

  next(): Choice {
    this.#pieces += 1;
    if (this.#pieces % PROBE_AGAIN === 0) this.#untried = this.#candidates.filter((codec) => codec !== this.#best());
    const probe = this.#untried.shift();
    if (probe !== undefined && this.#candidates.length > 1) return { codec: probe, bytes: PROBE_BYTES };
    const codec = this.#best();
    const rate = this.#rates.get(codec);
    return { codec, bytes: rate === undefined ? PROBE_BYTES : Math.min(MAX_BYTES, Math.max(PROBE_BYTES, rate * PIECE_SECONDS)) };
  }

  /** `seconds` from the answer's beginning to the last plain byte. */
  measured(codec: Codec, plainBytes: number, seconds: number): void {
    const rate = plainBytes / Math.max(seconds, 1e-4);
    const known = this.#rates.get(codec);
    if (known !== undefined && codec === this.#best() && rate < known * SLOWER)
      this.#untried = this.#candidates.filter((one) => one !== codec);
    this.#rates.set(codec, known === undefined ? rate : known * (1 - NEWEST) + rate * NEWEST);
  }

  #best(): Codec {
    const [first = "none"] = this.#candidates;
    return this.#candidates.reduce((best, codec) => ((this.#rates.get(codec) ?? 0) > (this.#rates.get(best) ?? 0) ? codec : best), first);
  }
}
