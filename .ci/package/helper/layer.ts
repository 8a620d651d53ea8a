import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Header } from "tar";
import { DynamicElf } from "../../build/elf-dynamic.ts";
import { isElf } from "../../build/elf.ts";
import { fetchPackage, filesOf, type LayerFile } from "./deb.ts";
import type { Lock } from "./lock.ts";
import { CONTENTS, TRIPLETS, type Architecture } from "./packages.ts";

const SOURCES = join(import.meta.dirname, "../../../src/sandbox/image");

/** What the shell scripts and the operations of helper pods call; all of them are busybox. */
const APPLETS =
  "ash awk basename cat chmod chown chroot cmp cp cut date dd df dirname du echo env expr false find free grep gunzip gzip head hexdump hostname httpd id ifconfig ionice ip kill killall ln ls lsof md5sum mkdir mkfifo mknod mktemp more mount mountpoint mv nc netstat nice nohup nproc nsenter od pgrep pidof pkill printf ps pstree pwd readlink realpath renice rm rmdir sed seq setsid sh sha256sum sleep sort stat stty sync tac tail tee test time timeout top touch tr true truncate tty umount uname uniq unshare vi wc wget which xargs xz xzcat yes zcat";

/** Empty directories that programs, mounts and users expect. */
const DIRECTORIES = ["proc", "sys", "dev", "tmp", "run", "etc", "root", "work", "base", "archive", "archives", "var/tmp"];

/** The layer of Debian's packages, of one architecture: a tar whose bytes depend on the packages alone. */
export async function packagesLayer(lock: Lock, architecture: Architecture): Promise<Buffer> {
  const files = new Map<string, LayerFile>();
  for (const path of DIRECTORIES) add(files, directory(path));
  for (const file of (await Promise.all(lock.packages.map(async (one) => await packaged(lock, one, architecture)))).flat())
    add(files, file);
  // The tree of Debian after its merge of /usr.
  for (const name of ["bin", "sbin", "lib", "lib64"]) add(files, link(name, `usr/${name}`));
  for (const name of APPLETS.split(" ")) if (!files.has(`usr/bin/${name}`)) add(files, link(`usr/bin/${name}`, "busybox"));
  add(files, text("usr/share/doc/SOURCES", sources(lock, architecture)));
  ensureLoadable([...files.values()]);
  return tar([...files.values()]);
}

/** The layer of our own files, those of src/sandbox/image/root: of all architectures. */
export async function ownLayer(): Promise<Buffer> {
  const files = new Map<string, LayerFile>();
  for (const file of await own()) add(files, file);
  return tar([...files.values()]);
}

function add(files: Map<string, LayerFile>, file: LayerFile): void {
  for (let folder = dirname(file.path); folder !== "."; folder = dirname(folder)) {
    if (!files.has(folder)) files.set(folder, directory(folder));
  }
  files.set(file.path, file);
}

async function packaged(lock: Lock, one: Lock["packages"][number], architecture: Architecture): Promise<LayerFile[]> {
  const wanted = (CONTENTS[one.name] ?? []).map((pattern) => glob(pattern.replace("LIB", `usr/lib/${TRIPLETS[architecture]}`)));
  const found = new Set<RegExp>();
  const matches = (path: string): boolean => {
    const hits = wanted.filter((pattern) => pattern.test(path));
    for (const hit of hits) found.add(hit);
    return hits.length > 0 || path === `usr/share/doc/${one.name}/copyright`;
  };
  const files = await filesOf(await fetchPackage(lock, one.architectures[architecture]), matches);
  // Only libc6 has a loader whose place depends on the architecture.
  if (one.name !== "libc6" && found.size < wanted.length) throw new Error(`${one.name} has not all that is taken of it`);
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function glob(pattern: string): RegExp {
  return new RegExp(`^${pattern.replaceAll(".", "\\.").replaceAll("+", "\\+").replaceAll("*", "[^/]*")}$`);
}

/** The files of src/sandbox/image/root. */
async function own(): Promise<LayerFile[]> {
  const root = join(SOURCES, "root");
  const names = (await readdir(root, { recursive: true })).sort();
  const files: LayerFile[] = [];
  for (const name of names) {
    const status = await stat(join(root, name));
    if (status.isFile()) files.push({ ...text(name, await readFile(join(root, name), "utf8")), mode: status.mode & 0o100 ? 0o755 : 0o644 });
  }
  return files;
}

/** Where the source of everything in the image is, as the licences of most of it ask. */
function sources({ suite, date, packages }: Lock, architecture: Architecture): string {
  const lines = packages.map(
    ({ name, source, architectures }) => `${name} ${architectures[architecture].version}: source package ${source}\n`,
  );
  return `Everything in this image but /usr/lib/kubectl-checkpoint, /usr/bin/sandbox and files in /etc is of these packages of Debian ${suite}
(${date}), unchanged. Their licences: /usr/share/doc/PACKAGE/copyright. Their sources: https://snapshot.debian.org/package/SOURCE/VERSION/

${lines.join("")}`;
}

/** Throws where a program or library needs a library that is not there. */
function ensureLoadable(files: readonly LayerFile[]): void {
  const there = new Set(files.map(({ path }) => path.replace(/^.*\//, "")));
  for (const { path, content, type } of files) {
    if (type !== "file" || !isElf(content)) continue;
    for (const library of DynamicElf.libraries(content)) {
      if (!there.has(library)) throw new Error(`${path} needs ${library}, which is in none of the packages`);
    }
  }
}

function directory(path: string): LayerFile {
  const isOpen = path === "tmp" || path === "var/tmp";
  return { path, type: "directory", mode: isOpen ? 0o1777 : 0o755, content: Buffer.alloc(0), target: "" };
}

function link(path: string, target: string): LayerFile {
  return { path, type: "link", mode: 0o777, content: Buffer.alloc(0), target };
}

function text(path: string, content: string): LayerFile {
  return { path, type: "file", mode: 0o644, content: Buffer.from(content), target: "" };
}

const BLOCK = 512;
const TYPES = { file: "File", directory: "Directory", link: "SymbolicLink" } as const;

function tar(files: readonly LayerFile[]): Buffer {
  const pieces: Buffer[] = [];
  for (const { path, type, mode, content, target } of [...files].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const header = Buffer.alloc(BLOCK);
    const isTooLong = new Header({
      path: type === "directory" ? `${path}/` : path,
      type: TYPES[type],
      mode,
      size: content.length,
      linkpath: target,
      uid: 0,
      gid: 0,
      mtime: new Date(0),
    }).encode(header);
    if (isTooLong) throw new Error(`${path} does not fit into a header`);
    pieces.push(header, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK));
  }
  return Buffer.concat([...pieces, Buffer.alloc(2 * BLOCK)]);
}
