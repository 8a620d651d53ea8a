import type { Codec } from "../helper/files.ts";

/** A codec, and how many bytes to fetch with it. */
export interface Choice {
  readonly codec: Codec;
  readonly bytes: number;
}

/** What a piece was like: bytes before and after encoding, seconds from the answer's beginning to the last plain byte. */
export interface Measured {
  readonly plainBytes: number;
  readonly wireBytes: number;
  readonly seconds: number;
}

const MiB = 1024 * 1024;
/** The first pieces tell how fast the link is. On a slow one they take their time, since nothing compresses them. */
const FIRST_BYTES = MiB / 2;
export const MIN_BYTES = MiB;
const MAX_BYTES = 64 * MiB;
/** How long a piece should take: long enough that its tunnel costs little, short enough to notice a change. */
const PIECE_SECONDS = 0.75;
/** For a codec that has yet to prove itself. */
const TRIAL_BYTES = 2 * MiB;
/** What arrives sooner says little of a link: more is asked for. */
const TELLING_SECONDS = 0.02;
/** The link is measured again after so many pieces. */
const MEASURE_AGAIN = 24;
/** Weight of the newest measurement. */
const NEWEST = 0.5;
/** A piece that used less of the link than this was held up by the processors at its ends. */
const HELD_UP = 0.7;

/** What is known of a codec. */
interface Known {
  /** Plain bytes a byte that travels. */
  ratio: number;
  /** Plain bytes a second that the processors at both ends manage, of one stream. */
  speed: number;
  tried: boolean;
}

/** Until it is measured: after real archives of redis and Python, two streams on two cores (busybox 1.36, zstd 1.5). */
const EXPECTED: Readonly<Record<Codec, Omit<Known, "tried">>> = {
  none: { ratio: 1, speed: Infinity },
  zstd: { ratio: 6, speed: 300e6 },
  lzop: { ratio: 4, speed: 130e6 },
  gzip: { ratio: 6, speed: 42e6 },
};

/**
 * Chooses the codec of each piece: the one for which a stream brings most plain bytes a second. That is its share of the link times
 * what the codec saves, as long as the processors keep up. Both are learned from every piece. Where the image has zstd, lzop
 * and gzip are no match for it.
 */
export class CodecChooser {
  readonly #known: ReadonlyMap<Codec, Known>;
  /** A stream's share of the link, in bytes a second; undefined until the first piece is there. */
  #link: number | undefined;
  #measuring = true;
  #measuringBytes = FIRST_BYTES;
  #pieces = 0;

  constructor(available: readonly Codec[], fixed: Codec | "auto") {
    const candidates = fixed === "auto" ? available.filter((codec) => !available.includes("zstd") || /none|zstd/.test(codec)) : [fixed];
    this.#known = new Map(candidates.map((codec) => [codec, { ...EXPECTED[codec], tried: false }]));
  }

  next(): Choice {
    this.#pieces += 1;
    const measuring = this.#measuring || this.#pieces % MEASURE_AGAIN === 0;
    if (measuring && this.#known.size > 1) return { codec: "none", bytes: this.#measuringBytes };
    const [codec, known] = [...this.#known].reduce((best, one) => (this.#rate(one[1]) > this.#rate(best[1]) ? one : best));
    const bytes = known.tried ? this.#rate(known) * PIECE_SECONDS : TRIAL_BYTES;
    return { codec, bytes: Math.min(MAX_BYTES, Math.max(MIN_BYTES, bytes)) };
  }

  measured(codec: Codec, { plainBytes, wireBytes, seconds }: Measured): void {
    const known = this.#known.get(codec);
    if (known === undefined || wireBytes === 0) return;
    const [plainRate, wireRate] = [plainBytes / Math.max(seconds, 1e-4), wireBytes / Math.max(seconds, 1e-4)];
    const newest = known.tried ? NEWEST : 1;
    known.tried = true;
    known.ratio += newest * (plainBytes / wireBytes - known.ratio);
    if (codec === "none") {
      this.#measuredLink(wireRate, seconds);
      return;
    }
    this.#link = Math.max(this.#link ?? 0, wireRate);
    if (wireRate >= HELD_UP * this.#link) known.speed = Math.max(known.speed, plainRate);
    else if (seconds > PIECE_SECONDS / 4) known.speed = plainRate;
  }

  /** Slower counts at once: many links let the first bytes through faster than all others. */
  #measuredLink(rate: number, seconds: number): void {
    const link = this.#link ?? rate;
    this.#link = this.#measuring ? rate : link + (rate < link ? 1 : NEWEST) * (rate - link);
    if (!this.#measuring) return;
    if (seconds < TELLING_SECONDS && this.#measuringBytes < MAX_BYTES) this.#measuringBytes *= 4;
    else this.#measuring = false;
  }

  #rate({ ratio, speed }: Known): number {
    return Math.min((this.#link ?? 0) * ratio, speed);
  }
}
