import type { Text } from "../model/phrase.ts";
import { atLeast, parseRuntime, type Runtime } from "../model/runtime.ts";

export { parseRuntime, type Runtime };

/** Whether a node's runtime restores containers from images. */
export interface Verdict {
  /** "maybe": it depends on how the node is configured. */
  readonly restores: "yes" | "maybe" | "no";
  /** Of "maybe": what holds where nothing is configured. */
  readonly byDefault?: boolean;
  /** A clause, where it does not simply do so. */
  readonly why?: string;
  /** What to configure on the node. */
  readonly fix?: Text;
}

type Version = readonly [number, number, number];

interface Row {
  readonly name: string;
  readonly from: Version;
  readonly verdict: Verdict;
}

/** Of containerd 2.2.7 and 2.3.4 and later. */
export const CONTAINERD_SWITCH: Verdict = {
  restores: "maybe",
  byDefault: false,
  why: "this containerd restores only with enable_experimental_restore_via_create = true under [plugins.'io.containerd.cri.v1.runtime']",
  fix: "in containerd's configuration on the node, under [plugins.'io.containerd.cri.v1.runtime'], set enable_experimental_restore_via_create = true, then restart containerd",
};

const CRIO_CRIU_SWITCH = "enable_criu_support = true under [crio.runtime]";
const CRIO_LEVEL_SWITCH = 'container_level_enabled = "checkpoint_restore" under [crio.checkpoint_restore]';

/** Of the releases that may have the newer switch: which of them has which default is not known of each. */
const CRIO_EITHER: Verdict = {
  restores: "maybe",
  byDefault: false,
  why: `CRI-O's releases since September 2026 restore only with ${CRIO_LEVEL_SWITCH}`,
  fix: `in CRI-O's configuration on the node, set ${CRIO_LEVEL_SWITCH} (before September 2026: ${CRIO_CRIU_SWITCH}), then restart CRI-O`,
};
export const CRIO_LEVEL: Verdict = {
  restores: "maybe",
  byDefault: true,
  why: 'this CRI-O restores unless container_level_enabled = "checkpoint_only" or "none" under [crio.checkpoint_restore]',
  fix: `in CRI-O's configuration on the node, set ${CRIO_LEVEL_SWITCH}, then restart CRI-O; it looks for CRIU when it starts`,
};
const CRIO_ON: Verdict = {
  restores: "maybe",
  byDefault: true,
  why: "this CRI-O restores unless enable_criu_support = false under [crio.runtime]",
  fix: `in CRI-O's configuration on the node, set ${CRIO_CRIU_SWITCH}, then restart CRI-O; it looks for CRIU when it starts`,
};
const CRIO_OFF: Verdict = {
  restores: "maybe",
  byDefault: false,
  why: `this CRI-O restores only with ${CRIO_CRIU_SWITCH}`,
  fix: `in CRI-O's configuration on the node, set ${CRIO_CRIU_SWITCH}, then restart CRI-O`,
};

/**
 * From which version on which verdict holds, the latest first. Seen with containerd 1.7.24, 2.1.9, 2.2.9, 2.3.7, 2.4.2 and CRI-O 1.34.11 and
 * 1.36.3; the others by their sources.
 */
const ROWS: readonly Row[] = [
  { name: "containerd", from: [2, 4, 0], verdict: { restores: "no", why: "containerd 2.4 does not restore from images any more" } },
  { name: "containerd", from: [2, 3, 4], verdict: CONTAINERD_SWITCH },
  { name: "containerd", from: [2, 3, 0], verdict: { restores: "yes" } },
  { name: "containerd", from: [2, 2, 7], verdict: CONTAINERD_SWITCH },
  { name: "containerd", from: [2, 1, 0], verdict: { restores: "yes" } },
  { name: "containerd", from: [0, 0, 0], verdict: { restores: "no", why: "containerd restores from images since 2.1" } },
  { name: "cri-o", from: [1, 37, 0], verdict: CRIO_LEVEL },
  { name: "cri-o", from: [1, 36, 4], verdict: CRIO_EITHER },
  { name: "cri-o", from: [1, 36, 0], verdict: CRIO_ON },
  { name: "cri-o", from: [1, 35, 5], verdict: CRIO_EITHER },
  { name: "cri-o", from: [1, 35, 0], verdict: CRIO_ON },
  { name: "cri-o", from: [1, 34, 12], verdict: CRIO_EITHER },
  { name: "cri-o", from: [1, 30, 0], verdict: CRIO_ON },
  { name: "cri-o", from: [1, 25, 0], verdict: CRIO_OFF },
  { name: "cri-o", from: [0, 0, 0], verdict: { restores: "no", why: "CRI-O restores since 1.25" } },
];

export function restoreVerdict(runtime: Runtime | undefined): Verdict {
  if (runtime === undefined) return { restores: "maybe", why: "its runtime is unknown" };
  const row = ROWS.find(({ name, from }) => name === runtime.name && atLeast(runtime.version, from));
  return row?.verdict ?? { restores: "no", why: `${runtime.name} is not known to restore from images` };
}

/** Where nothing is configured. */
export function restoresByDefault({ restores, byDefault }: Verdict): boolean {
  return restores === "yes" || byDefault === true;
}

/** Whether containerd pulls the checkpoint's base image although the node has it: it does before 2.2. */
export function alwaysPullsBase({ name, version }: Runtime): boolean {
  return name === "containerd" && !atLeast(version, [2, 2, 0]);
}

/** Where a checkpoint of that engine can be restored. */
export function restoringRuntimes(engine: string): string {
  return engine === "cri-o"
    ? "CRI-O 1.25 or later"
    : "containerd 2.1 to 2.3 (from 2.2.7 and 2.3.4 on with enable_experimental_restore_via_create = true)";
}
