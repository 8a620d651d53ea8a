import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle, ENTRY } from "../../.ci/build/bundle.ts";

/** A file to run with Node.js: the command as it is built of these sources. It starts in a tenth of the time that they take. */
export async function builtCommand(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "kubectl-checkpoint-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  for (const { name, code } of await bundle()) writeFileSync(join(folder, name), code);
  return join(folder, ENTRY);
}
