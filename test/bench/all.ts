// npm run bench all [-- NAME...]: runs the benchmarks, or those named, and writes their tables into docs/benchmarks.md, between the marks of each.
// One that cannot be run leaves its tables as they are; the others are run all the same.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";
import { join, resolve } from "node:path";

const DOCUMENT = resolve(import.meta.dirname, "../../docs/benchmarks.md");
const block = (name: string): RegExp => new RegExp(`(<!-- bench ${name} -->\n)[^]*?(<!-- end ${name} -->)`);

/** What a program prints: tables, and lines that belong to them. Throws where it fails. */
async function tablesOf(name: string): Promise<string> {
  const child = spawn(process.execPath, [join(import.meta.dirname, `${name}.ts`)], { stdio: ["ignore", "pipe", "inherit"] });
  let tables = "";
  child.stdout.on("data", (text: Buffer) => (tables += text.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0 || tables === "") throw new Error(`npm run bench ${name} ended with ${code}`);
  return tables.trim();
}

function surroundings(): string {
  const now = new Date().toISOString().slice(0, 16).replace("T", " ");
  const load = loadavg()
    .map((one) => one.toFixed(1))
    .join(", ");
  return `${now} UTC, Node.js ${process.version}, ${availableParallelism()} x ${cpus()[0]?.model.trim() ?? "unknown"}, load before ${load}.`;
}

const known = [...readFileSync(DOCUMENT, "utf8").matchAll(/^<!-- bench ([\w-]+) -->$/gm)].map(([, name = ""]) => name);
const named = process.argv.slice(2);
const unknown = named.filter((name) => !known.includes(name));
if (unknown.length > 0) throw new Error(`${unknown.join(", ")}: ${DOCUMENT} has tables of ${known.join(", ")}`);
for (const name of named.length > 0 ? named : known) {
  process.stderr.write(`== ${name}\n`);
  try {
    const where = surroundings();
    const tables = await tablesOf(name);
    // Read again: a run takes its time, and somebody may have written meanwhile.
    const text = readFileSync(DOCUMENT, "utf8");
    writeFileSync(
      DOCUMENT,
      text.replace(block(name), (_, begin: string, end: string) => `${begin}\n${where}\n\n${tables}\n\n${end}`),
    );
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
const formatter = resolve(import.meta.dirname, "../../node_modules/.bin/oxfmt");
await once(spawn(formatter, [DOCUMENT], { stdio: "inherit" }), "close");
