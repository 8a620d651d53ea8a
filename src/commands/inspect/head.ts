import type { Inspection, ProcessItem } from "../../model/inspection.ts";
import { joined, say, styled, type Phrase } from "../../model/phrase.ts";
import { formatBytes, formatSeconds } from "../../model/units.ts";

/** What was checkpointed, by whom, and how much of it there is; `whole`: all of its processes are told. */
export function* headView(inspection: Inspection, whole: boolean): Generator<Phrase> {
  const { container, image, checkpointedAt, pod, namespace, engine, criu, stats, memoryBytes, processes } = inspection;
  const where = pod === undefined ? "" : say` in pod ${namespace ?? ""}/${pod}`;
  yield say`${styled("strong", container ?? "a container without a name")}${where}`;
  yield joined(
    [
      say`image ${image ?? "unknown"}`,
      ...(checkpointedAt === undefined ? [] : [say`checkpointed ${checkpointedAt.replace(/\.\d+Z$/, "Z")}`]),
      say`by ${engine ?? "an unknown engine"}${criu.version === undefined ? "" : ` with CRIU ${criu.version}`}`,
    ],
    ", ",
  );
  const all = processes.flatMap(flat);
  const threads = all.reduce((sum, process) => sum + process.threads.length, 0);
  const frozen = stats?.frozenSeconds;
  yield joined(
    [
      ...(whole ? [plural(all.length, "process", "es"), plural(threads, "thread", "s")] : []),
      `${formatBytes(memoryBytes)} of memory in the archive`,
      ...(frozen === undefined ? [] : [`frozen for ${frozen < 1 ? `${Math.round(frozen * 1000)}ms` : formatSeconds(frozen)}`]),
      [criu.architecture, criu.pageSize === undefined ? undefined : `${criu.pageSize / 1024} KiB pages`].filter(Boolean).join(", "),
    ],
    ", ",
  );
}

function flat(process: ProcessItem): ProcessItem[] {
  return [process, ...process.children.flatMap(flat)];
}

function plural(count: number, noun: string, ending: string): string {
  return `${count} ${noun}${count === 1 ? "" : ending}`;
}
