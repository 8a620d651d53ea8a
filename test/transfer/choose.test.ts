import assert from "node:assert/strict";
import { test } from "node:test";
import type { Codec } from "../../src/helper/directory.ts";
import { CodecChooser, type Choice } from "../../src/transfer/choose.ts";

/** A link that all streams share, what the codecs make of these bytes, and what a core manages of them; in bytes a second. */
interface World {
  readonly link: number;
  readonly ratio: Partial<Record<Codec, number>>;
  readonly speed: Partial<Record<Codec, number>>;
  readonly cores?: number;
}

interface Running {
  readonly choice: Choice;
  readonly begunAt: number;
  readonly travelledBefore: number;
  left: number;
}

/** Plain bytes a second of each of the streams. Who wants little of the link leaves it to the others. */
function rates({ link, ratio, speed, cores = Infinity }: World, codecs: readonly Codec[]): number[] {
  const encoding = codecs.filter((codec) => codec !== "none").length;
  const wanted = codecs.map((codec) => ((speed[codec] ?? Infinity) * Math.min(1, cores / encoding)) / (ratio[codec] ?? 1));
  const result = codecs.map(() => 0);
  let left = link;
  let waiting = codecs.length;
  for (const index of [...codecs.keys()].sort((a, b) => (wanted[a] ?? 0) - (wanted[b] ?? 0))) {
    const wire = Math.min(wanted[index] ?? 0, left / waiting);
    left -= wire;
    waiting -= 1;
    result[index] = wire * (ratio[codecs[index] ?? "none"] ?? 1);
  }
  return result;
}

/** Moves so many bytes over two streams; answers with the codecs of the pieces and with the bytes a second of the second half. */
function transfer(chooser: CodecChooser, world: World, bytes: number): { codecs: Codec[]; rate: number } {
  const codecs: Codec[] = [];
  let running: Running[] = [];
  let [now, moved, travelled, halfAt] = [0, 0, 0, 0];
  const start = (): void => {
    const choice = chooser.next(running.map((one) => one.choice.codec));
    codecs.push(choice.codec);
    running.push({ choice, begunAt: now, travelledBefore: travelled, left: choice.bytes });
  };
  start();
  start();
  while (moved < bytes) {
    const each = rates(
      world,
      running.map(({ choice }) => choice.codec),
    );
    const step = Math.min(...running.map(({ left }, index) => left / (each[index] ?? 0)));
    now += step;
    for (const [index, one] of running.entries()) {
      const plain = (each[index] ?? 0) * step;
      one.left -= plain;
      moved += plain;
      travelled += plain / (world.ratio[one.choice.codec] ?? 1);
    }
    const done = running.filter(({ left }) => left < 1);
    running = running.filter((one) => !done.includes(one));
    for (const { choice, begunAt, travelledBefore } of done) {
      const wireBytes = choice.bytes / (world.ratio[choice.codec] ?? 1);
      const measured = { plainBytes: choice.bytes, wireBytes, linkBytes: travelled - travelledBefore, seconds: now - begunAt };
      chooser.measured(choice, measured);
      start();
    }
    if (moved < bytes / 2) halfAt = now;
  }
  return { codecs, rate: moved / 2 / (now - halfAt) };
}

/** What the best pair of codecs would bring, used from the first byte to the last. */
function best(world: World, available: readonly Codec[]): number {
  const pairs = available.flatMap((one) => available.map((other) => [one, other]));
  return Math.max(...pairs.map((pair) => rates(world, pair).reduce((sum, rate) => sum + rate, 0)));
}

const BUSYBOX = ["none", "lzop", "gzip"] as const;
const TOOLS = ["none", "zstd", "lzop", "gzip"] as const;
const SPEED = { lzop: 120e6, gzip: 40e6, zstd: 300e6 };
const RATIO = { lzop: 3.6, gzip: 4.9, zstd: 5.4 };

for (const [name, available, world] of [
  ["1 MB/s", BUSYBOX, { link: 1e6 }],
  ["12 MB/s", BUSYBOX, { link: 12e6 }],
  ["12 MB/s, one core", BUSYBOX, { link: 12e6, cores: 1 }],
  ["30 MB/s", BUSYBOX, { link: 30e6 }],
  ["120 MB/s", BUSYBOX, { link: 120e6 }],
  ["800 MB/s", BUSYBOX, { link: 800e6 }],
  ["12 MB/s, with zstd", TOOLS, { link: 12e6 }],
  ["300 MB/s, with zstd", TOOLS, { link: 300e6 }],
  ["2 GB/s, with zstd", TOOLS, { link: 2e9 }],
  ["slow processors", BUSYBOX, { link: 30e6, speed: { lzop: 10e6, gzip: 3e6 } }],
  ["fast processors", BUSYBOX, { link: 30e6, speed: { lzop: 600e6, gzip: 100e6 } }],
  ["what does not compress", BUSYBOX, { link: 12e6, ratio: { lzop: 1, gzip: 1 } }],
  ["nothing but cat", ["none"], { link: 12e6 }],
] as const) {
  test(`nearly as fast as the best codecs: ${name}`, () => {
    const all: World = { ratio: RATIO, speed: SPEED, ...world };
    // Long enough that learning does not count.
    const { rate } = transfer(new CodecChooser(available, "auto", 2), all, all.link * 200);
    assert.ok(rate > 0.85 * best(all, available), `${(rate / 1e6).toFixed(0)} of ${(best(all, available) / 1e6).toFixed(0)} MB/s`);
  });
}

test("what the first pieces tell is enough for a short transfer", () => {
  const world = { link: 12e6, ratio: RATIO, speed: SPEED };
  const { rate } = transfer(new CodecChooser(BUSYBOX, "auto", 2), world, 200e6);
  assert.ok(rate > 0.85 * best(world, BUSYBOX));
});

test("the codecs change with the link", () => {
  const chooser = new CodecChooser(BUSYBOX, "auto", 2);
  for (const link of [12e6, 1000e6, 10e6]) {
    const world = { link, ratio: RATIO, speed: SPEED };
    const { rate } = transfer(chooser, world, link * 400);
    assert.ok(rate > 0.8 * best(world, BUSYBOX), `${(rate / 1e6).toFixed(0)} of ${(best(world, BUSYBOX) / 1e6).toFixed(0)} MB/s`);
  }
});

test("where the image has zstd, nothing weaker is tried", () => {
  const { codecs } = transfer(new CodecChooser(TOOLS, "auto", 2), { link: 12e6, ratio: RATIO, speed: SPEED }, 1e9);
  assert.deepEqual([...new Set(codecs)].sort(), ["none", "zstd"]);
});

test("a codec that was asked for is the only one", () => {
  const { codecs } = transfer(new CodecChooser(TOOLS, "lzop", 2), { link: 1e9, ratio: RATIO, speed: SPEED }, 1e9);
  assert.deepEqual([...new Set(codecs)], ["lzop"]);
});
