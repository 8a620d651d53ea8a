import { open } from "node:fs/promises";
import type { Directory } from "../local/directory.ts";
import { sha256Of } from "../local/write.ts";
import { bundlePath } from "./names.ts";
import { CUSTODY } from "./custody.ts";

/** As `sha256sum` calls it. */
export const SUMS = "SHA256SUMS";

/** A file below a directory, its name with "/", and the SHA-256 of its bytes in hexadecimal. */
export interface Sum {
  readonly name: string;
  readonly sha256: string;
}

/** Whether a name is that of the sums, or of their signature. */
export function isSum(name: string): boolean {
  return name === SUMS || name === bundlePath(SUMS);
}

/** What lies in an unpacked archive, among CRIU's images and in an image's layout. */
const UNPACKED = /^(config\.dump|spec\.dump|pod\.options|(pre-)?checkpoint|inventory\.img|pstree\.img|oci-layout)$/;

/** Whether a directory with these names is one of evidence, and not an archive itself: an unpacked one, CRIU's images, an image's layout. */
export function isEvidence(names: readonly string[]): boolean {
  if (names.some((name) => isSum(name) || name === CUSTODY)) return true;
  return !names.some((name) => UNPACKED.test(name)) && names.some((name) => ARCHIVE.test(name));
}

/** An archive, or what lies beside one. */
const ARCHIVE = /\.tar(\.gz|\.zst)?(\.age|\.json|\.sigstore\.json)?$/;

/** Not in the sums: they themselves, and what grows or goes away. */
function isLeftOut(name: string): boolean {
  const last = name.split("/").at(-1) ?? "";
  return isSum(last) || last === CUSTODY || last.startsWith(`${CUSTODY}.lock`);
}

/** Plain files below a directory that belong into its sums, by name; and what is neither a file nor a directory. */
export async function filesBelow(directory: Directory, below = ""): Promise<{ files: string[]; others: string[] }> {
  const found: { files: string[]; others: string[] } = { files: [], others: [] };
  for (const entry of (await directory.names()).toSorted()) {
    const name = `${below}${entry}`;
    const kind = (await directory.look(entry))?.kind;
    if (isLeftOut(name)) continue;
    if (kind === "file") found.files.push(name);
    else if (kind === "directory") {
      await using inner = await directory.enter(entry);
      const deeper = await filesBelow(inner, `${name}/`);
      found.files.push(...deeper.files);
      found.others.push(...deeper.others);
    } else found.others.push(name);
  }
  return found;
}

/** All files of a directory, hashed. */
export async function sumsOf(
  directory: Directory,
  signal: AbortSignal,
  hashing: (name: string) => void,
): Promise<{ sums: Sum[]; others: string[] }> {
  const { files, others } = await filesBelow(directory);
  const sums: Sum[] = [];
  for (const name of files) {
    hashing(name);
    await using file = await open(directory.pathOf(name));
    sums.push({ name, sha256: await sha256Of(file, signal) });
  }
  return { sums, others };
}

/** As coreutils' sha256sum writes them: a line whose name has a backslash or a line break begins with a backslash, and has them escaped. */
export function sumsText(sums: readonly Sum[]): string {
  return sums
    .map(({ name, sha256 }) => {
      const escaped = name.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\r", "\\r");
      return `${escaped === name ? "" : "\\"}${sha256}  ${escaped}\n`;
    })
    .join("");
}

/** Undefined where a line is not one of sha256sum's. */
export function parseSums(text: string): Sum[] | undefined {
  const lines = text.split("\n");
  if (lines.pop() !== "") return undefined;
  const sums = lines.map((line) => {
    const [, escaped, sha256, name] = /^(\\?)([0-9a-f]{64}) [ *](.+)$/s.exec(line) ?? [];
    if (sha256 === undefined || name === undefined) return undefined;
    return {
      sha256,
      name: escaped === "" ? name : name.replaceAll(/\\([\\nr])/g, (_, one: string) => ({ n: "\n", r: "\r" })[one] ?? "\\"),
    };
  });
  return sums.every((sum) => sum !== undefined) ? sums : undefined;
}
