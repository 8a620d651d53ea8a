import { platform } from "node:os";

/** What a terminal obeys: never in a name that is printed and pasted. */
// oxlint-disable-next-line no-control-regex -- they are what has to go
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;

/** Of nameText (src/model/name.ts): what cannot be seen or is no UTF-8. */
const ESCAPE = /\\x[0-9a-f]{2}/;

/**
 * A name, as nameText writes it, from a node or an archive as a file of this machine may be called: "-" for what its file systems refuse, and for control
 * characters. Never a path.
 */
export function localName(name: string, system: NodeJS.Platform = platform()): string {
  const last = name.split("/").at(-1) ?? "";
  // Without another escape in it, a doubled backslash is one backslash again.
  const plain = (ESCAPE.test(last) ? last : last.replaceAll("\\\\", "\\")).replaceAll(CONTROL, "-");
  if (/^\.{0,2}$/.test(plain)) return plain.replaceAll(".", "-") || "-";
  if (system !== "win32") return plain;
  return plain
    .replaceAll(/[<>:"|?*\\]/g, "-")
    .replace(/^(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)/i, "$1-")
    .replace(/[. ]$/, "-");
}

/** An archive's: also without the colons of its time, which Windows refuses and GNU tar takes for a host's name. */
export function localArchiveName(name: string): string {
  return localName(name.replaceAll(":", "-"));
}

/** FILE.age, whatever DEST says. */
export function encryptedName(name: string): string {
  return name.endsWith(".age") ? name : `${name}.age`;
}
