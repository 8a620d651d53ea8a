import { helpVerb, versionVerb } from "./about.ts";
import { checkpointVerb } from "./checkpoint.ts";
import { cpVerb } from "./cp.ts";
import { completionVerb } from "./completion.ts";
import { diffVerb } from "./diff.ts";
import { doctorVerb } from "./doctor.ts";
import { extractVerb } from "./extract.ts";
import { imageVerb } from "./image.ts";
import { inspectVerb } from "./inspect.ts";
import { moveVerb } from "./move.ts";
import { restoreVerb } from "./restore.ts";
import { lsVerb } from "./ls.ts";
import { pruneVerb } from "./prune.ts";
import { rmVerb } from "./rm.ts";
import { searchVerb } from "./search.ts";
import { showVerb } from "./show.ts";
import type { FlagSpec, Verb } from "./verb.ts";
import { verifyVerb } from "./verify.ts";

/** Every verb, in the order of help. The first one needs no word. */
export const VERBS: readonly [Verb, ...Verb[]] = [
  checkpointVerb,
  cpVerb,
  lsVerb,
  rmVerb,
  pruneVerb,
  doctorVerb,
  showVerb,
  inspectVerb,
  searchVerb,
  diffVerb,
  extractVerb,
  verifyVerb,
  imageVerb,
  restoreVerb,
  moveVerb,
  completionVerb,
  versionVerb,
  helpVerb,
];

export const DEFAULT_VERB: Verb = VERBS[0];

export function verbNamed(name: string): Verb | undefined {
  return VERBS.find((verb) => verb.name === name && verb !== DEFAULT_VERB);
}

export function flagsOf(verb: Verb): FlagSpec[] {
  return [...verb.flags, ...verb.sharedFlags.flatMap((group) => group.flags)];
}
