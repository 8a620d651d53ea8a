import { platform } from "node:os";

/** What no shell of ours looks at. */
const PLAIN = /^[\w@%+=:,./-]+$/;
/** What a terminal obeys or a line ends at: written as an escape, so that a command stays one line and does what it shows. */
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffd]/;

/**
 * One word as a POSIX shell (bash, zsh) reads it back, or PowerShell on Windows. A word with control characters is written as
 * $'...', PowerShell's as "...".
 */
export function shellWord(word: string, system: NodeJS.Platform = platform()): string {
  if (PLAIN.test(word)) return word;
  if (system === "win32") return UNSEEN.test(word) ? `"${powerShellEscapes(word)}"` : `'${word.replaceAll("'", "''")}'`;
  return UNSEEN.test(word) ? `$'${bashEscapes(word)}'` : `'${word.replaceAll("'", "'\\''")}'`;
}

function bashEscapes(word: string): string {
  return escaped(
    word,
    /[\\']/,
    (character) => `\\${character}`,
    (code) => `\\u${code.toString(16).padStart(4, "0")}`,
  );
}

function powerShellEscapes(word: string): string {
  return escaped(
    word,
    /[`"$]/,
    (character) => `\`${character}`,
    (code) => `\`u{${code.toString(16)}}`,
  );
}

function escaped(word: string, special: RegExp, quote: (character: string) => string, escape: (code: number) => string): string {
  return Array.from(word)
    .map((character) =>
      special.test(character) ? quote(character) : UNSEEN.test(character) ? escape(character.codePointAt(0) ?? 0) : character,
    )
    .join("");
}
