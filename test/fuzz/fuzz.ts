// Runs cases in processes of their own, so that a crash, a hang or a flood of memory is seen for what it is.
import { fork } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Batch, Report } from "./child.ts";

export interface Failure {
  readonly index: number;
  readonly what: string;
}

/** Cases `first` up to, without, `first + count` of a seed. */
export interface Series {
  readonly seed: number;
  readonly first: number;
  readonly count: number;
}

/** What one case came to: its processor time, the largest memory of its process until then, and why it failed. */
export interface Outcome {
  readonly index: number;
  readonly what?: string | undefined;
  readonly milliseconds?: number;
  readonly peakBytes?: number;
}

/** The commands of a case may take so long, in milliseconds; on a busy machine longer, until they have had so much of the processor. */
const LONGEST = 20_000;
/** Of a case that waits for something: its process does nothing. */
const LONGEST_IDLE = 60_000;
/** Of the processor's time in LONGEST: less is nothing. */
const IDLE = 20;
/**
 * A process may come to so much, in bytes: 300 MB, which the executable may have, and 110 MB that it begins with here and the executable does
 * not (measured: the sources as TypeScript, every archive that mutants are made of).
 */
const MOST_MEMORY = 410e6;
/** Cases that one process tries. */
const BATCH = 250;
const AT_ONCE = 2;

/**
 * Tries the cases of a series; answers with how many were tried, those that failed and the largest memory of any process. `tell` hears
 * of each case at once.
 */
export async function fuzz(
  { seed, first: begin, count }: Series,
  tell: (outcome: Outcome) => void = () => undefined,
): Promise<{ tried: number; failures: Failure[]; peakBytes: number }> {
  const failures: Failure[] = [];
  const tried = new Set<number>();
  const ended = (outcome: Outcome): void => {
    tried.add(outcome.index);
    const { index, what } = outcome;
    if (what !== undefined) failures.push({ index, what });
    tell(outcome);
  };
  const end = begin + count;
  let peakBytes = 0;
  let next = begin;
  const worker = async (): Promise<void> => {
    while (next < end) {
      const batch = { seed, first: next, count: Math.min(BATCH, end - next) };
      next += batch.count;
      for (let first = batch.first; first < batch.first + batch.count;) {
        const process = await runProcess({ ...batch, first, count: batch.first + batch.count - first }, ended);
        peakBytes = Math.max(peakBytes, process.peakBytes);
        first = process.next;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return { tried: tried.size, failures: failures.sort((a, b) => a.index - b.index), peakBytes };
}

/** Runs a batch in one process until it is done or the process is lost; answers with the first case that is still to be tried. */
async function runProcess(batch: Batch, tell: (outcome: Outcome) => void): Promise<{ next: number; peakBytes: number }> {
  const scratch = mkdtempSync(join(tmpdir(), "fuzz-"));
  const child = fork(join(import.meta.dirname, "child.ts"), {
    env: { ...process.env, SCRATCH: scratch },
    execArgv: ["--expose-gc", "--max-semi-space-size=8"],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let stderr = "";
  child.stderr?.on("data", (text: Buffer) => (stderr = (stderr + text.toString()).slice(-4000)));
  let current = batch.first;
  let peakBytes = 0;
  let lost: string | undefined;
  // What begins behind it is tried in another process.
  let left = false;
  let timer: NodeJS.Timeout | undefined;
  const watch = (before: number, last = before, idle = 0): void => {
    timer = setTimeout(() => {
      const now = processorTime(child.pid);
      const idleNow = now - last < IDLE ? idle + LONGEST : 0;
      if (now - before < 0.8 * LONGEST && idleNow < LONGEST_IDLE) {
        watch(before, now, idleNow);
        return;
      }
      lost = `took longer than ${LONGEST} ms`;
      child.kill("SIGKILL");
    }, LONGEST);
  };
  return await new Promise((done) => {
    child.on("message", (report: Report) => {
      clearTimeout(timer);
      if (left) return;
      if ("begins" in report) {
        current = report.begins;
        watch(processorTime(child.pid));
        return;
      }
      const { ended: index, milliseconds, failure } = report;
      peakBytes = report.peakBytes;
      current = index + 1;
      const flood = peakBytes > MOST_MEMORY ? `memory came to ${Math.round(peakBytes / 1e6)} MB` : undefined;
      // A process that has tried others has what they left: the case is tried again in one of its own.
      const again = flood !== undefined && index !== batch.first;
      if (again) current = index;
      else tell({ index, milliseconds, peakBytes, what: failure ?? flood });
      left = flood !== undefined;
      if (left) child.kill("SIGKILL");
      else if (current === batch.first + batch.count) child.kill();
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      rmSync(scratch, { recursive: true });
      const finished = current === batch.first + batch.count || left;
      if (!finished) tell({ index: current, what: lost ?? `the process ended with ${signal ?? code}: ${stderr}` });
      done({ next: finished ? current : current + 1, peakBytes });
    });
    child.send(batch);
  });
}

/** What a process has had of the processor, in milliseconds. */
function processorTime(pid: number | undefined): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\)/, "").trim().split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return Infinity;
  }
}
