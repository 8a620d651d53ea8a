import { atLeast, parseRuntime, type Runtime } from "../model/runtime.ts";

export { parseRuntime, type Runtime };

/** Whether a node's runtime restores containers from images. */
export interface Verdict {
  /** "maybe": it depends on how the node is configured. */
  readonly restores: "yes" | "maybe" | "no";
  /** A sentence without a full stop, where it does not simply do so. */
  readonly why?: string;
}

interface Row {
  readonly name: string;
  readonly from: readonly [number, number, number];
  readonly verdict: Verdict;
}

const CONTAINERD_SWITCH =
  "this containerd restores only with enable_experimental_restore_via_create = true under [plugins.'io.containerd.cri.v1.runtime'] in its configuration";

/** From which version on which verdict holds, the latest first. Seen with containerd 1.7.24, 2.1.9, 2.2.9, 2.3.7, 2.4.2 and CRI-O 1.36.3; the others by their sources. */
const ROWS: readonly Row[] = [
  { name: "containerd", from: [2, 4, 0], verdict: { restores: "no", why: "containerd 2.4 has no restore from images any more" } },
  { name: "containerd", from: [2, 3, 4], verdict: { restores: "maybe", why: CONTAINERD_SWITCH } },
  { name: "containerd", from: [2, 3, 0], verdict: { restores: "yes" } },
  { name: "containerd", from: [2, 2, 7], verdict: { restores: "maybe", why: CONTAINERD_SWITCH } },
  { name: "containerd", from: [2, 1, 0], verdict: { restores: "yes" } },
  { name: "containerd", from: [0, 0, 0], verdict: { restores: "no", why: "containerd restores from images since 2.1" } },
  {
    name: "cri-o",
    from: [1, 37, 0],
    verdict: {
      restores: "maybe",
      why: 'this CRI-O restores unless its configuration has container_level_enabled = "checkpoint_only" or "none" under [crio.checkpoint_restore]',
    },
  },
  {
    name: "cri-o",
    from: [1, 25, 0],
    verdict: {
      restores: "maybe",
      why: 'this CRI-O restores unless its configuration switches that off: enable_criu_support under [crio.runtime] (off by default before 1.30), or, in its releases since September 2026, container_level_enabled under [crio.checkpoint_restore], by default "checkpoint_only"',
    },
  },
  { name: "cri-o", from: [0, 0, 0], verdict: { restores: "no", why: "CRI-O restores since 1.25" } },
];

export function restoreVerdict(runtime: Runtime | undefined): Verdict {
  if (runtime === undefined) return { restores: "maybe", why: "its runtime is unknown" };
  const row = ROWS.find(({ name, from }) => name === runtime.name && atLeast(runtime.version, from));
  return row?.verdict ?? { restores: "no", why: `${runtime.name} is not known to restore from images` };
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
