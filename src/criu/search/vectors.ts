/** Bytes of each key. */
export const KEY = 4;

/**
 * Where one of some keys may stand in `bytes`, at the index `from` or later and before `to`: every place where one does, and few others.
 */
export type Candidates = (bytes: Buffer, from: number, to: number) => number[];

/**
 * Looks at 16 bytes at once, as Teddy of Hyperscan does: for each byte of a key, two tables say by the lower and the upper half of a byte
 * which of eight groups of keys may have it there. Undefined where the processor or the runtime has no vectors.
 */
export function vectorCandidates(keys: readonly Buffer[]): Candidates | undefined {
  if (WebAssembly?.validate(MODULE) !== true) return undefined;
  const { memory, scan } = new WebAssembly.Instance(new WebAssembly.Module(MODULE)).exports as Exports;
  const all = new Uint8Array(memory.buffer);
  const found = new Uint32Array(memory.buffer, FOUND, SLICE);
  for (const [index, key] of keys.toSorted((a, b) => Buffer.compare(a, b)).entries()) {
    // Keys that are alike are in the same group.
    const group = 1 << Math.floor((index * 8) / keys.length);
    for (const [at, byte] of key.entries()) {
      for (const place of [32 * at + (byte & 15), 32 * at + 16 + (byte >> 4)]) all[place] = (all[place] ?? 0) | group;
    }
  }
  return (bytes, from, to) => {
    const places: number[] = [];
    for (let at = from; at < to; at += SLICE) {
      const end = Math.min(to, at + SLICE);
      all.set(bytes.subarray(at, Math.min(bytes.length, end + KEY)), SLICE_AT);
      const count = (scan(SLICE_AT, SLICE_AT + end - at, FOUND) - FOUND) / 4;
      // After the last byte there are bytes of an earlier slice.
      for (const place of found.subarray(0, count)) if (at + place - SLICE_AT < end) places.push(at + place - SLICE_AT);
    }
    return places;
  };
}

/** As far as it is used: the types of Node.js do not have it. It is missing where V8 may not compile. */
interface WebAssemblyApi {
  readonly validate: (bytes: Uint8Array) => boolean;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyApi | undefined };

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  /** Writes the addresses of candidates from `found` on; answers where it would write the next one. */
  readonly scan: (from: number, to: number, found: number) => number;
}

/** Bytes that are looked at in one call. */
const SLICE = 64 << 10;
const PAGE = 64 << 10;
/** Addresses in the module's memory, which begins with the tables: of the candidates, and of the slice. */
const FOUND = 256;
const SLICE_AT = FOUND + 4 * SLICE;
const PAGES = Math.ceil((SLICE_AT + SLICE + PAGE) / PAGE);

/** Sizes are below 2^14, and so are numbers of at most two bytes in LEB128. */
function sized(content: readonly number[]): number[] {
  return [(content.length & 0x7f) | 0x80, content.length >> 7, ...content];
}

function moduleBytes(): Uint8Array<ArrayBuffer> {
  const [i32, v128] = [0x7f, 0x7b];
  const section = (id: number, content: readonly number[]): number[] => [id, ...sized(content)];
  const name = (text: string): number[] => [text.length, ...Buffer.from(text)];
  const locals = [2, 10, v128, 1, i32];
  return new Uint8Array([
    ...Buffer.from("\0asm\u0001\0\0\0", "latin1"),
    ...section(1, [1, 0x60, 3, i32, i32, i32, 1, i32]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, PAGES]),
    ...section(7, [2, ...name("memory"), 2, 0, ...name("scan"), 0, 0]),
    ...section(10, [1, ...sized([...locals, ...scanCode()])]),
  ]);
}

/** Instructions, those of a step together. */
type Code = readonly (number | Code)[];

/** The instructions of `scan`, as the WebAssembly specification encodes them. */
function scanCode(): number[] {
  const [from, to, found, tables, bytes, groups, mask] = [0, 1, 2, 3, 11, 12, 13];
  const get = (local: number): Code => [0x20, local];
  const set = (local: number): Code => [0x21, local];
  const tee = (local: number): Code => [0x22, local];
  const int = (value: number): Code => [0x41, value];
  const load = (offset: number): Code => [0xfd, 0x00, 0, offset];
  const eachByte = (value: number): Code => [0xfd, 0x0c, Array.from({ length: 16 }, () => value)];
  const vector = (operation: number): Code => [0xfd, operation];
  const [swizzle, and, anyTrue] = [vector(0x0e), vector(0x4e), vector(0x53)];
  const [notEqual, bitmask, shiftRight] = [vector(0x24), vector(0x64), vector(0x6d)];
  const [add, subtract, bitAnd, countZeros, less, end] = [0x6a, 0x6b, 0x71, 0x68, 0x49, 0x0b];
  const store: Code = [0x36, 2, 0];
  const loop: Code = [0x03, 0x40];
  const begin: Code = [0x04, 0x40];
  const again: Code = [0x0d, 0];
  const byteOfKey = (at: number): Code => [
    [get(from), load(at), set(bytes)],
    [get(tables + 2 * at), get(bytes), eachByte(15), and, swizzle],
    [get(tables + 2 * at + 1), get(bytes), int(4), shiftRight, swizzle],
    [and, at === 0 ? [] : and],
  ];
  const indexes = (length: number): number[] => Array.from({ length }, (_, index) => index);
  const code: Code = [
    indexes(2 * KEY).map((table) => [int(0), load(16 * table), set(tables + table)]),
    loop,
    indexes(KEY).map(byteOfKey),
    [tee(groups), anyTrue, begin],
    [get(groups), eachByte(0), notEqual, bitmask, set(mask)],
    loop,
    [get(found), get(from), get(mask), countZeros, add, store],
    [get(found), int(4), add, set(found)],
    [get(mask), int(1), subtract, get(mask), bitAnd, tee(mask), again],
    [end, end],
    [get(from), int(16), add, tee(from), get(to), less, again],
    [end, get(found), end],
  ];
  return code.flat(5) as number[];
}

const MODULE = moduleBytes();
