/** Everything in a tar archive starts at a multiple of this many bytes. */
export const BLOCK = 512;

/** One header block, before extended headers apply. Layout: POSIX.1-1988 (ustar) and GNU tar's own. */
export interface Header {
  /** Without the prefix field's part: see `prefix`. Bytes, for names are not always UTF-8. */
  readonly name: Buffer;
  readonly prefix: Buffer;
  readonly target: Buffer;
  /** One character; NUL in the oldest archives, where later ones write "0". */
  readonly type: string;
  /** In bytes; undefined where the field is no number. */
  readonly size: number | undefined;
  readonly mode: number;
  readonly modifiedAt: number;
  /** GNU's old sparse format only: more of its map follows in a block of its own. */
  readonly extended: boolean;
}

export function isZero(block: Buffer): boolean {
  return block.equals(ZERO);
}

const ZERO = Buffer.alloc(BLOCK);

/** Undefined where the checksum is wrong: this is no header. */
export function parseHeader(block: Buffer): Header | undefined {
  if (!checksumHolds(block)) return undefined;
  const magic = block.toString("latin1", 257, 263);
  // GNU's magic is "ustar " and its prefix field holds other things.
  const posix = magic === "ustar\0";
  return {
    name: text(block, 0, 100),
    prefix: posix ? text(block, 345, 500) : EMPTY,
    target: text(block, 157, 257),
    type: block.toString("latin1", 156, 157),
    size: number(block.subarray(124, 136)),
    mode: number(block.subarray(100, 108)) ?? 0,
    modifiedAt: number(block.subarray(136, 148)) ?? 0,
    extended: block[156] === CODE_OF_S && block[482] !== 0,
  };
}

const EMPTY = Buffer.alloc(0);
const CODE_OF_S = 0x53;

/** The sum of all bytes, its own field counted as spaces. Some old archivers summed signed bytes. */
function checksumHolds(block: Buffer): boolean {
  const field = block.subarray(148, 156);
  const wanted = number(field);
  if (wanted === undefined) return false;
  const rest = sum(block) - sum(field) + 8 * 0x20;
  return wanted === rest || wanted === rest - 256 * (block.filter((byte) => byte > 127).length - field.filter((byte) => byte > 127).length);
}

function sum(bytes: Buffer): number {
  let total = 0;
  for (let at = 0; at < bytes.length; at += 1) total += bytes[at] ?? 0;
  return total;
}

function text(block: Buffer, start: number, end: number): Buffer {
  const nul = block.indexOf(0, start);
  return block.subarray(start, nul < 0 || nul > end ? end : nul);
}

/** Octal digits, or GNU's base-256 where the first bit is set. Undefined for anything else, negative numbers and what no double can hold. */
function number(field: Buffer): number | undefined {
  const first = field[0] ?? 0;
  if (first === 0x80) {
    const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0);
    return Number.isSafeInteger(value) ? value : undefined;
  }
  const digits = /^[ \0]*([0-7]*)[ \0]*$/.exec(field.toString("latin1"))?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits || "0", 8);
}
