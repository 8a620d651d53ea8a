import { open, readFile, rename, rm } from "node:fs/promises";
import { API_VERSION, type CheckpointItem } from "../../model/documents.ts";
import { UserError } from "../../model/error.ts";
import { list, object, string } from "../../model/json.ts";
import type { ContainerTarget } from "../targets/target.ts";
import type { Taken } from "./run.ts";

/** What of the command line a resumed run needs again. */
export interface RunOptions {
  readonly timeoutMs?: number;
  readonly perNode: number;
  readonly parallel: number;
  /** Absent where the archives stay on their nodes. */
  readonly copy?: { readonly destination: string; readonly remove: boolean; readonly codec: string };
}

/** One target of a run, and what became of it; without `result` nothing yet. */
export interface RunItem {
  readonly namespace: string;
  readonly pod: string;
  readonly podUID: string;
  readonly container: string;
  readonly containerID: string;
  readonly node: string;
  readonly result?: CheckpointItem;
}

export interface RunDocument {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: "CheckpointRun";
  readonly startedAt: string;
  readonly server: string;
  readonly options: RunOptions;
  readonly items: readonly RunItem[];
}

/** The state of a run with several targets on disk, mode 0600, as it is after every result. */
export class RunState {
  readonly path: string;
  #document: RunDocument;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, document: RunDocument) {
    this.path = path;
    this.#document = document;
  }

  static async create(
    path: string,
    start: Omit<RunDocument, "apiVersion" | "kind" | "items">,
    targets: readonly ContainerTarget[],
  ): Promise<RunState> {
    const state = new RunState(path, { apiVersion: API_VERSION, kind: "CheckpointRun", ...start, items: targets.map(pendingItem) });
    await state.#write();
    return state;
  }

  /** Throws RunFileUnusable where it is no such file. */
  static async read(path: string): Promise<RunState> {
    const unusable = (why: string, cause?: unknown): UserError =>
      new UserError({
        reason: "RunFileUnusable",
        message: `${path} is not the state of a run`,
        why,
        fix: "give the file that the run named",
        cause,
      });
    let parsed: unknown;
    try {
      parsed = JSON.parse(await readFile(path, "utf8"));
    } catch (error) {
      throw unusable((error as Error).message, error);
    }
    const { kind, apiVersion, items, options, server } = object(parsed);
    if (kind !== "CheckpointRun" || apiVersion !== API_VERSION) throw unusable("it has another kind or apiVersion");
    const sound = list(items).every((item) =>
      ["namespace", "pod", "podUID", "container", "node"].every((key) => string(object(item)[key]) !== ""),
    );
    if (!sound || list(items).length === 0 || typeof options !== "object" || string(server) === "") throw unusable("it is damaged");
    return new RunState(path, parsed as RunDocument);
  }

  get document(): RunDocument {
    return this.#document;
  }

  async update({ item }: Pick<Taken, "item">): Promise<void> {
    const items = this.#document.items.map((one) =>
      one.namespace === item.namespace && one.pod === item.pod && one.container === item.container ? { ...one, result: item } : one,
    );
    this.#document = { ...this.#document, items };
    this.#writing = this.#writing.then(async () => await this.#write());
    await this.#writing;
  }

  async #write(): Promise<void> {
    const next = `${this.path}.new`;
    await rm(next, { force: true });
    const file = await open(next, "wx", 0o600);
    await file.writeFile(`${JSON.stringify(this.#document, undefined, 2)}\n`);
    await file.sync();
    await file.close();
    await rename(next, this.path);
  }
}

function pendingItem({ pod, container }: ContainerTarget): RunItem {
  const { namespace, name, uid, node } = pod;
  return { namespace, pod: name, podUID: uid, container: container.name, containerID: container.containerID, node };
}
