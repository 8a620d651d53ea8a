import { isUtf8 } from "node:buffer";

/** Characters that are not seen, that a terminal obeys, or that end a line; the backslash, because it begins escapes. */
const ESCAPED = /[\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
/** Names are nearly always of these alone. */
const PLAIN = /^[\x20-\x5b\x5d-\x7e]*$/;

/**
 * A name of any bytes (of a file, of a member of an archive) as text. What is UTF-8 and can be seen stays as it is. A backslash becomes
 * two, every other byte `\xNN`. Different bytes give different texts, and text and JSON show the same one.
 */
export function nameText(raw: Uint8Array): string {
  const bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  if (isUtf8(bytes)) return escaped(bytes.toString("utf8"));
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const length = characterAt(bytes, at);
    text += length === 0 ? hex(bytes.subarray(at, at + 1)) : escaped(bytes.toString("utf8", at, at + length));
    at += length || 1;
  }
  return text;
}

/** The bytes of a name that nameText wrote. A backslash that begins no escape stands for itself, as somebody may type it. */
export function nameBytes(text: string): Buffer {
  if (!text.includes("\\")) return Buffer.from(text);
  const parts = text.split(/(\\\\|\\x[0-9a-f]{2})/i);
  return Buffer.concat(parts.map((part, index) => (index % 2 === 0 ? Buffer.from(part) : unescaped(part))));
}

/** The one text that nameText gives to a name which a user typed or pasted. */
export function canonicalName(text: string): string {
  return PLAIN.test(text) ? text : nameText(nameBytes(text));
}

/** Names that a user can mean: one with escapes as this plugin prints it; else one where a backslash is a backslash, as ls prints it. */
export function namesMeant(text: string): readonly string[] {
  const [asPrinted, asItIs] = [canonicalName(text), nameText(Buffer.from(text))];
  return asPrinted === asItIs ? [asPrinted] : [asPrinted, asItIs];
}

function escaped(text: string): string {
  if (PLAIN.test(text)) return text;
  return text.replaceAll(ESCAPED, (character) => (character === "\\" ? "\\\\" : hex(Buffer.from(character))));
}

function unescaped(escape: string): Buffer {
  return escape === "\\\\" ? Buffer.from("\\") : Buffer.from(escape.slice(2), "hex");
}

function hex(bytes: Buffer): string {
  return bytes.toString("hex").replaceAll(/../g, "\\x$&");
}

/** How many bytes the UTF-8 character there has; 0 where there is none. */
function characterAt(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return at + length <= bytes.length && isUtf8(bytes.subarray(at, at + length)) ? length : 0;
}
