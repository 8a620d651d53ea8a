import { getSystemErrorMap } from "node:util";
import { UserError } from "../model/error.ts";
import { command, say } from "../model/phrase.ts";

/** A failure of this machine's file system at `path`. A UserError stays what it is. */
export function cannotWrite(path: string, error: unknown): UserError {
  if (error instanceof UserError) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === "EEXIST") return alreadyExists(path, error);
  if (code === "ELOOP") {
    return new UserError({
      reason: "DestinationUnusable",
      message: say`cannot write ${path}: it is a symbolic link`,
      fix: command`rm ${path}`,
      cause: error,
    });
  }
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new UserError({
      reason: "LocalDiskFull",
      message: say`no space left for ${path}`,
      fix: "free some space, or choose another destination",
      cause: error,
    });
  }
  return new UserError({
    reason: "DestinationUnusable",
    message: say`cannot write ${path}`,
    why: systemMessage(error),
    fix: "choose another destination",
    cause: error,
  });
}

export function alreadyExists(path: string, cause?: unknown, fix = "remove it, or choose another destination"): UserError {
  return new UserError({ reason: "AlreadyExists", message: say`${path} already exists`, fix, cause });
}

/** What the system says of an error: "permission denied". Node's own message has a path in it, which may be one of an open file. */
export function systemMessage(error: unknown): string {
  const { errno, message } = error as NodeJS.ErrnoException;
  return (errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1]) ?? message;
}

/** Runs what may meet the file system's refusal at `path`. Throws a UserError in place of it. */
export async function writing<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw cannotWrite(path, error);
  }
}
