import type { Member } from "./archive.ts";

/** A file or directory of an image. */
export interface LayeredFile {
  readonly type: Member["type"];
  /** In its layer. */
  readonly name: string;
  readonly target: string;
  readonly layer: object | undefined;
  readonly children: Map<string, LayeredFile>;
}

const MOST_LINKS = 40;
const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";

/** Files of an image, layer over layer: what is in a later one hides or removes what is below. Links to directories are followed, as the kernel does. */
export class LayeredFiles {
  readonly #top = directory();

  find(path: string): LayeredFile | undefined {
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
    const children = type === "directory" && known?.type === "directory" ? known.children : new Map<string, LayeredFile>();
    above?.children.set(last, { type, name, target, layer, children });
  }

  /** `make`: directories that are missing are made. `through`: a link at the end is followed too. */
  #walk(wanted: readonly string[], make: boolean, through = false): LayeredFile | undefined {
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

function directory(): LayeredFile {
  return { type: "directory", name: "", target: "", layer: undefined, children: new Map() };
}

function parts(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}
