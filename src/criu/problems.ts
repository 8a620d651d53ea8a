import { UserError } from "../model/error.ts";
import { phraseOf, say, type Text } from "../model/phrase.ts";

/** An image file cannot be what CRIU wrote: `what` says why, after its name. */
export function damaged(image: string, what: Text, cause?: unknown): UserError {
  return new UserError({
    reason: "ImageDamaged",
    message: say`${image}: ${phraseOf(what)}`,
    why: "the archive is damaged, cut short, or not made by CRIU",
    cause,
  });
}

/** An image file asks for more than this program gives. */
export function excessive(image: string, what: Text): UserError {
  return new UserError({
    reason: "ImageTooLarge",
    message: say`${image}: ${phraseOf(what)}`,
    why: "no real checkpoint is known to need as much; the limit keeps a hostile archive from filling this machine's memory",
    fix: "ask for less at once: one process with --pid, one section",
  });
}

/** What is asked for is not in the archive, though its images are sound. */
export function notThere(message: Text, why: Text, fix?: Text): UserError {
  return new UserError({ reason: "NotInArchive", message, why, fix });
}

/** Takes a problem where the rest can be read. */
export type Tell = (problem: UserError) => void;

/** What `read` answers; undefined where it throws a UserError, which is told. */
export async function attempt<T>(tell: Tell, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    tell(error);
    return undefined;
  }
}
