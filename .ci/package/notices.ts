import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

const RULE = `\n${"=".repeat(100)}\n`;

interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

/** The licences of everything that is shipped: the packages, by their folders, and Node.js, by its licence file, where it is inside. */
export async function notices(packages: readonly string[], nodeLicence?: string): Promise<string> {
  const texts: string[] = [];
  for (const folder of [...packages].sort()) {
    const { name, version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as PackageJson;
    texts.push(`${name} ${version} (${license ?? "licence below"})\n\n${await licenceOf(folder, name)}`);
  }
  // Its own, and those of what it is made of: V8, OpenSSL, ICU and others.
  if (nodeLicence !== undefined) texts.push(`Node.js ${process.versions.node}\n\n${await readFile(nodeLicence, "utf8")}`);
  return ["kubectl-checkpoint contains the following software.\n", ...texts].join(RULE);
}

/** Of packages that come without theirs: as their repositories have them, by name. */
const LICENCES = join(import.meta.dirname, "licences");

async function licenceOf(folder: string, name: string): Promise<string> {
  const files = (await readdir(folder)).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file)).sort();
  if (files.length === 0) {
    const kept = await readFile(join(LICENCES, name.replace("/", "+")), "utf8").catch(() => undefined);
    return kept ?? (await copyrightComments(folder));
  }
  const texts = await Promise.all(files.map(async (file) => await readFile(join(folder, file), "utf8")));
  return texts.join("\n");
}

/** Of a package without a licence file: the comments of its sources that name an owner. Throws where none does: it must not be shipped then. */
async function copyrightComments(folder: string): Promise<string> {
  const comments = new Set<string>();
  for (const file of (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".js")).sort()) {
    const source = await readFile(join(folder, file), "utf8");
    const first = /^(\/\/.*\n)+/.exec(source)?.[0];
    if (first?.includes("Copyright") === true) comments.add(first.replaceAll(/^\/\/ ?/gm, ""));
    // As TypeScript leaves it, below its own lines.
    const block = /^\/\*\n(Copyright [^]*?)\*\/$/m.exec(source)?.[1];
    if (block !== undefined) comments.add(block);
  }
  if (comments.size === 0) throw new Error(`${folder} does not say who owns it`);
  return [...comments].join("\n");
}
