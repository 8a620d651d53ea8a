import type { Archive } from "../archive/archive.ts";
import { slice } from "../archive/sources.ts";
import { say } from "../model/phrase.ts";
import type { Source } from "../model/source.ts";
import { decode } from "./decode.ts";
import type { FileTable } from "./files/table.ts";
import { GhostChunkEntrySchema, GhostFileEntrySchema, type GhostFileEntry } from "./gen/deleted_pb.ts";
import { entryBatches, hasImage, imageName, openImage, type Entry, type Image } from "./image.ts";
import { count } from "./numbers.ts";
import { attempt, damaged, notThere, type Tell } from "./problems.ts";
import { sparseSource, type Extent } from "../archive/sparse.ts";

/** A file that was deleted while it was open: CRIU keeps its content. */
export interface GhostFile {
  /** The path that it had. */
  readonly path: string;
  /** Ids of the open files that are it, in files.img. */
  readonly fileIds: readonly number[];
  /** The image that holds it, in the archive. */
  readonly image: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** In bytes. */
  readonly size: number;
  /** Of a deleted symbolic link. */
  readonly target: string | undefined;
}

/** All deleted files that were open, by path. An image that is missing or damaged goes to `tell`, and its file is left out. */
export async function ghostFiles(archive: Archive, { files, remaps }: FileTable, tell: Tell): Promise<GhostFile[]> {
  const ghosts = new Map<number, { path: string; fileIds: number[] }>();
  for (const [fileId, { kind, id }] of remaps) {
    if (kind !== "ghost") continue;
    const ghost = ghosts.get(id) ?? { path: files.get(fileId)?.name ?? "", fileIds: [] };
    ghost.fileIds.push(fileId);
    ghosts.set(id, ghost);
  }
  const all: GhostFile[] = [];
  for (const [id, { path, fileIds }] of ghosts) {
    const ghost = await attempt(tell, async () => await ghostFile(archive, id, path, fileIds));
    if (ghost !== undefined) all.push(ghost);
  }
  return all.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** A deleted file by the number of its image. Throws a UserError where that is missing or damaged. */
export async function ghostFile(archive: Archive, id: number, path: string, fileIds: readonly number[]): Promise<GhostFile> {
  // CRIU writes the number in hexadecimal (image-desc.c).
  const file = `ghost-file-${id.toString(16)}.img`;
  if (!hasImage(archive, file)) throw notThere(say`${imageName(file)} is not in the archive`, say`it has the deleted file ${path}`);
  const { head, image, dataAt } = await openGhost(archive, imageName(file));
  const size = head.chunks ? count(head.size, image.name) : image.source.size - dataAt;
  const target = head.symlnkTarget === "" ? undefined : head.symlnkTarget;
  return { path, fileIds, image: image.name, mode: head.mode, uid: head.uid, gid: head.gid, size, target };
}

/** The bytes of a ghost file. Throws a UserError where its image is damaged. */
export async function ghostSource(archive: Archive, { image: name, size }: Pick<GhostFile, "image" | "size">): Promise<Source> {
  const { head, image, dataAt } = await openGhost(archive, name);
  if (!head.chunks) return slice(image.source, dataAt, image.source.size - dataAt);
  const extents: Extent[] = [];
  let last = 0;
  const entries = entryBatches({ ...image, start: dataAt }, ({ bytes, end }) => {
    const { off, len } = decode(GhostChunkEntrySchema, bytes, name);
    const [offset, length] = [count(off, name), count(len, name)];
    if (offset < last || offset + length > size) throw damaged(name, `a chunk at ${offset} is out of order`);
    archive.budget.keep(name, 1);
    last = offset + length;
    extents.push({ offset, length, source: image.source, at: end });
    return length;
  });
  for await (const _ of entries);
  return sparseSource(size, extents);
}

async function openGhost(archive: Archive, name: string): Promise<{ head: GhostFileEntry; image: Image; dataAt: number }> {
  const image = await openImage(archive, name);
  const rest = ({ end }: Entry): number => image.source.size - end;
  for await (const [entry] of entryBatches(image, rest)) {
    if (entry !== undefined) return { head: decode(GhostFileEntrySchema, entry.bytes, name), image, dataAt: entry.end };
  }
  throw damaged(name, "it is empty");
}
