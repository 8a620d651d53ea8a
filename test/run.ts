// node test/run.ts FILE...: runs test files in one runner, and ends with its summary.
import { readFileSync } from "node:fs";
import { finished } from "node:stream/promises";
import { run } from "node:test";
import { spec } from "node:test/reporters";

/** Two users of the cluster (see e2e/harness.ts), and one that needs none and has what they leave of the processors. */
const LANES = 3;
/** More that fail are no moment of the machine. */
const TRIED_AGAIN = 2;

const { success, failed } = await runFiles(mixed(process.argv.slice(2)));
process.exitCode = success ? 0 : 1;
if (failed.length > 0 && failed.length <= TRIED_AGAIN && failed.every(usesCluster) && process.env["FULL"] === undefined) {
  process.stderr.write(`== failed on the cluster, once more: ${failed.join(" ")}\n`);
  if ((await runFiles(failed)).success) {
    process.stderr.write(`== FLAKY: failed (above), and passed when run again: ${failed.join(" ")}\n`);
    process.exitCode = 0;
  }
}

interface Outcome {
  readonly success: boolean;
  /** The files in which something failed; none where one could not even be loaded. */
  readonly failed: readonly string[];
}

async function runFiles(files: readonly string[]): Promise<Outcome> {
  const failed: string[] = [];
  let told = 0;
  let all = { success: false, bad: -1 };
  const events = run({ files: [...files], concurrency: LANES, timeout: 1_200_000 });
  events.on("test:summary", ({ file, success, counts }) => {
    const bad = counts.tests - counts.passed - counts.skipped - counts.todo;
    if (file === undefined) all = { success, bad };
    else told += bad;
    if (file !== undefined && !success) failed.push(file);
  });
  const lines = events.compose(new spec());
  lines.pipe(process.stdout);
  await finished(lines);
  return { success: all.success, failed: all.bad === told ? failed : [] };
}

/** Those that use the cluster among the others, evenly: they wait for each other, the others never do. */
function mixed(files: readonly string[]): string[] {
  const placed = [true, false].flatMap((cluster) => {
    const some = files.filter((file) => usesCluster(file) === cluster);
    return some.map((file, index) => ({ file, at: index / some.length }));
  });
  return placed.toSorted((one, other) => one.at - other.at).map(({ file }) => file);
}

function usesCluster(file: string): boolean {
  return /^(share|claim)Cluster\(\);$/m.test(readFileSync(file, "utf8"));
}
