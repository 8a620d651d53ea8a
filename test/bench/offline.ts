// npm run bench offline [ROUNDS]: show, inspect and search over an archive of 1 GiB against checkpointctl, as whole
// processes in one run; peak memory with 256 MiB, 1 GiB and 4 GiB.
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { openArchive } from "../../src/archive/open.ts";
import { formatBytes } from "../../src/model/units.ts";
import { medians, printTable, type Contender } from "./measure.ts";
import { archiveOf, peakOf } from "./offline/archive.ts";
import { checkpointctl } from "./offline/checkpointctl.ts";

const EXECUTABLE = process.env["EXECUTABLE"] ?? resolve(import.meta.dirname, "../../dist/kubectl-checkpoint");
const ROUNDS = Number(process.argv[2] ?? 7);
const NEEDLE = "needle-in-the-last-row";

interface Task {
  readonly name: string;
  readonly ours: (file: string) => string[];
  readonly theirs: (file: string, pid: string) => string[];
  /** What both must print for the comparison to mean anything. */
  readonly expects: RegExp;
}

const TASKS: readonly Task[] = [
  { name: "show", ours: (file) => ["show", file], theirs: (file) => ["show", file], expects: /busybox:1\.36/ },
  {
    name: "inspect --all",
    ours: (file) => ["inspect", file, "--all"],
    theirs: (file) => ["inspect", "--all", file],
    expects: /process\.py/,
  },
  {
    name: "search",
    ours: (file) => ["search", file, NEEDLE],
    theirs: (file, pid) => ["memparse", "--pid", pid, "--search", NEEDLE, file],
    expects: /needle-in-the-last-row/,
  },
];

interface Run {
  readonly milliseconds: number;
  readonly peakBytes: number;
}

async function wholeRun(command: string, args: readonly string[], expects: RegExp): Promise<Run> {
  const started = performance.now();
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  let peakBytes = 0;
  const watch = setInterval(() => (peakBytes = Math.max(peakBytes, peakOf(child.pid ?? 0))), 5);
  child.stdout.on("data", (data: Buffer) => (output += data.toString("latin1")));
  await new Promise((done, fail) => child.on("close", done).on("error", fail));
  clearInterval(watch);
  if (!expects.test(output)) throw new Error(`${command} ${args.join(" ")} does not print ${expects.source}: ${output.slice(0, 500)}`);
  return { milliseconds: performance.now() - started, peakBytes };
}

async function onlyProcess(file: string): Promise<string> {
  await using archive = await openArchive(file);
  for (const name of archive.members.keys()) {
    const pid = /^checkpoint\/core-(\d+)\.img$/.exec(name)?.[1];
    if (pid !== undefined) return pid;
  }
  throw new Error(`${file} has no process`);
}

const peer = checkpointctl();
const gigabyte = await archiveOf(1024);
const pid = await onlyProcess(gigabyte);
process.stdout.write(`1 GiB of memory, medians of ${ROUNDS} whole processes, ${peer}\n\n`);
const rows: string[][] = [];
for (const { name, ours, theirs, expects } of TASKS) {
  const contenders: Record<string, Contender> = {
    ours: async () => (await wholeRun(EXECUTABLE, ours(gigabyte), expects)).milliseconds,
    theirs: async () => (await wholeRun(peer, theirs(gigabyte, pid), expects)).milliseconds,
  };
  const { ours: our = NaN, theirs: their = NaN } = await medians(contenders, ROUNDS);
  rows.push([name, our.toFixed(0), their.toFixed(0), `${(their / our).toFixed(1)}x`]);
}
printTable(["1 GiB", "kubectl checkpoint, ms", "checkpointctl, ms", "ratio"], rows);

process.stdout.write("\n");
const SIZES = [256, 1024, 4096];
const peaks: string[][] = TASKS.map(({ name }) => [name]);
for (const size of SIZES) {
  const file = await archiveOf(size);
  for (const [index, { ours, expects }] of TASKS.entries()) {
    peaks[index]?.push(formatBytes((await wholeRun(EXECUTABLE, ours(file), expects)).peakBytes));
  }
}
printTable(["peak memory", ...SIZES.map((size) => formatBytes(size * 2 ** 20))], peaks);
