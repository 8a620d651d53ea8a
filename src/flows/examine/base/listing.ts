import type { Archive, Member, Reading } from "../../../archive/archive.ts";
import { Budget } from "../../../archive/budget.ts";
import { openLayer } from "../../../archive/bytes.ts";
import { openImage } from "../../../archive/open.ts";
import type { FileTable } from "../../../criu/files/table.ts";
import { isWithin, mounted } from "../../../criu/mounted.ts";
import { buildIdOf } from "../../../elf/reader.ts";
import { say } from "../../../model/phrase.ts";
import { wrongImage } from "./check.ts";

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
  const tree = new Tree();
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

/** Paths and build IDs; what was deleted, lies in a volume, or was written by the container is no file of the image. */
async function mappedPrograms(archive: Archive, { files, remaps }: FileTable, written: ReadonlySet<string>): Promise<Map<string, string>> {
  const mounts = await mounted(archive);
  const wanted = new Map<string, string>();
  for (const { id, name, buildId, type } of files.values()) {
    if (buildId === undefined || type !== "file" || remaps.has(id) || written.has(name)) continue;
    if (!mounts.some(({ path }) => isWithin(name, path))) wanted.set(name, buildId);
  }
  return wanted;
}

interface Entry {
  readonly type: Member["type"];
  /** In its layer. */
  readonly name: string;
  readonly target: string;
  readonly layer: object | undefined;
  readonly children: Map<string, Entry>;
}

const MOST_LINKS = 40;
const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";

/** Directories and files by name. Links to directories are followed, as the kernel does. */
class Tree {
  readonly #top = directory();

  find(path: string): Entry | undefined {
    return this.#walk(parts(path), false);
  }

  whiteOut(name: string): void {
    const all = parts(name);
    const last = all.pop() ?? "";
    if (!last.startsWith(WHITEOUT)) return;
    const above = this.#walk(all, false, true);
    if (last === OPAQUE) above?.children.clear();
    else above?.children.delete(last.slice(WHITEOUT.length));
  }

  put({ name, type, target }: Member, layer: object): void {
    const all = parts(name);
    const last = all.pop();
    if (last === undefined || last.startsWith(WHITEOUT)) return;
    const above = this.#walk(all, true, true);
    const known = above?.children.get(last);
    const children = type === "directory" && known?.type === "directory" ? known.children : new Map<string, Entry>();
    above?.children.set(last, { type, name, target, layer, children });
  }

  /** `make`: directories that are missing are made. `through`: a link at the end is followed too. */
  #walk(wanted: readonly string[], make: boolean, through = false): Entry | undefined {
    const rest = wanted.toReversed();
    const above = [this.#top];
    for (let links = 0; rest.length > 0;) {
      const part = rest.pop() ?? "";
      const here = above.at(-1) ?? this.#top;
      if (part === "..") {
        if (above.length > 1) above.pop();
        continue;
      }
      const next = here.children.get(part) ?? (make ? directory() : undefined);
      if (next === undefined) return undefined;
      if (next.type === "symlink" && (through || rest.length > 0)) {
        if ((links += 1) > MOST_LINKS) return undefined;
        if (next.target.startsWith("/")) above.length = 1;
        rest.push(...parts(next.target).reverse());
        continue;
      }
      if (make) here.children.set(part, next);
      above.push(next);
    }
    return above.at(-1);
  }
}

function directory(): Entry {
  return { type: "directory", name: "", target: "", layer: undefined, children: new Map() };
}

function parts(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}
