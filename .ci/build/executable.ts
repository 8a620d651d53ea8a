import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MAIN, type Chunk } from "./bundle.ts";
import { isElf, strippedElf } from "./elf.ts";

const LOADER = join(import.meta.dirname, "loader.cjs");

/**
 * Writes `output`, a single executable: `node`, an executable of any platform and of the version of the Node.js that runs
 * this, with the chunks inside. It appears at once and whole, whoever runs the one before.
 */
export async function writeExecutable(chunks: readonly Chunk[], node: string, output: string): Promise<void> {
  const work = await mkdtemp(`${output}.`);
  try {
    const assets: Record<string, string> = {};
    for (const { name, code } of chunks) {
      const file = join(work, name);
      if (name === MAIN) await writeFile(file, (await readFile(LOADER, "utf8")) + withoutShebang(code));
      else await writeFile((assets[`./${name}`] = file), code);
    }
    const executable = join(work, "node");
    const original = await readFile(node);
    await writeFile(executable, isElf(original) ? strippedElf(original) : original, { mode: 0o755 });
    const config = {
      main: join(work, MAIN),
      mainFormat: "commonjs",
      assets,
      executable,
      output: join(work, "executable"),
      disableExperimentalSEAWarning: true,
      // Code caches are of one machine's V8, and their bytes differ from build to build.
      useCodeCache: false,
      execArgv: ["--no-warnings"],
      // NODE_OPTIONS is not for us.
      execArgvExtension: "none",
    };
    const configFile = join(work, "sea.json");
    await writeFile(configFile, JSON.stringify(config));
    execFileSync(process.execPath, ["--build-sea", configFile], { stdio: ["ignore", "ignore", "inherit"] });
    await rename(config.output, output);
  } finally {
    await rm(work, { recursive: true });
  }
}

function withoutShebang(code: string): string {
  return code.replace(/^#!.*\n/, "");
}
