import { formatReference, type Reference } from "../../../image/reference.ts";
import type { FoundManifest } from "../../../image/registry/manifests.ts";
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
  const replaced = found === undefined ? say`` : say` The existing image, which is not a checkpoint, will be replaced.`;
  if (!ask.possible) {
    throw new UserError({
      reason: "ConsentNeeded",
      message: say`this would push the first checkpoint to ${name}`,
      why: say`it is a memory dump with passwords and keys, and everyone who can pull it can read them${found === undefined ? "" : "; an image that is not a checkpoint would be replaced"}`,
      fix: "rerun with --yes to confirm",
      exitCode: 2,
    });
  }
  const agreed = await ask.confirm(
    say`${what} is a memory dump with passwords and keys: everyone who can pull ${name} can read them.${replaced} Push it?`,
  );
  if (!agreed) throw new Interrupted("SIGINT");
}
