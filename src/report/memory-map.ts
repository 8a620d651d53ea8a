import type { ProcessItem, RegionItem } from "../model/inspection.ts";
import { formatBytes } from "../model/units.ts";
import { markup, type Html } from "./html.ts";

const WIDTH = 1000;
const HEIGHT = 18;
const MOST_PROCESSES = 60;
const MOST_REGIONS = 400;

export const KINDS = ["heap", "stack", "file", "anonymous", "shared", "other"] as const;

/** A bar for each process, its regions in the order of their addresses. Widths grow with the logarithm of sizes: small ones are seen too. */
export function* memoryMaps(processes: readonly ProcessItem[]): Generator<Html> {
  const all = processes.filter(({ memory }) => (memory?.regions?.length ?? 0) > 0);
  yield markup`<p class="dim">${KINDS.map((kind) => markup`<span class="key"><i class="${kind}"></i>${kind}</span>`)}<span class="key"><i class="alarm"></i>writable and executable</span></p>`;
  for (const process of all.slice(0, MOST_PROCESSES)) yield bar(process);
  if (all.length > MOST_PROCESSES) yield markup`<p>and ${all.length - MOST_PROCESSES} more processes</p>`;
}

function bar({ pid, comm, memory }: ProcessItem): Html {
  const regions = memory?.regions ?? [];
  const shown = regions.slice(0, MOST_REGIONS);
  const widths = shown.map(({ mappedBytes }) => Math.log2(mappedBytes / 4096 + 2));
  const scale =
    WIDTH /
    Math.max(
      1,
      widths.reduce((sum, width) => sum + width, 0),
    );
  let x = 0;
  const parts = shown.map((region, index) => {
    const width = (widths[index] ?? 0) * scale;
    const part = markup`<rect class="${kindOf(region)}" x="${x.toFixed(2)}" y="0" width="${width.toFixed(2)}" height="${HEIGHT}"
      ><title>${regionText(region)}</title></rect
    >`;
    x += width;
    return part;
  });
  const more = regions.length > shown.length ? `, of which the first ${shown.length} are drawn` : "";
  const label = `${regions.length} regions${more}, ${formatBytes(memory?.mappedBytes ?? 0)} mapped, ${formatBytes(memory?.archivedBytes ?? 0)} in the archive`;
  return markup`<div data-row>
    <code>${pid} ${comm}</code> <span class="dim">${label}</span>
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" preserveAspectRatio="none">
      <title>Memory of process ${pid}: ${label}</title>
      ${parts}
    </svg>
  </div> `;
}

function kindOf({ access, kind }: RegionItem): string {
  if (access.includes("w") && access.includes("x")) return "alarm";
  return KINDS.find((one) => one === kind) ?? "other";
}

function regionText({ start, end, access, kind, name, mappedBytes, archivedBytes }: RegionItem): string {
  return `${start}-${end} ${access} ${name === "" ? kind : name}, ${formatBytes(mappedBytes)}, ${formatBytes(archivedBytes)} in the archive`;
}
