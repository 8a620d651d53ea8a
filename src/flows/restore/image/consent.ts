import { formatReference, type Reference } from "../../../image/reference.ts";
import type { FoundManifest } from "../../../image/registry/manifests.ts";
import type { Context } from "../../../model/context.ts";
import { Interrupted, UserError } from "../../../model/error.ts";
import { say, type Phrase } from "../../../model/phrase.ts";
import { isCheckpoint } from "./push.ts";

/**
 * Asks before a dump's first push to a reference, before another image is replaced, and before each push of an encrypted one, whose image is
 * not encrypted; `yes` answers it. Throws where it is refused.
 */
export async function consentToPush(
  { ask }: Context,
  yes: boolean,
  reference: Reference,
  what: Phrase,
  found: FoundManifest | undefined,
  isEncrypted = false,
): Promise<void> {
  if (yes || (isCheckpoint(found) && !isEncrypted)) return;
  const name = formatReference(reference);
  const replaced =
    found === undefined || isCheckpoint(found) ? say`` : say` The existing image, which is not a checkpoint, will be replaced.`;
  if (!ask.possible) {
    throw new UserError({
      reason: "ConsentNeeded",
      message: isEncrypted
        ? say`this would push an encrypted checkpoint to ${name} unencrypted`
        : say`this would push the first checkpoint to ${name}`,
      why: say`it is a memory dump with passwords and keys, and everyone who can pull it can read them${found === undefined || isCheckpoint(found) ? "" : "; an image that is not a checkpoint would be replaced"}`,
      fix: "rerun with --yes to confirm",
      exitCode: 2,
    });
  }
  const unencrypted = isEncrypted ? say` FILE is encrypted; the image will not be.` : say``;
  const agreed = await ask.confirm(
    say`${what} is a memory dump with passwords and keys: everyone who can pull ${name} can read them.${unencrypted}${replaced} Push it?`,
  );
  if (!agreed) throw new Interrupted("SIGINT");
}
