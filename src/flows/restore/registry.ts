import { pinned, type Reference } from "../../image/reference.ts";
import { findManifest, nameAgain, type FoundManifest } from "../../image/registry/manifests.ts";
import type { Context } from "../../model/context.ts";
import { say } from "../../model/phrase.ts";
import { pushImage, type Pushed, type PushRequest } from "./image/push.ts";
import { checkWritable, refusePublic, registryFor, removeImage, type RegistrySettings } from "./image/registries.ts";
import type { Step, Taken, Undo } from "./undo.ts";

/** Whether this user may push there. Answers with what is at the reference now. Throws a UserError. */
export async function ensureWritable(
  context: Context,
  reference: Reference,
  settings: RegistrySettings,
): Promise<FoundManifest | undefined> {
  refusePublic(reference, settings);
  await checkWritable(context, settings, reference);
  await using registry = await registryFor(context, settings, reference, "pull");
  return await findManifest(registry);
}

/**
 * Pushes the image. Taken back, the tag names again what it named before, and the image is deleted where the registry allows that, unless
 * the registry had this very image before.
 */
export async function pushForRestore(
  context: Context,
  request: Omit<PushRequest, "consent" | "naming">,
  found: FoundManifest | undefined,
  undo: Undo,
): Promise<Pushed & Taken> {
  let taken: Taken | undefined;
  const naming = (digest: string): void => {
    taken = undo.add(deletion(context, request, { digest, before: found?.digest }, undo));
  };
  const pushed = await pushImage(context, { ...request, consent: async () => {}, naming });
  return { ...pushed, keep: () => taken?.keep() };
}

function deletion(
  context: Context,
  { reference, settings }: Pick<PushRequest, "reference" | "settings">,
  { digest, before }: { readonly digest: string; readonly before: string | undefined },
  undo: Undo,
): Step {
  const name = pinned(reference, digest);
  const late = { ...context, signal: undo.last };
  return {
    what: say`delete the memory dump ${name} from its registry`,
    byHand: say`Everyone who can pull it can read the memory: delete it in the registry`,
    back: async () => {
      await using registry = await registryFor(late, settings, reference, "pull,push");
      if (before !== undefined && reference.digest === undefined) await nameAgain(registry, before);
      if (await removeImage(late, settings, reference, digest)) {
        context.emit({ kind: "warning", text: say`the memory dump ${name} was deleted from its registry` });
        return;
      }
      if ((await findManifest(registry, digest)) !== undefined) throw new Error("the registry does not allow deletion");
    },
  };
}
