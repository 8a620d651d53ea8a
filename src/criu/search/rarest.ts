import type { Part } from "./windows.ts";

/** So many bytes tell well enough what is rare. */
const SAMPLE = 16 << 10;

/** The index of the needle's byte that is rarest in these parts; undefined where each comes more often than once in `rare` bytes. */
export function rarestOf(needle: Buffer, parts: readonly Part[], rare: number): number | undefined {
  const counts = new Uint32Array(256);
  let seen = 0;
  for (const { bytes } of parts) {
    const end = Math.min(bytes.length, SAMPLE - seen);
    for (let at = 0; at < end; at += 1) {
      const byte = bytes[at] ?? 0;
      counts[byte] = (counts[byte] ?? 0) + 1;
    }
    seen += end;
  }
  let rarest = 0;
  const count = (index: number): number => counts[needle[index] ?? 0] ?? 0;
  for (let index = 1; index < needle.length; index += 1) if (count(index) < count(rarest)) rarest = index;
  return count(rarest) * rare > seen ? undefined : rarest;
}
