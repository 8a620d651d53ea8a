import type { Archive } from "../archive/archive.ts";
import type { Source } from "../model/source.ts";
import { MAX_ENTRY_BYTES } from "./limits.ts";
import { damaged, notThere } from "./problems.ts";

/**
 * An image file of CRIU, open past its magic words. The format is described at https://criu.org/Images: after the
 * words come entries, each a 32-bit length and a protobuf message, some followed by bytes of their own.
 */
export interface Image {
  /** Its name in the archive. */
  readonly name: string;
  /** The word that tells its type: see kinds.ts. */
  readonly magic: number;
  readonly source: Source;
  /** Where the first entry begins. */
  readonly start: number;
  /** CRIU writes in the byte order of its machine: s390x is big-endian. */
  readonly bigEndian: boolean;
}

export interface Entry {
  /** The message. */
  readonly bytes: Buffer;
  /** Offset of the byte after the message, where its payload begins. */
  readonly end: number;
}

const COMMON = 0x54564319;
const SERVICE = 0x55105940;
/** The inventory has one word only. */
export const INVENTORY = 0x58313116;

/** Small enough that what is made of a window is gone before the garbage collector takes it for long-lived. */
const WINDOW = 64 * 1024;

/** The name in the archive of an image of the checkpoint. */
export function imageName(file: string): string {
  return `checkpoint/${file}`;
}

export function hasImage(archive: Archive, file: string): boolean {
  return archive.members.has(imageName(file));
}

/** Opens an image by its name in the archive. Throws a UserError where it is missing, or does not begin as an image does. */
export async function openImage(archive: Archive, name: string): Promise<Image> {
  if (!archive.members.has(name)) {
    throw notThere(
      `${name} is not in the archive`,
      "the archive is incomplete, or CRIU was told to put its images elsewhere (images-dir in its configuration)",
    );
  }
  const source = archive.open(name);
  const head = await source.read(0, Math.min(8, source.size));
  for (const bigEndian of [false, true]) {
    const word = (at: number): number => (head.length < at + 4 ? 0 : bigEndian ? head.readUInt32BE(at) : head.readUInt32LE(at));
    if (word(0) === INVENTORY) return { name, magic: INVENTORY, source, start: 4, bigEndian };
    if ((word(0) === COMMON || word(0) === SERVICE) && head.length === 8) return { name, magic: word(4), source, start: 8, bigEndian };
  }
  throw damaged(name, "it does not begin as an image of CRIU does");
}

/**
 * The entries of an image, in batches as large as a window: none of it is kept. `payload` says how many bytes follow
 * an entry that are no entry; it is asked once for each, in order.
 * Throws a UserError where the image ends in the middle of an entry or asks for too much.
 */
export async function* entryBatches(
  { name, source, start, bigEndian }: Image,
  payload: (entry: Entry) => number = () => 0,
): AsyncGenerator<Entry[]> {
  let offset = start;
  let wanted = WINDOW;
  while (offset < source.size) {
    const window = await source.read(offset, Math.min(wanted, source.size - offset));
    const batch: Entry[] = [];
    let at = 0;
    wanted = WINDOW;
    while (at + 4 <= window.length) {
      const length = bigEndian ? window.readUInt32BE(at) : window.readUInt32LE(at);
      const end = at + 4 + length;
      if (length > MAX_ENTRY_BYTES || offset + end > source.size)
        throw damaged(name, `an entry at byte ${offset + at} claims ${length} bytes`);
      // A first one may have nothing to say; of several each has a number of something.
      if (length === 0 && offset + at > start) throw damaged(name, `an entry at byte ${offset + at} is empty`);
      if (end > window.length) {
        wanted = Math.max(WINDOW, 4 + length);
        break;
      }
      const entry = { bytes: window.subarray(at + 4, end), end: offset + end };
      const extra = payload(entry);
      if (entry.end + extra > source.size) throw damaged(name, `the data after the entry at byte ${offset + at} claims ${extra} bytes`);
      batch.push(entry);
      at = end + extra;
    }
    if (at === 0 && window.length < 4) throw damaged(name, "it ends in the middle of an entry");
    if (batch.length > 0) yield batch;
    offset += at;
  }
}

/** The entry of an image that has one, whatever follows it. Throws a UserError where there is none. */
export async function onlyEntry(image: Image): Promise<Buffer> {
  for await (const [entry] of entryBatches(image, ({ end }) => image.source.size - end)) {
    if (entry !== undefined) return entry.bytes;
  }
  throw damaged(image.name, "it is empty");
}
