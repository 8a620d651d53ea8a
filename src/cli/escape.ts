/**
 * The one place where untrusted text is made safe for a terminal: C0 and C1 controls, DEL, line and paragraph
 * separators and bidirectional overrides become visible escapes. Everything printable stays.
 */
export function escapeText(text: string): string {
  return text.replaceAll(UNSAFE, visible);
}

/** The same for text of several lines, which stay lines. */
export function escapeLines(text: string): string {
  return text.split("\n").map(escapeText).join("\n");
}

/** JSON text whose strings hold no character that a terminal obeys; it parses to the same value. Double-quoted YAML too. */
export function escapeJson(text: string): string {
  return text.replaceAll(UNSAFE_IN_LINES, unicode);
}

/** Whether text, of several lines or not, holds nothing that escapeJson escapes. */
export function isSafe(text: string): boolean {
  return text.search(UNSAFE_IN_LINES) === -1;
}

// oxlint-disable-next-line no-control-regex -- they are what is looked for
const UNSAFE_IN_LINES = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const UNSAFE = new RegExp(`\n|${UNSAFE_IN_LINES.source}`, "g");

function visible(character: string): string {
  const short = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\u001b": "\\e" }[character];
  return short ?? unicode(character);
}

function unicode(character: string): string {
  const code = character.charCodeAt(0);
  return `\\u${code.toString(16).padStart(4, "0")}`;
}
