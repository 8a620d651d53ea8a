import { open } from "node:fs/promises";
import { appendCustody, type Deed } from "../../evidence/custody-file.ts";
import { sha256Of } from "../../local/write.ts";
import type { Context } from "../../model/context.ts";
import { UserError } from "../../model/error.ts";
import { say } from "../../model/phrase.ts";

/** A line of custody for each of these that is a file here, with the hash of its bytes. What cannot be written is a warning. */
export async function appendReads(context: Context, custody: string, action: string, files: readonly string[]): Promise<void> {
  const deeds: Deed[] = [];
  for (const path of files) {
    const sha256 = await hashOf(path, context.signal);
    if (sha256 !== undefined) deeds.push({ action, path, sha256 });
  }
  if (deeds.length === 0) return;
  try {
    await appendCustody(custody, deeds, context);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    context.emit({ kind: "warning", text: say`this is not in the custody file: ${error.whole}` });
  }
}

/** Undefined for what is no file of this machine, or cannot be read: the verb says so itself. */
async function hashOf(path: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    await using file = await open(path, "r");
    return (await file.stat()).isFile() ? await sha256Of(file, signal) : undefined;
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}
