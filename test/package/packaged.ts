// What the tests of packages stand on: archives made by npm run package, unpacked.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after } from "node:test";
import { inflateRawSync } from "node:zlib";
import { extract } from "tar";
import { archiveName, platformName, PLATFORMS, type Platform } from "../../.ci/package/platforms.ts";
import packageJson from "../../package.json" with { type: "json" };

export const ROOT = resolve(import.meta.dirname, "../..");
export const VERSION = packageJson.version;

/** All five take a minute; without --full only the one that this machine can run. */
export const BUILT: readonly Platform[] = process.env["FULL"] === "1" ? PLATFORMS : PLATFORMS.slice(0, 1);

/** Why a test of a platform is skipped. */
export function notBuilt(name: string): string | false {
  return BUILT.some((platform) => platformName(platform) === name) ? false : `${name} is built by npm test -- --full only`;
}

/** A folder that goes when the tests of the file have ended. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "package-"));
  after(async () => await rm(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * Runs npm run package in a checkout, into a folder. For this checkout, what is in $PACKAGES is taken instead, where it is set: a release
 * tests the files that it will publish.
 */
export function makePackages(checkout: string, folder: string, platforms: readonly Platform[], env: NodeJS.ProcessEnv = {}): void {
  const made = process.env["PACKAGES"];
  if (made !== undefined && checkout === ROOT) {
    cpSync(made, folder, { recursive: true });
    return;
  }
  const args = [join(checkout, ".ci/package.ts"), "--to", folder, ...platforms.map(platformName)];
  execFileSync(process.execPath, args, { cwd: checkout, env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "inherit"] });
}

export interface Entry {
  readonly name: string;
  /** "File" for what is neither a folder nor a link. */
  readonly type: string;
  readonly mode: number;
}

/** Unpacks an archive as krew does, and tells what was in it. */
export async function unpack(folder: string, platform: Platform): Promise<{ directory: string; entries: Entry[] }> {
  const archive = join(folder, archiveName(platform, VERSION));
  const directory = join(folder, platformName(platform));
  if (existsSync(directory)) await rm(directory, { recursive: true });
  await mkdir(directory);
  if (archive.endsWith(".zip")) return { directory, entries: await unzip(archive, directory) };
  const entries: Entry[] = [];
  const onReadEntry = ({ path, type, mode }: { path: string; type: string; mode?: number }): void => {
    entries.push({ name: path, type, mode: mode ?? 0 });
  };
  await extract({ file: archive, cwd: directory, onReadEntry });
  return { directory, entries };
}

/** Of a zip without encryption and without 64-bit sizes: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT */
async function unzip(archive: string, directory: string): Promise<Entry[]> {
  const file = await readFile(archive);
  const end = file.lastIndexOf("PK\x05\x06");
  const entries: Entry[] = [];
  let at = file.readUInt32LE(end + 16);
  for (let count = file.readUInt16LE(end + 10); count > 0; count -= 1) {
    const size = file.readUInt32LE(at + 20);
    const [nameSize, extraSize, commentSize] = [28, 30, 32].map((offset) => file.readUInt16LE(at + offset)) as [number, number, number];
    const local = file.readUInt32LE(at + 42);
    const data = local + 30 + file.readUInt16LE(local + 26) + file.readUInt16LE(local + 28);
    const name = file.toString("utf8", at + 46, at + 46 + nameSize);
    await writeFile(join(directory, name), inflateRawSync(file.subarray(data, data + size)));
    const attributes = file.readUInt32LE(at + 38) >>> 16;
    entries.push({ name, type: (attributes & 0o170000) === 0o100000 ? "File" : "other", mode: attributes & 0o777 });
    at += 46 + nameSize + extraSize + commentSize;
  }
  return entries;
}
