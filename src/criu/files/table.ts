import type { Archive } from "../../archive/archive.ts";
import { decode, given } from "../decode.ts";
import { RemapFilePathEntrySchema } from "../gen/deleted_pb.ts";
import {
  type FileEntry,
  FileEntrySchema,
  type MemfdInodeEntry,
  MemfdInodeEntrySchema,
  type RegFileEntry,
  RegFileEntrySchema,
} from "../gen/files_pb.ts";
import { type TtyInfoEntry, TtyInfoEntrySchema } from "../gen/tty_pb.ts";
import { allEntries } from "../entries.ts";
import { entryBatches, hasImage, imageName, openImage } from "../image.ts";
import { damaged, notThere } from "../problems.ts";
import { epollFile, eventFile, fanotifyFile, inotifyFile, pidFile, signalFile, timerFile } from "./events.ts";
import { details, type FileType, type OpenFile } from "./file.ts";
import { bpfMapFile, externalFile, fifoFile, memfdFile, namespaceFile, pipeFile, ttyFile, tunFile } from "./other.ts";
import { inetSocket, netlinkSocket, packetSocket, unixSocket } from "./sockets.ts";
import { count } from "../numbers.ts";

/** Every open file of a checkpoint, whoever has it open. */
export interface FileTable {
  readonly files: ReadonlyMap<number, OpenFile>;
  /** Files that were no longer under their name, by id. */
  readonly remaps: ReadonlyMap<number, Remap>;
}

/** Where a file went that is no longer under its name. */
export interface Remap {
  /** "ghost": deleted, and its content is in the archive; "linked": renamed by CRIU; "process": below /proc, of a process that is gone. */
  readonly kind: "ghost" | "linked" | "process";
  /** Of a ghost: which image holds it. Of a linked one: the file that it was linked to. */
  readonly id: number;
}

interface Tables {
  readonly memfds: ReadonlyMap<number, MemfdInodeEntry>;
  readonly ttys: ReadonlyMap<number, TtyInfoEntry>;
  readonly bigEndian: boolean;
  readonly image: string;
}

const FILES = "files.img";

/** Each file or watch counts as so many objects: it has details. */
const ITEMS_PER_FILE = 2;

/** Of files.img and what belongs to it. Throws a UserError where files.img is missing, an image is damaged, or there are too many files. */
export async function fileTable(archive: Archive): Promise<FileTable> {
  if (!hasImage(archive, FILES)) throw noFiles(archive);
  const image = await openImage(archive, imageName(FILES));
  const tables: Tables = {
    memfds: await memfdInodes(archive),
    ttys: await ttyInfos(archive),
    bigEndian: image.bigEndian,
    image: image.name,
  };
  const files = new Map<number, OpenFile>();
  for await (const batch of entryBatches(image)) {
    for (const { bytes } of batch) {
      const entry = decode(FileEntrySchema, bytes, image.name);
      const watches = (entry.epfd?.tfd.length ?? 0) + (entry.ify?.wd.length ?? 0) + (entry.ffy?.mark.length ?? 0);
      archive.budget.keep(image.name, ITEMS_PER_FILE * (1 + watches), bytes.length);
      const file = openFile(entry, tables, files);
      files.set(file.id, file);
    }
  }
  if (files.size === 0) throw damaged(image.name, "it is empty");
  return { files, remaps: await remaps(archive) };
}

/** Whether open files are in images by type, as CRIU before 3.3 wrote them: those are not read. */
export function isOldLayout(archive: Archive): boolean {
  return !hasImage(archive, FILES) && hasImage(archive, "reg-files.img");
}

function noFiles(archive: Archive): ReturnType<typeof notThere> {
  return notThere(
    `${imageName(FILES)} is not in the archive`,
    isOldLayout(archive)
      ? "CRIU before 3.3 kept open files in images by type, which this version does not read"
      : "it tells what the processes had open",
  );
}

/** What a mapping, a working directory or a descriptor calls a file: its path, and that it was deleted. */
export function filePath({ files, remaps }: FileTable, id: number): string | undefined {
  const name = files.get(id)?.name;
  return name !== undefined && remaps.get(id)?.kind === "ghost" ? `${name} (deleted)` : name;
}

