import { readNode, type Forecast } from "../../../kubelet/forecast.ts";
import { UserError } from "../../../model/error.ts";
import { joined, say, type Phrase } from "../../../model/phrase.ts";
import { formatBytes } from "../../../model/units.ts";
import type { FlowContext } from "../../context.ts";
import type { ContainerTarget } from "../targets/containers.ts";

/** What is known beforehand of the nodes and containers of a run. */
export interface Expectations {
  of(target: ContainerTarget): Forecast;
  /** Over the run, what may be read of it; a sentence for people. */
  readonly summary: Phrase;
  /** What will not fit, a sentence each. */
  readonly obstacles: readonly Phrase[];
}

const TIMEOUT_MS = 3000;

/**
 * Asks every node of the run at once what its containers hold and what room its disk has, and compares: all archives of a node
 * against its disk, all of them against the disk here where they are copied. What may not be read is left out. Never throws.
 */
export async function expectRun(
  { connection }: FlowContext,
  targets: readonly ContainerTarget[],
  local: { path: string; roomBytes: number } | undefined,
): Promise<Expectations> {
  const byNode = Map.groupBy(targets, ({ pod }) => pod.node);
  const nodes = new Map(
    await Promise.all([...byNode.keys()].map(async (node) => [node, await readNode(connection, node, TIMEOUT_MS)] as const)),
  );
  const memoryOf = ({ pod, container }: ContainerTarget): number | undefined =>
    nodes.get(pod.node)?.memory.get(`${pod.namespace}/${pod.name}/${container.name}`);
  const sum = (some: readonly ContainerTarget[]): number => some.reduce((total, target) => total + (memoryOf(target) ?? 0), 0);
  const obstacles = [...byNode].flatMap(([node, onNode]) => {
    const room = nodes.get(node)?.roomBytes;
    // The largest is there twice while it is written.
    const needed = sum(onNode) + Math.max(0, ...onNode.map((target) => memoryOf(target) ?? 0));
    return room === undefined || needed <= room
      ? []
      : [say`${node}: ${formatBytes(needed)} are needed, ${formatBytes(room)} are free above its eviction threshold`];
  });
  const total = sum(targets);
  if (local !== undefined && total > local.roomBytes) {
    obstacles.push(say`here: ${formatBytes(total)} are needed in ${local.path}, ${formatBytes(local.roomBytes)} are free`);
  }
  const known = targets.filter((target) => memoryOf(target) !== undefined).length;
  return {
    of: (target) => {
      const [memoryBytes, roomBytes] = [memoryOf(target), nodes.get(target.pod.node)?.roomBytes];
      return { ...(memoryBytes === undefined ? {} : { memoryBytes }), ...(roomBytes === undefined ? {} : { roomBytes }) };
    },
    summary: known === 0 ? say`` : say`, about ${formatBytes(total)} in all${known < targets.length ? ` (known of ${known})` : ""}`,
    obstacles,
  };
}

/** Throws WontFit where something is in the way and is not to be passed over. */
export function ensureFits({ obstacles }: Expectations, force: boolean, emit: FlowContext["emit"]): void {
  if (obstacles.length === 0) return;
  if (!force) {
    throw new UserError({
      reason: "WontFit",
      message: "the archives would not fit",
      why: joined(obstacles, "\n"),
      fix: "take fewer at a time, or free space; rerun with --force to checkpoint them anyway",
    });
  }
  for (const obstacle of obstacles) emit({ kind: "warning", text: say`it may not fit: ${obstacle}` });
}
