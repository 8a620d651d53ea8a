// Runs on Linux only: it measures processes.
// Hostile archives, with FULL all of them and each by every verb: so much memory, processor time and disk, and no more.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import { zstdDecompressSync } from "node:zlib";
import { builtCommand } from "../cli/built.ts";

const HOSTILE = "test/data/faults/hostile";
const SOUND = "test/data/archives/containerd-a.tar";

const MOST_MEMORY = 300e6;
/** Processor time: that of Node.js' own start is in it. In milliseconds. */
const MOST_TIME = 5000;
const TIME_PER_BYTE = 2000 / 100e6;
/** A machine that does other things makes processor time longer. */
const BUSY = 2;

const scratch = mkdtempSync(join(tmpdir(), "bounds-"));
after(() => rmSync(scratch, { recursive: true }));

interface Measured {
  readonly exitCode: number;
  readonly rss: number;
  readonly milliseconds: number;
  readonly written: number;
}

/** Writes what a process took, at its end. What getrusage(2) has for memory can be its parent's. */
const USAGE = `
import { readFileSync, writeFileSync } from "node:fs";
process.on("exit", () => {
  const kilobytes = /VmHWM:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  const { user, system } = process.cpuUsage();
  writeFileSync(process.env.METER, JSON.stringify({ rss: Number(kilobytes) * 1024, milliseconds: (user + system) / 1000 }));
});
`;
const METER = pathToFileURL(join(scratch, "meter.mjs")).href;

async function measured(command: string, words: readonly string[]): Promise<Measured> {
  const directory = mkdtempSync(join(scratch, "run-"));
  mkdirSync(join(directory, "to"));
  const argv = words.map((word) => word.replace("TO", join(directory, "to")));
  // As the executable has them.
  const flags = ["--min-semi-space-size=8", "--max-semi-space-size=8", "--import", METER];
  const exitCode = await new Promise<number>((done) => {
    const options = { env: { ...process.env, METER: join(directory, "usage") }, maxBuffer: 1 << 30, timeout: 120_000 };
    execFile(process.execPath, [...flags, command, ...argv], options, (error) => done(error === null ? 0 : Number(error.code ?? 128)));
  });
  const usage = JSON.parse(readFileSync(join(directory, "usage"), "utf8")) as Pick<Measured, "rss" | "milliseconds">;
  const written = sizeOf(join(directory, "to"));
  rmSync(directory, { recursive: true });
  return { ...usage, exitCode, written };
}

function sizeOf(directory: string): number {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries.reduce((sum, entry) => sum + (entry.isFile() ? statSync(join(entry.parentPath, entry.name)).blocks * 512 : 0), 0);
}

/** In bytes. */
function expanded(file: string): number {
  const bytes = readFileSync(file);
  try {
    return zstdDecompressSync(bytes).length;
  } catch {
    return 20 * bytes.length;
  }
}

function verbs(file: string): string[][] {
  return [
    ["show", file],
    ["verify", file],
    ["inspect", file, "--all", "-o", "json"],
    ["search", file, "SECRET"],
    ["diff", file, SOUND],
    ["diff", file, file],
    ["extract", file, "/", "--to", "TO/"],
    ["extract", file, "checkpoint", "--to", "TO/"],
    ["extract", file, "--pid", "1", "--to", "TO/"],
    ["image", file, "example.com/a:1", "--to", "oci-archive:TO/image.tar"],
  ];
}

test(
  "hostile archives: 300 MB, 5 s and 2 s for each 100 MB, 4 times the archive on disk",
  { skip: process.platform !== "linux" && "/proc" },
  async (t) => {
    writeFileSync(new URL(METER), USAGE);
    const command = await builtCommand();
    let largest = { rss: 0, milliseconds: 0 };
    const full = process.env["FULL"] !== undefined;
    const names = readdirSync(HOSTILE).filter((name) => full || name.startsWith("a"));
    const all = names.flatMap((name, file) => verbs(join(HOSTILE, name)).map((words, verb) => ({ name, words, turn: file + verb })));
    const runs = full ? all : all.filter(({ turn }) => turn % 3 === 0);
    const worker = async (): Promise<void> => {
      for (let run = runs.shift(); run !== undefined; run = runs.shift()) {
        const { name, words } = run;
        const what = `${words[0]} ${name}`;
        const { exitCode, rss, milliseconds, written } = await measured(command, words);
        largest = { rss: Math.max(largest.rss, rss), milliseconds: Math.max(largest.milliseconds, milliseconds) };
        assert.ok([0, 1, 2, 3].includes(exitCode), `${what}: exit status ${exitCode}`);
        assert.ok(rss < MOST_MEMORY, `${what}: ${Math.round(rss / 1e6)} MB`);
        const decoded = expanded(join(HOSTILE, name));
        assert.ok(milliseconds < BUSY * (MOST_TIME + 2 * decoded * TIME_PER_BYTE), `${what}: ${Math.round(milliseconds)} ms`);
        assert.ok(written <= 4 * decoded + (1 << 20), `${what}: ${written} bytes on disk`);
      }
    };
    await Promise.all([worker(), worker()]);
    t.diagnostic(`largest: ${Math.round(largest.rss / 1e6)} MB, ${Math.round(largest.milliseconds)} ms of processor time`);
  },
);
