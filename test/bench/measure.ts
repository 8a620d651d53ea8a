// What the benchmarks share: rounds in which every contender runs once, so that a noisy moment meets them all; what comes of them is compared
// round by round.

/** Milliseconds of one run: of the whole of it, or by the name of what was measured, which is added to the contender's. */
export type Contender = () => Promise<number | Readonly<Record<string, number>>>;

export interface Times {
  /** Milliseconds, as all others here, of the runs that did not fail. */
  readonly median: number;
  /** The quarter below and above which the middle half is. */
  readonly low: number;
  readonly high: number;
  /** What a busy machine disturbs least. */
  readonly fastest: number;
  /** Of every round; undefined where the contender failed. */
  readonly rounds: readonly (number | undefined)[];
  /** Why, of each run that failed. */
  readonly failures: readonly string[];
}

/** Times of each contender over `rounds` rounds, after one round that does not count. A run that fails is one of its results. */
export async function measure(contenders: Readonly<Record<string, Contender>>, rounds: number): Promise<Record<string, Times>> {
  const all: Record<string, (number | undefined)[]> = {};
  const failures: Record<string, string[]> = {};
  const figuresOf: Record<string, Set<string>> = {};
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, run] of Object.entries(contenders)) {
      try {
        const figures = await run();
        if (round === 0) continue;
        for (const [what, milliseconds] of Object.entries(typeof figures === "number" ? { "": figures } : figures)) {
          (figuresOf[name] ??= new Set()).add(name + what);
          (all[name + what] ??= Array.from({ length: round - 1 }, () => undefined)).push(milliseconds);
        }
      } catch (error) {
        const why = (error as Error).message.trim().split("\n").at(-1) ?? "";
        process.stderr.write(`${name} failed: ${why}\n`);
        if (round > 0) (failures[name] ??= []).push(why);
      }
      for (const figure of figuresOf[name] ?? []) {
        const times = all[figure];
        if (times !== undefined && times.length < round) times.push(undefined);
      }
    }
  }
  for (const name of Object.keys(failures)) all[name] ??= Array.from({ length: rounds }, () => undefined);
  return Object.fromEntries(Object.entries(all).map(([name, times]) => [name, timesOf(times, failures[name] ?? [])]));
}

export function timesOf(rounds: readonly (number | undefined)[], failures: readonly string[] = []): Times {
  const sorted = numbers(rounds);
  return {
    median: median(sorted),
    low: sorted[Math.floor((sorted.length - 1) / 4)] ?? NaN,
    high: sorted[Math.ceil(((sorted.length - 1) * 3) / 4)] ?? NaN,
    fastest: sorted[0] ?? NaN,
    rounds,
    failures,
  };
}

/** The median milliseconds of each contender. Throws where one of them failed. */
export async function medians(contenders: Readonly<Record<string, Contender>>, rounds: number): Promise<Record<string, number>> {
  const times = await measure(contenders, rounds);
  return Object.fromEntries(
    Object.entries(times).map(([name, { median, failures }]) => {
      if (failures.length > 0) throw new Error(`${name}: ${failures.join("; ")}`);
      return [name, median];
    }),
  );
}

/** How many times as long one takes as another in the same round: the median, and the interval that has it in 95 of 100 cases. */
export interface Ratio {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** Of the rounds in which both ended well. The interval is that of the sign test, which assumes nothing of how the times are spread. */
export function ratioOf(numerator: Times, denominator: Times): Ratio {
  const ratios = numbers(
    numerator.rounds.map((milliseconds, round) => {
      const other = denominator.rounds[round];
      return milliseconds === undefined || other === undefined ? undefined : milliseconds / other;
    }),
  );
  const outside = signTestRank(ratios.length);
  return { median: median(ratios), low: ratios[outside] ?? NaN, high: ratios[ratios.length - 1 - outside] ?? NaN };
}

/** How many of `count` sorted values are outside of the median's 95 % interval on each side; 0 where there are too few for that. */
export function signTestRank(count: number): number {
  let outside = 0;
  let tail = 0;
  for (let rank = 0; rank < count / 2; rank += 1) {
    tail += binomial(count, rank) / 2 ** count;
    if (2 * tail > 0.05) break;
    outside = rank + 1;
  }
  return Math.min(outside, Math.max(0, Math.ceil(count / 2) - 1));
}

function binomial(n: number, k: number): number {
  let ways = 1;
  for (let i = 1; i <= k; i += 1) ways = (ways * (n - k + i)) / i;
  return ways;
}

/** `1.35 s (1.30 to 1.41)`: the median and the middle half; what failed is said, and is all there is where no run succeeded. */
export function secondsText({ median, low, high, rounds, failures }: Times): string {
  const seconds = (milliseconds: number): string => (milliseconds / 1000).toFixed(2);
  const failed = failures.length === 0 ? "" : `failed ${failures.length} of ${rounds.length}: ${failures.at(-1) ?? ""}`;
  if (Number.isNaN(median)) return failed;
  return `${seconds(median)} s (${seconds(low)} to ${seconds(high)})${failed === "" ? "" : `; ${failed}`}`;
}

/** `1.42x (1.31 to 1.55)`; empty where nothing can be compared. */
export function ratioText({ median, low, high }: Ratio): string {
  return Number.isNaN(median) ? "" : `${median.toFixed(2)}x (${low.toFixed(2)} to ${high.toFixed(2)})`;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

function numbers(values: readonly (number | undefined)[]): number[] {
  return values.flatMap((value) => value ?? []).sort((a, b) => a - b);
}

/** Prints a Markdown table, as docs/benchmarks.md takes it. */
export function printTable(columns: readonly string[], rows: readonly (readonly string[])[]): void {
  for (const row of [columns, columns.map(() => "---"), ...rows]) process.stdout.write(`| ${row.join(" | ")} |\n`);
  process.stdout.write("\n");
}
