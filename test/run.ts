// node test/run.ts FILE...: runs test files in one runner: a line for each test and each file as it ends, and one summary at the end.
// node test/run.ts --unit: those that need no cluster and run on this system (npm run test:unit); it names the others of its system's.
import { chmodSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { finished } from "node:stream/promises";
import { run } from "node:test";
import { spec } from "node:test/reporters";

/** Two users of each cluster (see e2e/harness.ts), and one that needs none and has what they leave of the processors. */
const LANES = 5;
/** Of a file, in milliseconds. */
const TIMEOUT = 1_200_000;
/** The line of a test file that does not run everywhere, and why. */
const RUNS_ON = /^\/\/ Runs on (?<systems>Linux|Linux and macOS) only: (?<why>.*)$/m;

const [first, ...others] = process.argv.slice(2);
const files = first === "--unit" ? unitTests() : process.argv.slice(2);
if (files.length === 0 || others.includes("--unit")) {
  process.stderr.write("usage: node test/run.ts FILE... | --unit\n");
  process.exit(2);
}

// What tests leave in the directory for temporary files goes with them; other users can use it as they can /tmp.
const scratch = mkdtempSync(join(tmpdir(), "kubectl-checkpoint-tests-"));
chmodSync(scratch, 0o1777);
process.env["TMPDIR"] = scratch;
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));

// Each file is a process that reads much of src/: what the first ones compiled, the others take. Not by the environment: what tests start is as
// users start it.
const compiled = JSON.stringify(join(scratch, "compiled"));
const keep = `data:text/javascript,import { enableCompileCache } from "node:module"; enableCompileCache(${compiled});`;
const events = run({ files: mixed(files), concurrency: LANES, timeout: TIMEOUT, execArgv: ["--import", keep] });
// No success where the runner ends without its summary.
process.exitCode = 1;
let ended = 0;
events.on("test:summary", ({ file, success, duration_ms: milliseconds }) => {
  if (file === undefined) process.exitCode = success ? 0 : 1;
  else {
    ended += 1;
    const seconds = Math.round(milliseconds / 1000);
    process.stderr.write(`== ${ended} of ${files.length}: ${relative("", file)} ${success ? "passed" : "FAILED"} in ${seconds} s\n`);
  }
});
const lines = events.compose(new spec());
lines.pipe(process.stdout);
await finished(lines);

/** Those that use a cluster among the others, evenly: those of one cluster wait for each other, the others never do. */
function mixed(some: readonly string[]): string[] {
  const placed = [...Map.groupBy(some, clusterOf).values()].flatMap((files) =>
    files.map((file, index) => ({ file, at: index / files.length })),
  );
  return placed.toSorted((one, other) => one.at - other.at).map(({ file }) => file);
}

/** Which cluster a test file uses: the name of the module that says so, "" for the first one; undefined for none. */
function clusterOf(file: string): string | undefined {
  const text = readFileSync(file, "utf8");
  if (!/^(share|claim)Cluster\(\);$/m.test(text)) return undefined;
  return /^import "\S*\/(?<name>apart|place)\.ts";$/m.exec(text)?.groups?.["name"] ?? "";
}

/** The test files that need no cluster and run on this system. */
function unitTests(): string[] {
  const unit = globSync("test/**/*.test.ts").filter((file) => clusterOf(file) === undefined);
  return unit.filter((file) => {
    const { systems, why } = RUNS_ON.exec(readFileSync(file, "utf8"))?.groups ?? {};
    const here = systems === undefined || process.platform === "linux" || (systems.includes("macOS") && process.platform === "darwin");
    if (!here) process.stdout.write(`skipping ${file}, which runs on ${systems} only: ${why}\n`);
    return here;
  });
}
