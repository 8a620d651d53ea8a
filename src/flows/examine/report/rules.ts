import type { OpenArchive } from "../../../archive/archive.ts";
import type { VolumesBeside } from "../../../archive/volumes.ts";
import { hex } from "../../../criu/numbers.ts";
import type { Tell } from "../../../criu/problems.ts";
import type { RuleHit } from "../../../findings/facts.ts";
import type { Rules } from "../../../yara/rules.ts";
import { scanArchive, type RuleFinding } from "../rules/scan.ts";

/** What rules match, each in each place once. */
export async function ruleHits(
  archive: OpenArchive,
  options: { readonly rules: Rules; readonly signal: AbortSignal; readonly tell: Tell; readonly volumes: VolumesBeside | undefined },
): Promise<RuleHit[]> {
  const hits: RuleHit[] = [];
  const scopes = new Set(["memory", "files"] as const);
  for await (const found of scanArchive(archive, { ...options, scopes, pid: undefined, progress: () => {} })) {
    archive.budget.keep("matches of rules", 2);
    hits.push(hitOf(found));
  }
  return hits;
}

function hitOf({ rule, tags, meta, location, strings }: RuleFinding): RuleHit {
  const common = { rule, tags, meta };
  if (location.in === "memory") {
    const { process, region, address } = location;
    return {
      ...common,
      place: `process ${process.pid} (${process.comm}), ${region}`,
      pid: process.pid,
      address: hex(strings[0]?.address ?? address),
    };
  }
  const path = location.in === "files" ? (location.path ?? location.member) : location.queue;
  return { ...common, place: path, path };
}
