import type { Tell } from "../../../criu/problems.ts";
import type { Changes } from "../../../model/difference.ts";
import { UserError } from "../../../model/error.ts";
import type { MountItem } from "../../../model/inspection.ts";
import { changesOf, NO_CHANGES } from "./changes.ts";

/** The mounts of one archive, and the name it was opened by. */
export interface MountsSide {
  readonly path: string;
  readonly mounts: readonly MountItem[];
}

/** How the mounts differ. Every container has some: where one archive tells none, that is told, and they are not compared. */
export function compareMounts(from: MountsSide, to: MountsSide, sameContainer: boolean, tell: Tell): Changes<MountItem> {
  const [without, ...both] = [from, to].filter(({ mounts }) => mounts.length === 0);
  if (without !== undefined && both.length === 0) {
    tell(new UserError({ reason: "NotInArchive", message: `mounts were not compared: ${without.path} does not tell any` }));
    return NO_CHANGES;
  }
  return changesOf(byPlace(from), byPlace(to), (a, b) => sameMount(a, b, sameContainer));
}

function byPlace({ mounts }: MountsSide): Map<string, MountItem> {
  return new Map(mounts.map((mount) => [`${mount.path} ${mount.type}`, mount]));
}

/** Ids of pods and containers, which differ between two replicas by nature. */
const IDS = /[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

function sameMount(a: MountItem, b: MountItem, sameContainer: boolean): boolean {
  const told = ({ type, source, root, options, external }: MountItem): string => {
    const text = JSON.stringify([type, source, root, options, external]);
    return sameContainer ? text : text.replaceAll(IDS, "ID");
  };
  return told(a) === told(b);
}
