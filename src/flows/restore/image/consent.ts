import { formatReference, type Reference } from "../../../image/reference.ts";
import type { FoundManifest } from "../../../image/registry/repository.ts";
import type { Context } from "../../../model/context.ts";
import { Interrupted, UserError } from "../../../model/error.ts";
import { say, type Phrase } from "../../../model/phrase.ts";
import { isCheckpoint } from "./push.ts";

/** Asks before a dump's first push to a reference, or before another image is replaced; `yes` answers it. Throws where it is refused. */
export async function consentToPush(
  { ask }: Context,
  yes: boolean,
  reference: Reference,
  what: Phrase,
  found: FoundManifest | undefined,
): Promise<void> {
  if (yes || isCheckpoint(found)) return;
  const name = formatReference(reference);
  const replaced = found === undefined ? say`` : say` The image that is there, which is no checkpoint, is replaced.`;
  if (!ask.possible) {
    throw new UserError({
      reason: "ConsentNeeded",
      message: `${name} has no checkpoint yet: its first push wants a yes`,
      why: `it is a memory dump, with passwords and keys: everybody who may pull it can read it${found === undefined ? "" : "; and an image that is no checkpoint would be replaced"}`,
      fix: "give --yes",
      exitCode: 2,
    });
  }
  const agreed = await ask.confirm(
    say`${what} is a memory dump, with passwords and keys: everybody who may pull ${name} can read it.${replaced} Push it?`,
  );
  if (!agreed) throw new Interrupted("SIGINT");
}
