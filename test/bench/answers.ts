// npm run bench answers [ROUNDS]: a core and a report of a process of 1 GiB, as whole processes, beside `cp` of the same archive; peak memory.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { openArchive } from "../../src/archive/open.ts";
import { formatBytes } from "../../src/model/units.ts";
import { medians, printTable } from "./measure.ts";
import { archiveOf, peakOf, processorOf } from "./offline/archive.ts";

const EXECUTABLE = process.env["EXECUTABLE"] ?? resolve(import.meta.dirname, "../../dist/kubectl-checkpoint");
const ROUNDS = Number(process.argv[2] ?? 7);

const folder = mkdtempSync(join(tmpdir(), "bench-answers-"));
const peaks = new Map<string, number>();
/** Of the round in which it was least: what a busy machine disturbs less than the clock. */
const processor = new Map<string, number>();

/** Milliseconds of a whole process, and until its output has `first`; what it wrote is removed. */
async function timed(
  name: string,
  command: string,
  args: readonly string[],
  { written = [], first }: { readonly written?: readonly string[]; readonly first?: string } = {},
): Promise<Record<string, number>> {
  const started = performance.now();
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  let spent = 0;
  const watch = setInterval(() => {
    peaks.set(name, Math.max(peaks.get(name) ?? 0, peakOf(child.pid ?? 0)));
    spent = Math.max(spent, processorOf(child.pid ?? 0));
  }, 5);
  let shown: number | undefined;
  child.stdout.on("data", (bytes: Buffer) => {
    if (first !== undefined && bytes.includes(first)) shown ??= performance.now() - started;
  });
  const code = await new Promise((done, fail) => child.on("close", done).on("error", fail));
  clearInterval(watch);
  const milliseconds = performance.now() - started;
  processor.set(name, Math.min(processor.get(name) ?? Number.POSITIVE_INFINITY, spent));
  for (const path of written) rmSync(path);
  if (code !== 0) throw new Error(`${command} ended with ${String(code)}`);
  return { "": milliseconds, ...(shown === undefined ? {} : { ", first screen": shown }) };
}

async function onlyPid(file: string): Promise<string> {
  await using archive = await openArchive(file);
  return [...archive.members.keys()].flatMap((name) => /^checkpoint\/mm-(\d+)\.img$/.exec(name)?.[1] ?? [])[0] ?? "";
}

const archive = await archiveOf(1024);
const pid = await onlyPid(archive);
const [core, copy] = [join(folder, "core"), join(folder, "copy")];
const rules = join(folder, "rules.yar");
writeFileSync(
  rules,
  'rule last { strings: $a = "needle-in-the-last-row" condition: $a }\nrule nowhere { strings: $a = "stratum+tcp://" condition: $a }\n',
);
const times = await medians(
  {
    core: async () =>
      await timed("core", EXECUTABLE, ["extract", archive, "--core", "--pid", pid, "--to", core], { written: [core, `${core}.gdb`] }),
    report: async () => await timed("report", EXECUTABLE, ["report", archive], { first: "Findings" }),
    rules: async () => await timed("rules", EXECUTABLE, ["report", archive, "--rules", rules], { first: "Findings" }),
    cp: async () => await timed("cp", "cp", [archive, copy], { written: [copy] }),
  },
  ROUNDS,
);
process.stdout.write(`1 GiB of memory, medians of ${ROUNDS} whole processes\n\n`);
const milliseconds = (name: string): string => (times[name] ?? NaN).toFixed(0);
const busy = (name: string): string => (processor.get(name) ?? NaN).toFixed(0);
const peak = (name: string): string => formatBytes(peaks.get(name) ?? 0);
printTable(
  ["", "first screen, ms", "whole, ms", "of it processor, ms", "of cp's speed", "peak memory"],
  [
    [
      "extract --core",
      "",
      milliseconds("core"),
      busy("core"),
      `${((times["cp"] ?? NaN) / (times["core"] ?? NaN)).toFixed(2)}x`,
      peak("core"),
    ],
    ["report", milliseconds("report, first screen"), milliseconds("report"), busy("report"), "", peak("report")],
    ["report --rules", milliseconds("rules, first screen"), milliseconds("rules"), busy("rules"), "", peak("rules")],
    ["cp", "", milliseconds("cp"), busy("cp"), "", ""],
  ],
);
rmSync(folder, { recursive: true });
