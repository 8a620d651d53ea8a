/** Everything in a tar archive starts at a multiple of this many bytes. */
export const BLOCK = 512;

/** By the magic word. POSIX's (ustar) is what engines write; PAX headers are members of it. */
export type Format = "ustar" | "gnu" | "star" | "v7";

/** One header block, before extended headers apply. Layout: POSIX.1-1988 (ustar), GNU tar's and star's own. */
export interface Header {
  readonly format: Format;
  /** With the prefix field's part. Bytes, for names are not always UTF-8. */
  readonly name: Buffer;
  readonly target: Buffer;
  /** One character; NUL in the oldest archives, where later ones write "0". */
  readonly type: string;
  /** In bytes. */
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifiedAt: number;
  /** The block itself, for what few headers have. */
  readonly block: Buffer;
  /** What in it not all readers take alike; undefined for a header as engines write them. */
  readonly oddity: string | undefined;
}

export function isZero(block: Buffer): boolean {
  return block[0] === 0 && block.equals(ZERO);
}

const ZERO = Buffer.alloc(BLOCK);

/** Undefined where the checksum is wrong or a number cannot be read: this is no header. The header refers to `block`. */
export function parseHeader(block: Buffer): Header | undefined {
  const checksum = checksumOf(block);
  if (checksum === undefined) return undefined;
  const format = formatOf(block);
  const numbers = format === "v7" ? OLD_NUMBERS : NUMBERS;
  if (numbers.some(([from, to]) => numberAt(block, from, to) === undefined)) return undefined;
  const type = String.fromCharCode(block[156] ?? 0);
  const size = numberAt(block, 124, 136) ?? -1;
  if (size < 0) return undefined;
  return {
    format,
    name: withPrefix(block, format),
    target: textAt(block, 157, 257),
    type,
    size,
    mode: numberAt(block, 100, 108) ?? 0,
    uid: numberAt(block, 108, 116) ?? 0,
    gid: numberAt(block, 116, 124) ?? 0,
    modifiedAt: numberAt(block, 136, 148) ?? 0,
    block,
    oddity: checksum === "signed" ? "a checksum of signed bytes" : oddityOf(block, format, type, size),
  };
}

/** Mode, user, group, size, time, and the numbers of devices. */
const OLD_NUMBERS: readonly (readonly [from: number, to: number])[] = [
  [100, 108],
  [108, 116],
  [116, 124],
  [124, 136],
  [136, 148],
];
const NUMBERS = [...OLD_NUMBERS, [329, 337], [337, 345]] as const;

/** Members that are no files but tell of the next one: PAX's local and global headers, GNU's long name and long link. */
export const METADATA: ReadonlySet<string> = new Set("xgLK");
/** Links, devices, directories, FIFOs: no data follows, whatever their size says. */
export const DATALESS: ReadonlySet<string> = new Set("123456");
/** All that engines write, metadata apart. */
const WRITTEN: ReadonlySet<string> = new Set("0123456");

function oddityOf(block: Buffer, format: Format, type: string, size: number): string | undefined {
  if (format === "v7" || format === "star") return `a header in the format of ${format === "star" ? "star" : "V7"}`;
  if (format === "ustar" && (block[263] !== ZERO_DIGIT || block[264] !== ZERO_DIGIT)) return "a header of an unknown version";
  if (format === "gnu" && (block[345] !== 0 || block[357] !== 0)) return "a header with the times of GNU tar";
  if (type === "\0") return "the type of the oldest archives";
  // A sparse file is an oddity of its own: some archives are made to have them.
  if (!WRITTEN.has(type) && !METADATA.has(type) && type !== "S") return `the type ${JSON.stringify(type)}`;
  if (DATALESS.has(type) && size !== 0) return "a size where none has a meaning";
  const binary = NUMBERS.find(([from]) => ((block[from] ?? 0) & 0x80) !== 0);
  if (binary === undefined) return undefined;
  const [from, to] = binary;
  const octalHolds = (numberAt(block, from, to) ?? 0) < 8 ** (to - from - 1);
  return format === "ustar" || octalHolds ? "a number in base-256" : undefined;
}

const ZERO_DIGIT = 0x30;

function formatOf(block: Buffer): Format {
  const magic = block.toString("latin1", 257, 263);
  if (magic === "ustar\0") return block.toString("latin1", 508, 512) === "tar\0" ? "star" : "ustar";
  return magic === "ustar " && block[263] === 0x20 && block[264] === 0 ? "gnu" : "v7";
}

function withPrefix(block: Buffer, format: Format): Buffer {
  const name = textAt(block, 0, 100);
  if (format === "gnu" || format === "v7" || block[345] === 0) return name;
  return Buffer.concat([textAt(block, 345, format === "star" ? 476 : 500), SLASH, name]);
}

const SLASH = Buffer.from("/");

/** How the checksum holds: the sum of all bytes, its own field counted as spaces; some old archivers summed signed ones. */
function checksumOf(block: Buffer): "unsigned" | "signed" | undefined {
  const wanted = numberAt(block, 148, 156);
  if (wanted === undefined || wanted < 0) return undefined;
  const field = block.subarray(148, 156);
  const sum = sumOf(block) - field.reduce((all, byte) => all + byte, 0) + field.length * 0x20;
  if (wanted === sum) return "unsigned";
  const negative = block.reduce((count, byte, at) => count + (at >= 148 && at < 156 ? 0 : byte >> 7), 0);
  return wanted === sum - 256 * negative ? "signed" : undefined;
}

/** Of all bytes of a block: four at a time, each second one in the same half of a word, which is large enough for them. */
function sumOf(block: Buffer): number {
  const aligned = block.byteOffset % 4 === 0 ? block : new Uint8Array(block);
  const words = new Uint32Array(aligned.buffer, aligned.byteOffset, BLOCK / 4);
  let even = 0;
  let odd = 0;
  for (const word of words) {
    even += word & 0xff00ff;
    odd += (word >>> 8) & 0xff00ff;
  }
  return (even >>> 16) + (even & 0xffff) + (odd >>> 16) + (odd & 0xffff);
}

function textAt(block: Buffer, from: number, to: number): Buffer {
  let end = from;
  while (end < to && block[end] !== 0) end += 1;
  return block.subarray(from, end);
}

/**
 * Octal digits between spaces and NULs, or base-256 where the first bit is set. Undefined for anything else, negative numbers, and what no
 * double can hold.
 */
export function numberAt(block: Buffer, from: number, to: number): number | undefined {
  const first = block[from] ?? 0;
  if ((first & 0x80) !== 0) return binaryAt(block, from, to);
  let at = from;
  let value = 0;
  while (at < to && isPadding(block[at])) at += 1;
  for (; at < to && !isPadding(block[at]); at += 1) {
    const digit = (block[at] ?? 0) - ZERO_DIGIT;
    if (digit < 0 || digit > 7) return undefined;
    value = value * 8 + digit;
  }
  for (; at < to; at += 1) if (!isPadding(block[at])) return undefined;
  return value;
}

function isPadding(byte: number | undefined): boolean {
  return byte === 0 || byte === 0x20;
}

function binaryAt(block: Buffer, from: number, to: number): number | undefined {
  if (block[from] !== 0x80) return undefined;
  let value = 0;
  for (let at = from + 1; at < to; at += 1) value = value * 256 + (block[at] ?? 0);
  return Number.isSafeInteger(value) ? value : undefined;
}
