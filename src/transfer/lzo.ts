import { Malformed } from "./plain.ts";

/**
 * Decompresses one LZO1X block into `target`, which has exactly the block's plain length. The format is described in the
 * Linux kernel's Documentation/staging/lzo.rst. Throws Malformed on anything that is not such a block: a match before the
 * beginning, output that does not fit, input that ends too early.
 */
export function decompressLzo1x(source: Uint8Array, target: Uint8Array): void {
  let from = 0;
  let to = 0;
  /** Literals that the last instruction ended with: 0 to 3, or 4 for a longer run. */
  let state = 0;

  const byte = (): number => {
    const value = source[from];
    if (value === undefined) throw new Malformed("LZO: the block ends too early");
    from += 1;
    return value;
  };
  /** A length whose field was 0 goes on in bytes: each 0 adds 255, the first other one ends it. */
  const longer = (field: number, base: number): number => {
    if (field !== 0) return field;
    let length = base;
    let next = byte();
    for (; next === 0; next = byte()) length += 255;
    return length + next;
  };
  const literals = (count: number): void => {
    if (from + count > source.length || to + count > target.length) throw new Malformed("LZO: a literal run that does not fit");
    if (count < 16) for (let index = 0; index < count; index += 1) target[to + index] = source[from + index] as number;
    else target.set(source.subarray(from, from + count), to);
    from += count;
    to += count;
  };
  const match = (distance: number, length: number): void => {
    if (distance > to || to + length > target.length) throw new Malformed("LZO: a match that does not fit");
    if (distance >= length && length >= 32) target.copyWithin(to, to - distance, to - distance + length);
    else if (distance === 1) target.fill(target[to - 1] as number, to, to + length);
    else for (let index = to; index < to + length; index += 1) target[index] = target[index - distance] as number;
    to += length;
  };

  const first = source[0] ?? 0;
  if (first > 17) {
    from = 1;
    literals(first - 17);
    state = Math.min(first - 17, 4);
  }
  for (;;) {
    const code = byte();
    if (code < 16 && state === 0) {
      literals(3 + longer(code, 15));
      state = 4;
      continue;
    }
    let trailing = code & 3;
    if (code >= 128) match(((code >> 2) & 7) + (byte() << 3) + 1, (code >> 5) + 1);
    else if (code >= 64) match(((code >> 2) & 7) + (byte() << 3) + 1, 3 + ((code >> 5) & 1));
    else if (code >= 16) {
      const near = code >= 32;
      const length = 2 + (near ? longer(code & 31, 31) : longer(code & 7, 7));
      const low = byte();
      const word = low | (byte() << 8);
      const distance = near ? (word >> 2) + 1 : 16_384 + ((code & 8) << 11) + (word >> 2);
      if (distance === 16_384 && !near) break;
      match(distance, length);
      trailing = word & 3;
    } else if (state === 4) match((byte() << 2) + (code >> 2) + 2049, 3);
    else match((byte() << 2) + (code >> 2) + 1, 2);
    literals(trailing);
    state = trailing;
  }
  if (from !== source.length || to !== target.length) throw new Malformed("LZO: the block has another length");
}
