/** Matches are at least so long; their length is stored without it. */
const SHORTEST_MATCH = 4;
/** A length of so much goes on in the bytes that follow. */
const MORE = 15;

/**
 * Decodes one raw LZ4 block (https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md) into `into`, and answers how many bytes it has.
 * Undefined where the block is damaged, or longer than `into`: nothing is written outside of it.
 */
export function decodeLz4(block: Uint8Array, into: Uint8Array): number | undefined {
  const end = block.length;
  let [at, out] = [0, 0];
  while (at < end) {
    const token = block[at++] ?? 0;
    let literals = token >> 4;
    if (literals === MORE) {
      let more = 255;
      while (more === 255 && at < end) literals += more = block[at++] ?? 0;
    }
    if (literals > end - at || literals > into.length - out) return undefined;
    // Most are a few bytes: a call costs more than copying them.
    if (literals > 24) into.set(block.subarray(at, at + literals), out);
    else for (let index = 0; index < literals; index += 1) into[out + index] = block[at + index] ?? 0;
    at += literals;
    out += literals;
    // The last sequence has no match.
    if (at === end) return out;
    if (end - at < 2) return undefined;
    const distance = (block[at] ?? 0) | ((block[at + 1] ?? 0) << 8);
    at += 2;
    let length = token & 15;
    if (length === MORE) {
      let more = 255;
      while (more === 255 && at < end) length += more = block[at++] ?? 0;
    }
    length += SHORTEST_MATCH;
    if (distance === 0 || distance > out || length > into.length - out) return undefined;
    const from = out - distance;
    if (distance >= length && length > 24) into.copyWithin(out, from, from + length);
    // Where it overlaps itself, a match repeats what it has just written.
    else for (let index = 0; index < length; index += 1) into[out + index] = into[from + index] ?? 0;
    out += length;
  }
  return undefined;
}
