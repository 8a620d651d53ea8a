/**
 * Text with what a terminal obeys made visible: C0 and C1 controls, DEL, line and paragraph separators and bidirectional
 * overrides. Everything printable stays. What the printer shows, and so what users paste back.
 */
export function visible(text: string): string {
  return text.replaceAll(UNSAFE, (character) => SHORT[character] ?? unicodeEscape(character));
}

// oxlint-disable-next-line no-control-regex -- they are what is looked for
export const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\u001b": "\\e" };

export function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
