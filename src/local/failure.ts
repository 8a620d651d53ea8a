import { UserError } from "../model/error.ts";

/** A failure of this machine's file system at `path`, as users are told it. */
export function cannotWrite(path: string, error: unknown): UserError {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ELOOP")
    return new UserError({
      reason: "DestinationUnusable",
      message: `${path} is a link, which is not followed`,
      fix: `remove ${path}`,
      cause: error,
    });
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new UserError({
      reason: "LocalDiskFull",
      message: `there is no space left for ${path}`,
      fix: "make room, then run the command again: what has arrived is kept",
      cause: error,
    });
  }
  return new UserError({
    reason: "DestinationUnusable",
    message: `${path} cannot be written`,
    why: message,
    fix: "choose another destination",
    cause: error,
  });
}
