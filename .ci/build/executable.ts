import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Chunk } from "./bundle.ts";
import { isElf, strippedElf } from "./elf.ts";
import { withoutLibatomic } from "./libatomic.ts";
import { isMacho, signedMacho, strippedMacho } from "./macho.ts";
import { isPe, unsignedPe } from "./pe.ts";
import { startOf } from "./start.ts";

const START = "start.cjs";

/**
 * Writes `output`, a single executable: `node`, an executable of any platform and of the version of the Node.js that runs
 * this, with the chunks inside. The same input gives the same bytes. It appears at once and whole, whoever runs the one before.
 */
export async function writeExecutable(chunks: readonly Chunk[], node: string, output: string): Promise<void> {
  const work = await mkdtemp(`${output}.`);
  try {
    const original = await readFile(node);
    await writeFile(join(work, "node"), prepared(original), { mode: 0o755 });
    await writeFile(join(work, START), await startOf(chunks));
    // In a folder of their own: relative paths get into the executable.
    await mkdir(join(work, "chunks"));
    for (const { name, code } of chunks) await writeFile(join(work, "chunks", name), code);
    const config = {
      main: START,
      mainFormat: "commonjs",
      assets: Object.fromEntries(chunks.map(({ name }) => [name, `chunks/${name}`])),
      executable: "node",
      output: "executable",
      disableExperimentalSEAWarning: true,
      // It fits one platform only, and its bytes differ from build to build: loader.cjs keeps one on the user's machine.
      useCodeCache: false,
      // For short-lived objects: enough that a start needs no garbage collection, and no more while an archive streams through.
      execArgv: ["--no-warnings", "--min-semi-space-size=8", "--max-semi-space-size=8"],
      // NODE_OPTIONS is not for us.
      execArgvExtension: "none",
    };
    await writeFile(join(work, "sea.json"), JSON.stringify(config));
    execFileSync(process.execPath, ["--build-sea", "sea.json"], { cwd: work, stdio: ["ignore", "ignore", "inherit"] });
    const built = join(work, "executable");
    if (isMacho(original)) await writeFile(built, signedMacho(await readFile(built), "kubectl-checkpoint"));
    await rename(built, output);
  } finally {
    await rm(work, { recursive: true });
  }
}

/** Without symbols and signatures: both belong to the bytes as they were. */
function prepared(node: Buffer): Buffer {
  if (isElf(node)) return strippedElf(withoutLibatomic(node));
  if (isMacho(node)) return strippedMacho(node);
  if (isPe(node)) return unsignedPe(node);
  throw new Error("an executable of an unknown kind");
}
