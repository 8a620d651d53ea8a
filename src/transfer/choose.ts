import type { Codec } from "../helper/directory.ts";

/** A codec, how many bytes to fetch with it, and the codecs of the pieces that were under way. */
export interface Choice {
  readonly codec: Codec;
  readonly bytes: number;
  readonly beside: readonly Codec[];
}

/** What a piece, or a part of it, was like: bytes before and after encoding, and how long they took. */
export interface Measured {
  readonly plainBytes: number;
  readonly wireBytes: number;
  /** Of all pieces, in those seconds. */
  readonly linkBytes: number;
  readonly seconds: number;
}

const MiB = 1024 * 1024;
/** The first piece tells how fast the link is. On a slow one it takes its time, since nothing compresses it. */
const FIRST_BYTES = MiB;
export const MIN_BYTES = MiB;
const MAX_BYTES = 64 * MiB;
/** How long a piece should take: long enough that its tunnel costs little, short enough to notice a change. */
const PIECE_SECONDS = 0.75;
/** For a codec that has yet to prove itself, where the link is known and where it is not. */
const TRIAL_SECONDS = 0.1;
const TRIAL_BYTES = 2 * MiB;
/** What arrives sooner says little of a link: more is asked for. */
const TELLING_SECONDS = 0.035;
const MOST_SAMPLED_SECONDS = 0.2;
/** The link is measured again after so many pieces. */
const MEASURE_AGAIN = 24;
/** Or as soon as so many times as much came through it: what measured it was held up. */
const MISJUDGED = 1.3;
/** Weight of the newest measurement. */
const NEWEST = 0.5;
/** A piece that used less than this of what the link had for it was held up by the processors at its ends. */
const HELD_UP = 0.8;

/** What is known of a codec. */
interface Known {
  /** Plain bytes a byte that travels. */
  ratio: number;
  /** Plain bytes a second that the processors at both ends manage, of one stream; the newest, whatever was beside it. */
  speed: number;
  /** The same by what is beside it: all streams may share a few processors. */
  readonly speeds: Map<string, number>;
  tried: boolean;
}

/** Until it is measured: after real archives of redis and Python, two streams on two cores (busybox 1.36, zstd 1.5). */
const EXPECTED: Readonly<Record<Codec, Pick<Known, "ratio" | "speed">>> = {
  none: { ratio: 1, speed: Infinity },
  zstd: { ratio: 6, speed: 300e6 },
  lzop: { ratio: 4, speed: 130e6 },
  gzip: { ratio: 6, speed: 25e6 },
};

/**
 * Chooses the codec of each piece: the one with which all streams together bring most plain bytes a second. Each brings its share of
 * the link times what its codec saves, as long as the processors keep up; what one leaves of the link is the others'. All of it
 * is learned from every piece. Where the image has zstd, lzop and gzip are no match for it.
 */
export class CodecChooser {
  readonly #known: ReadonlyMap<Codec, Known>;
  readonly #streams: number;
  /** In bytes a second; undefined until the first piece is there. */
  #link: number | undefined;
  #measuring = true;
  #measuringBytes = FIRST_BYTES;
  #pieces = 0;

  constructor(available: readonly Codec[], fixed: Codec | "auto", streams: number) {
    const candidates = fixed === "auto" ? available.filter((codec) => !available.includes("zstd") || /none|zstd/.test(codec)) : [fixed];
    this.#known = new Map(candidates.map((codec) => [codec, { ...EXPECTED[codec], speeds: new Map(), tried: false }]));
    this.#streams = streams;
  }

