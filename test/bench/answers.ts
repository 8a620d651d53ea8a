// npm run bench answers [ROUNDS]: a core of a process of 1 GiB beside `cp` of the same archive, as whole processes; peak memory.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { openArchive } from "../../src/archive/open.ts";
import { formatBytes } from "../../src/model/units.ts";
import { medians, printTable } from "./measure.ts";
import { archiveOf, peakOf } from "./offline/archive.ts";

const EXECUTABLE = process.env["EXECUTABLE"] ?? resolve(import.meta.dirname, "../../dist/kubectl-checkpoint");
const ROUNDS = Number(process.argv[2] ?? 7);

const folder = mkdtempSync(join(tmpdir(), "bench-answers-"));
const peaks = new Map<string, number>();

/** Milliseconds of a whole process; what it wrote is removed. */
async function timed(name: string, command: string, args: readonly string[], written: readonly string[]): Promise<number> {
  const started = performance.now();
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "inherit"] });
  const watch = setInterval(() => peaks.set(name, Math.max(peaks.get(name) ?? 0, peakOf(child.pid ?? 0))), 5);
  const code = await new Promise((done, fail) => child.on("close", done).on("error", fail));
  clearInterval(watch);
  const milliseconds = performance.now() - started;
  for (const path of written) rmSync(path);
  if (code !== 0) throw new Error(`${command} ended with ${String(code)}`);
  return milliseconds;
}

async function onlyPid(file: string): Promise<string> {
  await using archive = await openArchive(file);
  return [...archive.members.keys()].flatMap((name) => /^checkpoint\/mm-(\d+)\.img$/.exec(name)?.[1] ?? [])[0] ?? "";
}

const archive = await archiveOf(1024);
const pid = await onlyPid(archive);
const [core, copy] = [join(folder, "core"), join(folder, "copy")];
const { core: ours = NaN, cp = NaN } = await medians(
  {
    core: async () => await timed("core", EXECUTABLE, ["extract", archive, "--core", "--pid", pid, "--to", core], [core, `${core}.gdb`]),
    cp: async () => await timed("cp", "cp", [archive, copy], [copy]),
  },
  ROUNDS,
);
process.stdout.write(`1 GiB of memory, medians of ${ROUNDS} whole processes\n\n`);
printTable(
  ["", "extract --core, ms", "cp, ms", "ratio", "peak memory"],
  [["core", ours.toFixed(0), cp.toFixed(0), `${(cp / ours).toFixed(2)}x`, formatBytes(peaks.get("core") ?? 0)]],
);
rmSync(folder, { recursive: true });
