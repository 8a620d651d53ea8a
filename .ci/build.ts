// npm run build: dist/kubectl-checkpoint, the single executable for this machine, and dist/npm, the same for `npm install -g`.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { bundle, packagesOf, type Chunk } from "./build/bundle.ts";
import { writeExecutable } from "./build/executable.ts";
import { manualPage } from "./build/man.ts";
import { startOf } from "./build/start.ts";
import { notices } from "./package/notices.ts";

const dist = join(import.meta.dirname, "../dist");

await mkdir(dist, { recursive: true });
const chunks = await bundle();
await writeNpm(chunks, join(dist, "npm"));
if (!process.argv.includes("--npm")) {
  await writeExecutable(
    chunks,
    process.execPath,
    join(dist, process.platform === "win32" ? "kubectl-checkpoint.exe" : "kubectl-checkpoint"),
  );
}

async function writeNpm(files: readonly Chunk[], folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  for (const { name, code } of files) await writeFile(join(folder, name), code);
  await writeFile(join(folder, "kubectl-checkpoint.cjs"), `#!/usr/bin/env node\n${await startOf(files)}`, { mode: 0o755 });
  await writeFile(join(folder, "THIRD_PARTY_NOTICES"), await notices(packagesOf(files)));
  await writeFile(join(folder, "kubectl-checkpoint.1"), manualPage(`v${packageJson.version}`));
}
