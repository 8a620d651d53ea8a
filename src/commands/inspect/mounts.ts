import type { MountItem } from "../../model/inspection.ts";
import { say } from "../../model/phrase.ts";
import { heading, type View } from "./view.ts";

/** The mounts of the container, by path. */
export function* mountsView(mounts: readonly MountItem[] | undefined): Generator<View> {
  if (mounts === undefined) return;
  yield heading(say`Mounts`);
  const sorted = [...mounts].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : Number(a.id) - Number(b.id)));
  yield {
    columns: ["PATH", "TYPE", "CONTENT", "OPTIONS", "SOURCE"],
    rows: sorted.map(({ path, type, source, root, external, options }) => [
      path,
      type,
      external ? "outside" : "inside",
      options.join(","),
      root === "/" ? source : `${source}[${root}]`,
    ]),
  };
}
