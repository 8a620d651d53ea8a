import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ENTRY, type Chunk } from "./bundle.ts";

/** The CommonJS that the executable and the npm package start with: it loads the chunks. */
export async function startOf(chunks: readonly Chunk[]): Promise<string> {
  const hash = createHash("sha256");
  for (const { name, code } of chunks) hash.update(`${name}\0${code}\0`);
  const build = hash.digest("hex").slice(0, 16);
  const loader = await readFile(join(import.meta.dirname, "loader.cjs"), "utf8");
  return `const BUILD = "${build}";\nconst ENTRY = "./${ENTRY}";\n${loader}`;
}
