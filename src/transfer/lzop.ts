import { decompressLzo1x } from "./lzo.ts";
import { Malformed, type Plain } from "./plain.ts";

const MAGIC = Buffer.from([0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Bits of the header's flags. */
const ADLER32_PLAIN = 0x001;
const ADLER32_PACKED = 0x002;
const EXTRA_FIELD = 0x040;
const CRC32_PLAIN = 0x100;
const CRC32_PACKED = 0x200;
const FILTER = 0x800;
/** lzop itself goes no further. */
const MAX_BLOCK = 64 * 1024 * 1024;

/** Where decoded blocks go. */
export type Blocks = Pick<Plain, "write" | "place" | "filled">;

/**
 * Decodes an lzop file as its bytes arrive, block by block, straight to where the plain bytes belong. The checksums are passed over: the
 * whole archive is hashed anyway. `feed` and `end` throw Malformed on anything else than one complete lzop file.
 */
export class LzopDecoder {
  readonly #plain: Blocks;
  /** What has come and is not decoded yet: from #begin to #end. */
  #held: Buffer = Buffer.allocUnsafeSlow(64 * 1024);
  #begin = 0;
  #end = 0;
  #flags: number | undefined;
  #ended = false;
  #busy: Promise<void> | undefined;

  constructor(plain: Blocks) {
    this.#plain = plain;
  }

  /** Copies the bytes. Where it answers with a promise, all of them are decoded when it has settled. */
  feed(bytes: Buffer): Promise<void> | undefined {
    this.#hold(bytes);
    return this.#decode();
  }

  end(): void {
    if (!this.#ended) throw new Malformed("lzop: the file ends too early");
  }

  #hold(bytes: Buffer): void {
    if (this.#end + bytes.length > this.#held.length) {
      const there = this.#held.subarray(this.#begin, this.#end);
      const room = there.length + bytes.length;
      const into = room > this.#held.length ? Buffer.allocUnsafeSlow(2 * room) : this.#held;
      there.copy(into, 0);
      this.#held = into;
      this.#end = there.length;
      this.#begin = 0;
    }
    this.#end += bytes.copy(this.#held, this.#end);
  }

  /** As many blocks as are there whole; the rest of them when their place is no longer busy. */
  #decode(): Promise<void> | undefined {
    for (let used = this.#step(); used > 0; used = this.#step()) {
      this.#begin += used;
      const busy = this.#busy;
      this.#busy = undefined;
      if (busy !== undefined) return busy.then(() => this.#decode());
    }
    return undefined;
  }

  /** Takes the header or one block, if it is there whole; answers how many bytes that was. */
  #step(): number {
    const rest = this.#held.subarray(this.#begin, this.#end);
    if (this.#ended) {
      if (rest.length > 0) throw new Malformed("lzop: something follows the end");
      return 0;
    }
    return this.#flags === undefined ? this.#header(rest) : this.#block(rest, this.#flags);
  }

  #header(bytes: Buffer): number {
    // Magic, version, library's version, needed version, method, level; flags begin at 17.
    if (bytes.length < 21) return 0;
    if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw new Malformed("lzop: not an lzop file");
    const flags = bytes.readUInt32BE(17);
    if ((flags & (FILTER | EXTRA_FIELD)) !== 0) throw new Malformed("lzop: a header with a filter or an extra field");
    // Mode and time, then the name's length.
    const nameAt = 21 + 12;
    const nameLength = bytes[nameAt];
    const length = nameAt + 1 + (nameLength ?? 0) + 4;
    if (nameLength === undefined || bytes.length < length) return 0;
    this.#flags = flags;
    return length;
  }

  #block(bytes: Buffer, flags: number): number {
    if (bytes.length < 4) return 0;
    const plainLength = bytes.readUInt32BE(0);
    if (plainLength === 0) {
      this.#ended = true;
      return 4;
    }
    if (bytes.length < 8) return 0;
    const packedLength = bytes.readUInt32BE(4);
    if (plainLength > MAX_BLOCK || packedLength > plainLength) throw new Malformed("lzop: a block of an absurd length");
    const stored = packedLength === plainLength;
    const checksums = count(flags, ADLER32_PLAIN, CRC32_PLAIN) + (stored ? 0 : count(flags, ADLER32_PACKED, CRC32_PACKED));
    const begin = 8 + 4 * checksums;
    if (bytes.length < begin + packedLength) return 0;
    const packed = bytes.subarray(begin, begin + packedLength);
    this.#busy = stored ? this.#plain.write(packed) : this.#unpack(packed, plainLength);
    return begin + packedLength;
  }

  #unpack(packed: Buffer, plainLength: number): Promise<void> | undefined {
    const place = this.#plain.place(plainLength);
    if (place !== undefined) {
      decompressLzo1x(packed, place);
      return this.#plain.filled(plainLength);
    }
    // A block that is larger than all that is written at once, or than what was asked for.
    const block = Buffer.allocUnsafeSlow(plainLength);
    decompressLzo1x(packed, block);
    return this.#plain.write(block);
  }
}

function count(flags: number, ...bits: readonly number[]): number {
  return bits.filter((bit) => (flags & bit) !== 0).length;
}
