import type { Archive } from "../archive/archive.ts";
import { oneEntry } from "./entries.ts";
import { CgroupEntrySchema } from "./gen/cgroup_pb.ts";

/** A control group of a process. */
export interface ControlGroup {
  /** "cpu,cpuacct", "name=systemd"; empty for version 2. */
  readonly controllers: string;
  /** As the node has it. */
  readonly path: string;
}

/** The control groups of each set, by its number, of cgroup.img. Throws a UserError where it is damaged. */
export async function controlGroups(archive: Archive): Promise<ReadonlyMap<number, readonly ControlGroup[]>> {
  const sets = new Map<number, readonly ControlGroup[]>();
  for (const { id, ctls } of (await oneEntry(archive, "cgroup.img", CgroupEntrySchema))?.sets ?? []) {
    archive.budget.keep("checkpoint/cgroup.img", 1 + ctls.length);
    sets.set(
      id,
      ctls.map(({ name, path }) => ({ controllers: name, path })),
    );
  }
  return sets;
}