  /** For the next piece, while others are under way with the codecs of `beside`. */
  next(beside: readonly Codec[] = []): Choice {
    this.#pieces += 1;
    const measuring = (this.#measuring || this.#pieces % MEASURE_AGAIN === 0) && !beside.includes("none");
    if (measuring && this.#known.has("none") && this.#known.size > 1) return { codec: "none", bytes: this.#sample(), beside };
    const codecs = [...this.#known.keys()];
    const codec = this.#link === undefined ? quickest(codecs) : largest(codecs, (one) => sum(this.#rates([one, ...beside])));
    const [rate = 0] = this.#rates([codec, ...beside]);
    const trial = this.#link === undefined ? TRIAL_BYTES : rate * TRIAL_SECONDS;
    const bytes = this.#known.get(codec)?.tried === true ? rate * PIECE_SECONDS : trial;
    return { codec, bytes: Math.min(MAX_BYTES, Math.max(MIN_BYTES, bytes)), beside };
  }

  measured({ codec, beside }: Choice, { plainBytes, wireBytes, linkBytes, seconds }: Measured): void {
    const known = this.#known.get(codec);
    if (known === undefined || wireBytes === 0) return;
    const perSecond = (bytes: number): number => bytes / Math.max(seconds, 1e-4);
    const first = !known.tried;
    known.tried = true;
    known.ratio += (first ? 1 : NEWEST) * (plainBytes / wireBytes - known.ratio);
    if (codec === "none" && (this.#measuring || beside.every((one) => one === "none"))) {
      this.#measuredLink(perSecond(linkBytes), seconds);
      return;
    }
    if (perSecond(linkBytes) > MISJUDGED * (this.#link ?? 0)) this.#measuring = true;
    const link = (this.#link = Math.max(this.#link ?? 0, perSecond(linkBytes)));
    const share = Math.max(link / this.#streams, link - perSecond(linkBytes - wireBytes));
    const [rate, before] = [perSecond(plainBytes), known.speeds.get(key(beside)) ?? known.speed];
    let speed = before;
    if (perSecond(wireBytes) >= HELD_UP * share) speed = Math.max(before, rate);
    // At first the processors have other things to do, too.
    else if (seconds > TRIAL_SECONDS / 2) speed = first && codec !== "none" ? (before + rate) / 2 : rate;
    known.speeds.set(key(beside), speed);
    if (codec !== "none") known.speed = speed;
  }

  /** How much tells what the link is like, and takes no longer than it has to. */
  #sample(): number {
    return this.#link === undefined ? FIRST_BYTES : Math.min(this.#measuringBytes, this.#link * MOST_SAMPLED_SECONDS);
  }

  /** Slower counts at once: many links let the first bytes through faster than all others. */
  #measuredLink(rate: number, seconds: number): void {
    const link = this.#link ?? rate;
    this.#link = this.#measuring ? rate : link + (rate < link ? 1 : NEWEST) * (rate - link);
    if (!this.#measuring) return;
    if (seconds < TELLING_SECONDS && this.#measuringBytes < MAX_BYTES) this.#measuringBytes *= 4;
    else this.#measuring = false;
  }

  /** Plain bytes a second of each of several streams that share the link. */
  #rates(codecs: readonly Codec[]): number[] {
    const demands = codecs.map((codec, index) => {
      const { ratio, speed, speeds } = this.#known.get(codec) as Known;
      return { index, ratio, wire: (speeds.get(key(codecs.toSpliced(index, 1))) ?? speed) / ratio };
    });
    const rates = codecs.map(() => 0);
    let left = this.#link ?? 0;
    // Who wants least is served first: what it leaves is the others'.
    for (const [served, { index, ratio, wire }] of demands.toSorted((a, b) => a.wire - b.wire).entries()) {
      const share = Math.min(wire, left / (codecs.length - served));
      left -= share;
      rates[index] = share * ratio;
    }
    return rates;
  }
}

function key(beside: readonly Codec[]): string {
  return beside.toSorted().join();
}

/** Before anything is known: what costs least to try. */
function quickest(codecs: readonly Codec[]): Codec {
  const encoding = codecs.filter((codec) => codec !== "none");
  return encoding.length === 0 ? "none" : largest(encoding, (codec) => EXPECTED[codec].speed);
}

function largest(codecs: readonly Codec[], value: (codec: Codec) => number): Codec {
  return codecs.reduce((best, codec) => (value(codec) > value(best) ? codec : best));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
