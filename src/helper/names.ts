import { UserError } from "../model/error.ts";
import { say } from "../model/phrase.ts";

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
      message: say`invalid archive "${given}": use a file name in ${checkpointDir}, or its full path`,
      exitCode: 2,
    });
  }
  return name;
}
