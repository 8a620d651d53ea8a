import type { Finding, Severity } from "../model/findings.ts";
import type { Facts, FindingKind } from "./facts.ts";
import { FILES } from "./kinds/files.ts";
import { MEMORY } from "./kinds/memory.ts";
import { NAMES } from "./kinds/names.ts";
import { NETWORK } from "./kinds/network.ts";
import { OTHERS } from "./kinds/others.ts";
import { POWERS } from "./kinds/powers.ts";
import { PROGRAMS } from "./kinds/programs.ts";
import { TREE } from "./kinds/tree.ts";
import { WORDS } from "./kinds/words.ts";

/** Every kind of finding. Of one severity, they are shown in this order. */
export const KINDS: readonly FindingKind[] = [
  ...OTHERS,
  ...PROGRAMS,
  ...NETWORK,
  ...FILES,
  ...NAMES,
  ...WORDS,
  ...MEMORY,
  ...TREE,
  ...POWERS,
];

export const SEVERITIES: readonly Severity[] = ["high", "medium", "note"];

/** Of one kind, so many are kept: a hostile archive can have any number. */
const MOST_OF_A_KIND = 500;

/** All findings, the gravest first. */
export function findings(facts: Facts): Finding[] {
  const found: Finding[] = [];
  for (const { id, find } of KINDS) {
    let count = 0;
    for (const finding of find(facts)) {
      if ((count += 1) > MOST_OF_A_KIND) break;
      found.push({ id, ...finding });
    }
  }
  return SEVERITIES.flatMap((severity) => found.filter((finding) => finding.severity === severity));
}
