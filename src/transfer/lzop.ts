import { decompressLzo1x } from "./lzo.ts";
import { Malformed } from "./malformed.ts";

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

/**
 * Decodes an lzop file as its bytes arrive, block by block, into `plain`. The checksums are passed over: the whole archive is
 * hashed anyway. `feed` and `end` throw Malformed on anything else than one complete lzop file.
 */
export class LzopDecoder {
  readonly #plain: (bytes: Buffer) => void;
  #pending: Buffer = Buffer.alloc(0);
  #flags: number | undefined;
  #ended = false;
  #plainBlock: Buffer = Buffer.alloc(0);

  /** What `plain` gets is only there until it returns. */
  constructor(plain: (bytes: Buffer) => void) {
    this.#plain = plain;
  }

  feed(bytes: Buffer): void {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    let used = 0;
    for (let step = this.#step(0); step > 0; step = this.#step(used)) used += step;
    this.#pending = Buffer.from(this.#pending.subarray(used));
  }

  end(): void {
    if (!this.#ended) throw new Malformed("lzop: the file ends too early");
  }

  /** Takes the header or one block at `at`, if it is there whole; answers how many bytes that was. */
  #step(at: number): number {
    const rest = this.#pending.subarray(at);
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
    if (stored) {
      this.#plain(packed);
    } else {
      if (this.#plainBlock.length < plainLength) this.#plainBlock = Buffer.allocUnsafeSlow(plainLength);
      const plain = this.#plainBlock.subarray(0, plainLength);
      decompressLzo1x(packed, plain);
      this.#plain(plain);
    }
    return begin + packedLength;
  }
}

function count(flags: number, ...bits: readonly number[]): number {
  return bits.filter((bit) => (flags & bit) !== 0).length;
}
