import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { extract } from "tar";
import type { Platform } from "./platforms.ts";

const CACHE = join(import.meta.dirname, "../../node_modules/.cache/kubectl-checkpoint");

/** The executable of Node.js for a platform: fetched from the npm registry once, and checked. */
export async function nodeFor(platform: Platform): Promise<string> {
  // What --build-sea writes is for the version that writes it.
  const version = process.versions.node;
  const folder = join(CACHE, `${platform.package}-${version}`);
  const executable = join(folder, "bin", platform.os === "windows" ? "node.exe" : "node");
  if (existsSync(executable)) return executable;
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(`${folder}.`);
  try {
    // npm by its shell script: on Windows it is one.
    const options = { cwd: work, encoding: "utf8", shell: process.platform === "win32" } as const;
    const tarball = execFileSync("npm", ["pack", "--silent", `${platform.package}@${version}`], options).trim();
    const content = await readFile(join(work, tarball));
    const integrity = `sha512-${createHash("sha512").update(content).digest("base64")}`;
    if (integrity !== platform.integrity) {
      throw new Error(`${tarball}: its integrity is ${integrity}, .ci/package/platforms.ts says ${platform.integrity}`);
    }
    await extract({ file: join(work, tarball), cwd: work, filter: (path) => /^package\/(bin\/|LICENSE$)/.test(path) });
    await rename(join(work, "package"), folder).catch((error: unknown) => {
      // Another run has been as fast.
      if (!existsSync(executable)) throw error;
    });
  } finally {
    await rm(work, { recursive: true });
  }
  return executable;
}
