import { unicodeEscape, UNSAFE, visible } from "../model/visible.ts";

/** The one place where untrusted text is made safe for a terminal. */
export function escapeText(text: string): string {
  return visible(text);
}

/** The same for text of several lines, which stay lines. */
export function escapeLines(text: string): string {
  return text.split("\n").map(escapeText).join("\n");
}

/** JSON text whose strings hold no character that a terminal obeys; it parses to the same value. */
export function escapeJson(text: string): string {
  return text.replaceAll(UNSAFE, (character) => (character === "\n" ? character : unicodeEscape(character)));
}
