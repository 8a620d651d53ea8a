import { isUtf8 } from "node:buffer";
import { UserError } from "../model/error.ts";

/** A file name of a node as text: its bytes are UTF-8, or written as \xNN where they are not. */
export function nameText(raw: Buffer): string {
  if (isUtf8(raw)) return raw.toString("utf8");
  let text = "";
  for (let at = 0; at < raw.length;) {
    const length = [4, 3, 2, 1].find((count) => at + count <= raw.length && isOneCharacter(raw.subarray(at, at + count)));
    text += length === undefined ? `\\x${raw.toString("hex", at, at + 1)}` : raw.toString("utf8", at, at + length);
    at += length ?? 1;
  }
  return text;
}

function isOneCharacter(bytes: Buffer): boolean {
  return isUtf8(bytes) && /^.$/su.test(bytes.toString("utf8"));
}

/** A name that was printed, where control characters and their like are escaped, as the name itself. */
export function unprinted(text: string): string {
  const short: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", e: "\u001b" };
  return text.replaceAll(/\\(?:([nrte])|u([0-9a-f]{4}))/g, (_, letter: string | undefined, code: string) =>
    letter === undefined ? String.fromCharCode(Number.parseInt(code, 16)) : (short[letter] ?? ""),
  );
}

/** As the path of a URL. */
export function nameInUrl(raw: Buffer): string {
  return raw.toString("latin1").replaceAll(/[^\w.~-]/gs, (byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** The file name of an archive: given as such, or as its full path in the checkpoint directory. Throws ArchiveNameInvalid. */
export function archiveName(given: string, checkpointDir: string): string {
  const directory = checkpointDir.endsWith("/") ? checkpointDir : `${checkpointDir}/`;
  const name = given.startsWith(directory) ? given.slice(directory.length) : given;
  if (name === "" || name === "." || name === ".." || name.includes("/") || name.includes("\0")) {
    throw new UserError({
      reason: "ArchiveNameInvalid",
      message: `"${given}" is not an archive in ${checkpointDir}`,
      fix: "give its file name, or its full path there",
      exitCode: 2,
    });
  }
  return name;
}
