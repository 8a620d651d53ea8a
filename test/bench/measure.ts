// What the benchmarks share: rounds in which every contender runs once, so that a noisy moment meets them all.

/** Milliseconds of one run. */
export type Contender = () => Promise<number>;

export interface Times {
  /** Milliseconds, as the fastest. */
  readonly median: number;
  /** What a busy machine disturbs least. */
  readonly fastest: number;
}

/** Times of each contender over `rounds` rounds, after one round that does not count. */
export async function measure(contenders: Readonly<Record<string, Contender>>, rounds: number): Promise<Record<string, Times>> {
  const all: Record<string, number[]> = {};
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, run] of Object.entries(contenders)) {
      const milliseconds = await run();
      if (round > 0) (all[name] ??= []).push(milliseconds);
    }
  }
  return Object.fromEntries(Object.entries(all).map(([name, times]) => [name, { median: median(times), fastest: Math.min(...times) }]));
}

/** The median milliseconds of each contender. */
export async function medians(contenders: Readonly<Record<string, Contender>>, rounds: number): Promise<Record<string, number>> {
  const times = await measure(contenders, rounds);
  return Object.fromEntries(Object.entries(times).map(([name, { median }]) => [name, median]));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

/** Prints a Markdown table, as docs/benchmarks.md takes it. */
export function printTable(columns: readonly string[], rows: readonly (readonly string[])[]): void {
  for (const row of [columns, columns.map(() => "---"), ...rows]) process.stdout.write(`| ${row.join(" | ")} |\n`);
}
