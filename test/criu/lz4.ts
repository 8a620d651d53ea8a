/** Compresses bytes to one raw LZ4 block, greedily: by the description of the format alone. */
export function encodeLz4(bytes: Buffer): Buffer {
  const out: number[] = [];
  const seen = new Map<number, number>();
  let [at, start] = [0, 0];
  const more = (length: number): void => {
    if (length < 15) return;
    let rest = length - 15;
    for (; rest >= 255; rest -= 255) out.push(255);
    out.push(rest);
  };
  const sequence = (distance: number, length: number): void => {
    const literals = at - start;
    out.push((Math.min(literals, 15) << 4) | (distance === 0 ? 0 : Math.min(length - 4, 15)));
    more(literals);
    for (let index = start; index < at; index += 1) out.push(bytes[index] ?? 0);
    if (distance === 0) return;
    out.push(distance & 255, distance >> 8);
    more(length - 4);
  };
  // The last match begins 12 bytes before the end at least, and the last 5 bytes are literals.
  while (at < bytes.length - 12) {
    const key = bytes.readUInt32LE(at);
    const from = seen.get(key);
    seen.set(key, at);
    if (from === undefined || at - from > 65_535) {
      at += 1;
      continue;
    }
    let length = 4;
    while (at + length < bytes.length - 5 && bytes[from + length] === bytes[at + length]) length += 1;
    sequence(at - from, length);
    at += length;
    start = at;
  }
  at = bytes.length;
  sequence(0, 0);
  return Buffer.from(out);
}
