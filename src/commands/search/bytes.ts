/**
 * Bytes as text that says which they are: ASCII as it stands, whole UTF-8 characters too, everything else as \xNN, and a
 * backslash as two.
 */
export function escapeBytes(bytes: Buffer): string {
  // Joined at the end: a string that grows by a byte at a time keeps a node for each of them.
  const parts: string[] = [];
  for (let at = 0; at < bytes.length;) {
    let end = at;
    while (end < bytes.length && ESCAPED[bytes[end] ?? 0] === undefined) end += 1;
    if (end > at) parts.push(bytes.toString("latin1", at, end));
    at = end;
    if (at === bytes.length) break;
    const length = characterLength(bytes, at);
    parts.push(length > 0 ? bytes.toString("utf8", at, at + length) : (ESCAPED[bytes[at] ?? 0] ?? ""));
    at += Math.max(1, length);
  }
  return parts.join("");
}

const SHORT: Readonly<Record<number, string>> = { 0x9: "\\t", 0xa: "\\n", 0xd: "\\r", 0x5c: "\\\\" };

/** What stands for each byte by itself; undefined for those that stand as they are. */
const ESCAPED: readonly (string | undefined)[] = Array.from({ length: 256 }, (_, byte) => {
  if (SHORT[byte] !== undefined) return SHORT[byte];
  return byte >= 0x20 && byte < 0x7f ? undefined : `\\x${byte.toString(16).padStart(2, "0")}`;
});

/** Of a UTF-8 character that is printable, in bytes; 0 where there is none. */
function characterLength(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  const character = bytes.toString("utf8", at, at + length);
  return character.length === (length === 4 ? 2 : 1) && !/[\p{C}\p{Z}\ufffd]/u.test(character) ? length : 0;
}
