import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { Parser, type ReadEntry } from "tar";
import { sha256, type Lock, type LockedFile } from "./lock.ts";

/** A file of the image's layer. */
export interface LayerFile {
  /** Without a slash at its start. */
  readonly path: string;
  readonly type: "file" | "directory" | "link";
  readonly mode: number;
  readonly content: Buffer;
  /** Of a symbolic link. */
  readonly target: string;
}

const CACHE = join(import.meta.dirname, "../../../node_modules/.cache/kubectl-checkpoint/debian");

/** Where a package can be fetched: a mirror while it is in the suite, and the archive of that day afterwards. */
function addresses({ date }: Lock, path: string): string[] {
  const day = date.replaceAll(/[-:]|\.\d+/g, "");
  const mirror = process.env["DEBIAN_MIRROR"] ?? "http://deb.debian.org/debian";
  return [`${mirror}/${path}`, `https://snapshot.debian.org/archive/debian/${day}/${path}`];
}

/** A package's bytes, from the cache or the network, with the SHA-256 that the lock has. */
export async function fetchPackage(lock: Lock, { path, sha256: wanted }: LockedFile): Promise<Buffer> {
  const cached = join(CACHE, `${wanted.slice(0, 16)}-${basename(path)}`);
  if (existsSync(cached)) {
    const bytes = await readFile(cached);
    if (sha256(bytes) === wanted) return bytes;
  }
  const failures: string[] = [];
  for (const address of addresses(lock, path)) {
    try {
      const bytes = execFileSync("curl", ["-sSfL", "--retry", "2", address], { maxBuffer: 1e8, stdio: ["ignore", "pipe", "pipe"] });
      if (sha256(bytes) !== wanted) throw new Error(`its SHA-256 is ${sha256(bytes)}`);
      await mkdir(CACHE, { recursive: true });
      await writeFile(`${cached}.${process.pid}`, bytes);
      await rename(`${cached}.${process.pid}`, cached);
      return bytes;
    } catch (error) {
      failures.push(`${address}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(`${basename(path)} with the SHA-256 ${wanted} cannot be fetched:\n${failures.join("\n")}`);
}

/** The files in a package that match, its data.tar unpacked. The format: deb(5). */
export async function filesOf(deb: Buffer, wanted: (path: string) => boolean): Promise<LayerFile[]> {
  const files: LayerFile[] = [];
  const reading: Promise<void>[] = [];
  const parser = new Parser({
    onReadEntry: (entry: ReadEntry) => {
      const path = entry.path.replace(/^\.?\//, "").replace(/\/$/, "");
      if (entry.type === "Directory" || !wanted(path)) {
        entry.resume();
        return;
      }
      reading.push(
        entry.concat().then((content) => {
          if (entry.type !== "File" && entry.type !== "SymbolicLink") throw new Error(`${path} is a ${entry.type}`);
          const type = entry.type === "File" ? "file" : "link";
          files.push({ path, type, mode: (entry.mode ?? 0) & 0o755, content: Buffer.from(content), target: entry.linkpath ?? "" });
        }),
      );
    },
  });
  const ended = new Promise<void>((resolve, reject) => parser.on("end", resolve).on("error", reject));
  parser.end(decompressed(deb));
  await ended;
  await Promise.all(reading);
  return files;
}

function decompressed(deb: Buffer): Buffer {
  if (deb.toString("latin1", 0, 8) !== "!<arch>\n") throw new Error("not a Debian package");
  for (let at = 8; at + 60 <= deb.length;) {
    const name = deb.toString("latin1", at, at + 16).trim();
    const size = Number(deb.toString("latin1", at + 48, at + 58));
    const content = deb.subarray(at + 60, at + 60 + size);
    if (/^data\.tar\.xz\/?$/.test(name)) return execFileSync("xz", ["-dc"], { input: content, maxBuffer: 1e9 });
    if (name.startsWith("data.tar")) throw new Error(`${name}: only xz is read here`);
    at += 60 + size + (size % 2);
  }
  throw new Error("the package has no data.tar.xz");
}
