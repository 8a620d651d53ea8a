import type { Archive, Reading } from "../../../archive/archive.ts";
import { Budget } from "../../../archive/budget.ts";
import { openLayer } from "../../../archive/bytes.ts";
import { LayeredFiles } from "../../../archive/layers.ts";
import { openImage } from "../../../archive/open.ts";
import type { FileTable } from "../../../criu/files/table.ts";
import { buildIdOf } from "../../../elf/reader.ts";
import { say } from "../../../model/phrase.ts";
import { mappedPrograms, wrongImage } from "./check.ts";

/** What an image has, without its bytes. */
export interface ImageListing {
  has(path: string): boolean;
  /** Programs and libraries that were mapped and are not the image's: it has none of that name, or another one. */
  readonly foreign: ReadonlyMap<string, "missing" | "other">;
  /** How many that were mapped are those of the image, by their build IDs. */
  readonly same: number;
}

/**
 * Reads which files an image has, layer over layer, and compares the programs and libraries that were mapped with its own, but for those that
 * the container has written. `reference` is the image's: see openImage. Throws a UserError, also where no file is the image's.
 */
export async function imageListing(
  archive: Archive,
  table: FileTable,
  written: ReadonlySet<string>,
  {
    reference,
    architecture,
    reading,
  }: { readonly reference: string; readonly architecture: string | undefined; readonly reading: Reading },
): Promise<ImageListing> {
  const wanted = await mappedPrograms(archive, table, written);
  await using image = await openImage(reference, { ...reading, budget: Budget.withoutClock() }, architecture);
  const kept = Budget.withoutClock();
  const tree = new LayeredFiles();
  const ids = new Map<string, string | undefined>();
  await archive.budget.excused(async () => {
    for (const [index, packed] of image.layers.entries()) {
      const label = `layer ${index + 1} of ${reference}`;
      await using layer = await openLayer(packed.open(), label, packed.bytes, { ...reading, budget: Budget.withoutClock() });
      await layer.rest();
      for (const name of layer.members.keys()) tree.whiteOut(name);
      for (const member of layer.members.values()) {
        reading.signal.throwIfAborted();
        kept.keep("the files of the image", 1, member.name.length / 4);
        tree.put(member, layer);
      }
      for (const path of wanted.keys()) {
        const entry = tree.find(path);
        if (entry?.layer === layer && entry.type === "file") ids.set(path, await buildIdOf(layer.open(entry.name)));
      }
    }
  });
  const foreign = new Map<string, "missing" | "other">();
  for (const [path, id] of wanted) {
    if (tree.find(path)?.type !== "file") foreign.set(path, "missing");
    else if (ids.get(path) !== id) foreign.set(path, "other");
  }
  const [first] = foreign;
  if (first !== undefined && foreign.size === wanted.size)
    throw wrongImage(first[1] === "missing" ? say`there is no ${first[0]} in it` : say`${first[0]} in it is another file`, undefined);
  return { has: (path) => tree.find(path) !== undefined, foreign, same: wanted.size - foreign.size };
}
