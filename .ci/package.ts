// npm run package [-- --to DIR PLATFORM...]: fills dist/package, or DIR, with a krew archive for each platform (all of them where none is named), their
// SHA-256 sums and the krew manifest of this version. The same commit gives the same bytes.
import { createHash } from "node:crypto";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import packageJson from "../package.json" with { type: "json" };
import { helperFile } from "../src/local/completion-helper.ts";
import { bundle, packagesOf, type Chunk } from "./build/bundle.ts";
import { writeExecutable } from "./build/executable.ts";
import { manualPage } from "./build/man.ts";
import { writeArchive } from "./package/archive.ts";
import { builtImage, ensureRecorded } from "./package/helper/build.ts";
import { manifest, problems } from "./package/manifest.ts";
import { nodeFor } from "./package/node.ts";
import { notices } from "./package/notices.ts";
import { archiveName, executableName, platformName, PLATFORMS, type Platform } from "./package/platforms.ts";

const { version } = packageJson;
const root = join(import.meta.dirname, "..");
const { positionals: wanted, values } = parseArgs({ options: { to: { type: "string" } }, allowPositionals: true });
const output = resolve(values.to ?? join(root, "dist/package"));

const platforms = PLATFORMS.filter((platform) => wanted.length === 0 || wanted.includes(platformName(platform)));
if (platforms.length < wanted.length) throw new Error(`a platform is one of ${PLATFORMS.map(platformName).join(", ")}`);

await rm(output, { recursive: true, force: true });
await mkdir(output, { recursive: true });
const chunks = await bundle();
const texts = await textFiles(chunks);
const sums = new Map(await Promise.all(platforms.map(async (platform) => await packageFor(platform))));
const text = await manifest(version, sums);
const wrong = problems(text, version);
if (wrong.length > 0) throw new Error(`plugin.yaml: ${wrong.join("; ")}`);
await writeFile(join(output, "plugin.yaml"), text);
// With all platforms comes the helper image, for those who cannot pull it.
if (wanted.length === 0) sums.set(...(await packageHelperImage()));
await writeFile(join(output, "SHA256SUMS"), [...sums].map(([name, sum]) => `${sum}  ${name}\n`).join(""));

/** What is in every archive beside the executable and the completion helper. */
async function textFiles(files: readonly Chunk[]): Promise<Record<string, string>> {
  const read = async (name: string): Promise<string> => await readFile(join(root, name), "utf8");
  const nodeLicence = join(dirname(dirname(await nodeFor(PLATFORMS[0]))), "LICENSE");
  return {
    LICENSE: await read("LICENSE"),
    "README.md": await read("README.md"),
    THIRD_PARTY_NOTICES: await notices(packagesOf(files), nodeLicence),
    "kubectl-checkpoint.1": manualPage(`v${version}`),
  };
}

/** An OCI archive of all architectures. Its digest is the one that the executables know. */
async function packageHelperImage(): Promise<[name: string, sum: string]> {
  const image = await builtImage();
  await ensureRecorded(image);
  const name = `kubectl-checkpoint-v${version}-helper-image.tar`;
  await writeFile(join(output, name), image.archive);
  const sum = createHash("sha256").update(image.archive).digest("hex");
  process.stdout.write(`${sum}  ${name}  ${(image.archive.length / 1e6).toFixed(1)} MB\n`);
  return [name, sum];
}

async function packageFor(platform: Platform): Promise<[name: string, sum: string]> {
  const folder = join(output, `${platformName(platform)}.unpacked`);
  await mkdir(folder);
  const executable = executableName(platform);
  await writeExecutable(chunks, await nodeFor(platform), join(folder, executable));
  const helper = helperFile(platform.os === "windows" ? "win32" : platform.os);
  for (const [file, content] of Object.entries(texts)) await writeFile(join(folder, file), content, { mode: 0o644 });
  await writeFile(join(folder, helper.name), helper.text, { mode: 0o755 });
  const name = archiveName(platform, version);
  await writeArchive(join(output, name), folder, [executable, helper.name, ...Object.keys(texts)]);
  await rm(folder, { recursive: true });
  const sum = createHash("sha256")
    .update(await readFile(join(output, name)))
    .digest("hex");
  const { size } = await stat(join(output, name));
  process.stdout.write(`${sum}  ${name}  ${(size / 1e6).toFixed(1)} MB\n`);
  return [name, sum];
}
