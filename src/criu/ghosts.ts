import type { Archive } from "../archive/archive.ts";
import { decode } from "./decode.ts";
import type { FileTable } from "./files/table.ts";
import { GhostChunkEntrySchema, GhostFileEntrySchema, type GhostFileEntry } from "./gen/deleted_pb.ts";
import { entryBatches, hasImage, imageName, openImage, type Entry, type Image } from "./image.ts";
import { count } from "./numbers.ts";
import { damaged, notThere } from "./problems.ts";

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

/** Bytes of a ghost file; between two pieces are holes, which read as zeros. */
export interface GhostPiece {
  readonly offset: number;
  readonly bytes: Buffer;
}

const CHUNK = 1024 * 1024;

/** All deleted files that were open, by path. Throws a UserError where an image is missing or damaged. */
export async function ghostFiles(archive: Archive, { files, remaps }: FileTable): Promise<GhostFile[]> {
  const ghosts = new Map<number, { path: string; fileIds: number[] }>();
  for (const [fileId, { kind, id }] of remaps) {
    if (kind !== "ghost") continue;
    const ghost = ghosts.get(id) ?? { path: files.get(fileId)?.name ?? "", fileIds: [] };
    ghost.fileIds.push(fileId);
    ghosts.set(id, ghost);
  }
  const all: GhostFile[] = [];
  for (const [id, { path, fileIds }] of ghosts) {
    // CRIU writes the number in hexadecimal (image-desc.c).
    const file = `ghost-file-${id.toString(16)}.img`;
    if (!hasImage(archive, file)) throw notThere(`${imageName(file)} is not in the archive`, `it holds the deleted file ${path}`);
    const { head, image, dataAt } = await openGhost(archive, imageName(file));
    const size = head.chunks ? count(head.size, image.name) : Number(head.size) || image.source.size - dataAt;
    const target = head.symlnkTarget === "" ? undefined : head.symlnkTarget;
    all.push({ path, fileIds, image: image.name, mode: head.mode, uid: head.uid, gid: head.gid, size, target });
  }
  return all.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** The bytes of a ghost file in order. Throws a UserError where its image is damaged. */
export async function* ghostPieces(archive: Archive, { image: name }: Pick<GhostFile, "image">): AsyncGenerator<GhostPiece> {
  const { head, image, dataAt } = await openGhost(archive, name);
  if (!head.chunks) {
    yield* pieces(image, dataAt, 0, image.source.size - dataAt);
    return;
  }
  let last = 0;
  const chunks: { offset: number; length: number }[] = [];
  const payload = ({ bytes }: Entry): number => {
    const { off, len } = decode(GhostChunkEntrySchema, bytes, name);
    const [offset, length] = [count(off, name), count(len, name)];
    if (offset < last || offset + length > Number(head.size)) throw damaged(name, `a chunk at ${offset} is out of order`);
    last = offset + length;
    chunks.push({ offset, length });
    return length;
  };
  for await (const batch of entryBatches({ ...image, start: dataAt }, payload)) {
    for (const { end } of batch) {
      const chunk = chunks.shift();
      if (chunk !== undefined) yield* pieces(image, end, chunk.offset, chunk.length);
    }
  }
}

async function openGhost(archive: Archive, name: string): Promise<{ head: GhostFileEntry; image: Image; dataAt: number }> {
  const image = await openImage(archive, name);
  const rest = ({ end }: Entry): number => image.source.size - end;
  for await (const [entry] of entryBatches(image, rest)) {
    if (entry !== undefined) return { head: decode(GhostFileEntrySchema, entry.bytes, name), image, dataAt: entry.end };
  }
  throw damaged(name, "it is empty");
}

async function* pieces({ source }: Image, from: number, offset: number, length: number): AsyncGenerator<GhostPiece> {
  for (let at = 0; at < length; at += CHUNK) {
    yield { offset: offset + at, bytes: await source.read(from + at, Math.min(CHUNK, length - at)) };
  }
}
