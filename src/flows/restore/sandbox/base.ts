import type { CheckpointInfo } from "../../../archive/engines/info.ts";
import { UserError } from "../../../model/error.ts";
import { list, object, string } from "../../../model/json.ts";
import { say } from "../../../model/phrase.ts";
import type { Origin } from "../image/facts.ts";

export interface Base {
  readonly reference: string;
  /** Whether it is the one that the container had, by its digest. */
  readonly certain: boolean;
}

const DIGEST = /@sha256:[0-9a-f]{64}$/;
const ID = /^(sha256:)?[0-9a-f]{64}$/;

/** The image that the container was made from: by its digest where that is known. `given` is --base-image. Throws a UserError where it has no name. */
export function baseImage({ image, imageID, container }: CheckpointInfo, { pod }: Origin, given: string | undefined): Base {
  const status = list(object(pod?.["status"])["containerStatuses"])
    .map(object)
    .find(({ name }) => name === container);
  const known = [string(status?.["imageID"]).replace(/^[a-z-]+:\/\//, ""), imageID, image].flatMap((one) =>
    one === undefined || one === "" ? [] : [one],
  );
  const digest = known.find((one) => DIGEST.test(one));
  if (given !== undefined) return { reference: given, certain: digest !== undefined && given.endsWith(DIGEST.exec(digest)?.[0] ?? " ") };
  if (digest !== undefined) return { reference: digest, certain: true };
  const name = known.find((one) => !ID.test(one));
  if (name !== undefined) return { reference: name, certain: false };
  throw new UserError({
    reason: "BaseImageUnknown",
    message: say`the archive does not name the image that its container was made from`,
    why: known[0] === undefined ? undefined : say`it has only the ID ${known[0]}`,
    fix: say`give it: --base-image=REFERENCE`,
    exitCode: 2,
  });
}
