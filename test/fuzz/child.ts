// A process of the fuzzer: tries the cases that its parent names, and tells of each. With a case as arguments
// (node test/fuzz/child.ts SEED INDEX) it tries that one alone and keeps the archive.
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { corpus } from "./corpus.ts";
import { mutate } from "./mutate.ts";
import { randomOf } from "./random.ts";
import { tryMutant } from "./targets.ts";

/** What the parent sends: a range of cases. */
export interface Batch {
  readonly seed: number;
  readonly first: number;
  readonly count: number;
}

/** What it is told: a case begins, has gone well, or has not. */
export type Report =
  | { readonly begins: number }
  | { readonly ended: number; readonly milliseconds: number; readonly peakBytes: number; readonly failure?: string };

const archives = corpus();
const scratch = process.env["SCRATCH"] ?? mkdtempSync(join(tmpdir(), "fuzz-"));

async function tryCase(seed: number, index: number): Promise<void> {
  const random = randomOf(seed, index);
  const mutant = mutate(archives, random);
  const directory = join(scratch, String(index));
  process.env["TMPDIR"] = join(directory, "tmp");
  mkdirSync(process.env["TMPDIR"], { recursive: true });
  await tryMutant(mutant, random, directory);
}

const [seed, index] = process.argv.slice(2).map(Number);
if (seed !== undefined && index !== undefined) {
  const { bytes, how } = mutate(archives, randomOf(seed, index));
  const kept = join(tmpdir(), `mutant-${seed}-${index}.tar`);
  writeFileSync(kept, bytes, { mode: 0o600 });
  process.stdout.write(`${kept}: ${how.join(", ")}\n`);
  const start = performance.now();
  await tryCase(seed, index);
  process.stdout.write(`went well in ${Math.round(performance.now() - start)} ms\n`);
} else {
  process.on("message", (batch: Batch) => void runBatch(batch));
}

async function runBatch({ seed, first, count }: Batch): Promise<void> {
  const report = (message: Report): void => void process.send?.(message);
  for (let at = first; at < first + count; at += 1) {
    report({ begins: at });
    let failure: string | undefined;
    const before = process.cpuUsage();
    try {
      await tryCase(seed, at);
    } catch (error) {
      failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
    const { user, system } = process.cpuUsage(before);
    const milliseconds = Math.round((user + system) / 1000);
    report({ ended: at, milliseconds, peakBytes: process.resourceUsage().maxRSS * 1024, ...(failure === undefined ? {} : { failure }) });
  }
}
