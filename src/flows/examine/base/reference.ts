import { engineOf } from "../../../archive/engines/engine.ts";
import type { Archive } from "../../../archive/archive.ts";
import { UserError } from "../../../model/error.ts";
import { say, type Phrase } from "../../../model/phrase.ts";

export interface BaseReference {
  readonly reference: string;
  /** Why it may be another image than the container's. */
  readonly warning: Phrase | undefined;
}

const DIGEST = /@sha256:[0-9a-f]{64}$/;
const ID = /^(sha256:)?[0-9a-f]{64}$/;

/** The image that the container was made from, by its digest where that is known. `given` is --base-image, "" without a value. Throws a UserError where it has no name. */
export async function baseReference(archive: Archive, given: string): Promise<BaseReference> {
  if (given !== "") return { reference: given, warning: undefined };
  const { image, imageID } = await engineOf(archive);
  const known = [imageID, image].flatMap((one) => one || []);
  const digest = known.find((one) => DIGEST.test(one));
  if (digest !== undefined) return { reference: digest, warning: undefined };
  const name = known.find((one) => !ID.test(one));
  if (name !== undefined)
    return { reference: name, warning: say`the archive does not have the digest of its base image: ${name} may be another image by now` };
  throw new UserError({
    reason: "BaseImageUnknown",
    message: say`the archive does not name the image that its container was made from`,
    why: known[0] === undefined ? undefined : say`it has only the ID ${known[0]}`,
    fix: say`give it: --base-image=REFERENCE, --base-image=oci:DIR`,
    exitCode: 2,
  });
}

/** As OCI calls them. */
export function platformOf(architecture: string | undefined): string | undefined {
  return architecture === "x86-64" ? "amd64" : architecture === "aarch64" ? "arm64" : undefined;
}