function openFile(entry: FileEntry, { memfds, ttys, bigEndian, image }: Tables, files: ReadonlyMap<number, OpenFile>): OpenFile {
  const { reg, isk, nsf, psk, nlsk, efd, epfd, sgfd, tunf, tfd, ify, ffy, ext, usk, fifo, pipe, tty, memfd, bpf, pidfd } = entry;
  if (reg !== undefined) return regularFile(reg, image);
  if (isk !== undefined) return inetSocket(isk, bigEndian);
  if (usk !== undefined) return unixSocket(usk);
  if (nlsk !== undefined) return netlinkSocket(nlsk);
  if (psk !== undefined) return packetSocket(psk, bigEndian);
  if (pipe !== undefined) return pipeFile(pipe);
  if (fifo !== undefined) return fifoFile(fifo, files.get(fifo.regfId));
  if (efd !== undefined) return eventFile(efd);
  if (epfd !== undefined) return epollFile(epfd);
  if (sgfd !== undefined) return signalFile(sgfd);
  if (tfd !== undefined) return timerFile(tfd);
  if (pidfd !== undefined) return pidFile(pidfd);
  if (ify !== undefined) return inotifyFile(ify);
  if (ffy !== undefined) return fanotifyFile(ffy);
  if (memfd !== undefined) return memfdFile(memfd, memfds.get(memfd.inodeId), image);
  if (tty !== undefined) return ttyFile(tty, ttys.get(tty.ttyInfoId), files.get(tty.regfId));
  if (nsf !== undefined) return namespaceFile(nsf);
  if (tunf !== undefined) return tunFile(tunf);
  if (bpf !== undefined) return bpfMapFile(bpf);
  if (ext !== undefined) return externalFile(ext);
  return { id: entry.id, type: "unknown", name: `unknown kind ${entry.type}`, flags: undefined, details: {} };
}

async function memfdInodes(archive: Archive): Promise<Map<number, MemfdInodeEntry>> {
  const inodes = new Map<number, MemfdInodeEntry>();
  for await (const inode of allEntries(archive, "memfd.img", MemfdInodeEntrySchema)) inodes.set(Number(inode.inodeId), inode);
  return inodes;
}

async function ttyInfos(archive: Archive): Promise<Map<number, TtyInfoEntry>> {
  const infos = new Map<number, TtyInfoEntry>();
  for await (const info of allEntries(archive, "tty-info.img", TtyInfoEntrySchema)) infos.set(info.id, info);
  return infos;
}

const REMAP_KINDS = ["linked", "ghost", "process"] as const;

async function remaps(archive: Archive): Promise<Map<number, Remap>> {
  const all = new Map<number, Remap>();
  for await (const { origId, remapId, remapType } of allEntries(archive, "remap-fpath.img", RemapFilePathEntrySchema)) {
    const kind = REMAP_KINDS[remapType];
    if (kind !== undefined) all.set(origId, { kind, id: remapId });
  }
  return all;
}

const TYPES: Readonly<Record<number, FileType>> = {
  0o1: "fifo",
  0o2: "device",
  0o4: "directory",
  0o6: "device",
  0o10: "file",
  0o12: "symlink",
};

/** Anything with a path: files, directories, devices. */
function regularFile(entry: RegFileEntry, image: string): OpenFile {
  const { id, name, flags, pos, mode, ext, buildId } = entry;
  // CRIU leaves it out of what is open for appending only.
  const size = given(RegFileEntrySchema, entry, "size");
  const mountId = given(RegFileEntrySchema, entry, "mntId");
  const type = TYPES[mode >> 12] ?? "file";
  return {
    id,
    type,
    name,
    flags,
    ...(mountId === undefined ? {} : { mountId }),
    ...(buildId.length === 0 ? {} : { buildId: buildIdText(buildId) }),
    details: details({
      position: type === "file" && count(pos, image),
      size: type === "file" && size !== undefined && count(size, image),
      external: ext,
    }),
  };
}

/** CRIU keeps the bytes as words of its machine, all of them little-endian ones where there are build IDs to compare. */
function buildIdText(words: readonly number[]): string {
  const bytes = Buffer.alloc(words.length * 4);
  for (const [index, word] of words.entries()) bytes.writeUInt32LE(word >>> 0, index * 4);
  return bytes.toString("hex");
}
