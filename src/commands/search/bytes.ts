/**
 * Bytes as text that says which they are: ASCII as it stands, whole UTF-8 characters too, everything else as \xNN, and a
 * backslash as two.
 */
export function escapeBytes(bytes: Buffer): string {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const byte = bytes[at] ?? 0;
    const length = byte < 0x80 ? 1 : characterLength(bytes, at);
    if (length > 1) text += bytes.toString("utf8", at, at + length);
    else if (length === 1 && byte >= 0x20 && byte < 0x7f) text += byte === 0x5c ? "\\\\" : String.fromCharCode(byte);
    else text += SHORT[byte] ?? `\\x${byte.toString(16).padStart(2, "0")}`;
    at += Math.max(1, length);
  }
  return text;
}

const SHORT: Readonly<Record<number, string>> = { 0x9: "\\t", 0xa: "\\n", 0xd: "\\r" };

/** Of a UTF-8 character that is printable, in bytes; 0 where there is none. */
function characterLength(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  const character = bytes.toString("utf8", at, at + length);
  return character.length === (length === 4 ? 2 : 1) && !/[\p{C}\p{Z}\ufffd]/u.test(character) ? length : 0;
}
