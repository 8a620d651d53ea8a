import { nameWord } from "../../../helper/operations.ts";
import { LONGEST_PATH, MOST_WORDS, type PodVolumes, type VolumeEntry } from "../../../helper/volumes.ts";

/** What of a volume is not in its archive as it was, or not at all. */
export type LeftOutKind = "socket" | "device" | "fifo" | "other" | "changed" | "unreadable";

export interface LeftOut {
  readonly path: Buffer;
  readonly kind: LeftOutKind;
}

/** An entry, with its path: the volume's name, and what is below it. */
export interface Found extends VolumeEntry {
  readonly path: Buffer;
}

/** More nobody keeps in memory. */
const MOST_ENTRIES = 250_000;

/** Everything that the volumes have, directories before what is in them; and what cannot be read. */
export async function walk(
  volumes: PodVolumes,
  names: readonly string[],
  progress: (entries: number) => void,
): Promise<{ found: Found[]; leftOut: LeftOut[] }> {
  const found: Found[] = [];
  const leftOut: LeftOut[] = [];
  const waiting: Buffer[] = names.map((name) => Buffer.from(name));
  let skip = 0;
  while (waiting.length > 0) {
    if (found.length > MOST_ENTRIES) {
      leftOut.push(...waiting.map((path) => ({ path, kind: "unreadable" as const })));
      break;
    }
    const group = firstOf(waiting);
    const pages = await volumes.list(group, skip);
    skip = 0;
    for (const [index, { entries, more }] of pages.entries()) {
      const path = group[index] ?? Buffer.alloc(0);
      if (entries === undefined) leftOut.push({ path, kind: "unreadable" });
      for (const entry of entries ?? []) take({ ...entry, path: Buffer.concat([path, Buffer.from("/"), entry.name]) });
      if (more === undefined) waiting.shift();
      else skip = more;
    }
    progress(found.length);
  }
  return { found, leftOut };

  function take(entry: Found): void {
    const { path, facts } = entry;
    const tooLong = nameWord(path).length > 3 * LONGEST_PATH;
    if (tooLong) leftOut.push({ path, kind: "unreadable" });
    else if (facts.type === "file" || facts.type === "link" || facts.type === "directory") {
      found.push(entry);
      if (facts.type === "directory") waiting.push(path);
    } else leftOut.push({ path, kind: facts.type });
  }
}

/** As many as fit into one request. */
function firstOf(paths: readonly Buffer[]): Buffer[] {
  let left = MOST_WORDS;
  const group: Buffer[] = [];
  for (const path of paths) {
    left -= nameWord(path).length + 1;
    if (left < 0 && group.length > 0) break;
    group.push(path);
    if (group.length === 50) break;
  }
  return group;
}
