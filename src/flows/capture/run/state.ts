import { readFile } from "node:fs/promises";
import { isCriuOptionLine } from "../../../kubelet/criu-options.ts";
import { API_VERSION, type CheckpointItem } from "../../../model/documents.ts";
import { UserError } from "../../../model/error.ts";
import { list, object, string, type Json } from "../../../model/json.ts";
import { say } from "../../../model/phrase.ts";
import { replaceFile } from "../../../local/destination.ts";
import type { ContainerTarget } from "../targets/containers.ts";
import type { Taken } from "./run.ts";

/** What of the command line a resumed run needs again. */
export interface RunOptions {
  readonly timeoutMs?: number;
  /** Absent in the files of earlier versions. */
  readonly proveMs?: number;
  readonly perNode: number;
  readonly parallel: number;
  /** Of --force; absent in the files of earlier versions. */
  readonly force?: boolean;
  /** Lines of --criu-option. */
  readonly criuOptions?: readonly string[];
  /** Absent where the archives stay on their nodes. */
  readonly copy?: {
    readonly destination: string;
    readonly remove: boolean;
    readonly codec: string;
    readonly encryptTo?: readonly string[];
    readonly logLines?: number;
    readonly volumes?: readonly string[];
  };
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

  /** Throws LocalDiskFull and DestinationUnusable. */
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
        message: say`${path} is not the state of a run`,
        why,
        fix: "give the file that the run named",
        cause,
      });
    let parsed: unknown;
    try {
      parsed = JSON.parse(await readFile(path, "utf8"));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT")
        throw new UserError({
          reason: "NoSuchFile",
          message: say`there is no file ${path}`,
          fix: "a run names its file when it begins: checkpoint-run-TIME.json, beside the archives or in the working directory",
          cause: error,
        });
      throw unusable((error as Error).message, error);
    }
    const { kind, apiVersion, items, options, server } = object(parsed);
    if (kind !== "CheckpointRun" || apiVersion !== API_VERSION) throw unusable("it has another kind or apiVersion");
    const sound = list(items).length > 0 && list(items).every(isItem) && string(server) !== "";
    if (!sound) throw unusable("it is damaged");
    if (!isOptions(options)) throw unusable("its options are damaged");
    return new RunState(path, parsed as RunDocument);
  }

  get document(): RunDocument {
    return this.#document;
  }

  /** Throws LocalDiskFull and DestinationUnusable; the file then lacks this result. */
  async update({ item }: Pick<Taken, "item">): Promise<void> {
    const items = this.#document.items.map((one) =>
      one.namespace === item.namespace && one.pod === item.pod && one.container === item.container ? { ...one, result: item } : one,
    );
    this.#document = { ...this.#document, items };
    this.#writing = this.#writing.catch(() => undefined).then(async () => await this.#write());
    await this.#writing;
  }

  async #write(): Promise<void> {
    await replaceFile(this.path, `${JSON.stringify(this.#document, undefined, 2)}\n`);
  }
}

function isItem(value: unknown): boolean {
  const item = object(value);
  const { result = {} } = item;
  return (
    ["namespace", "pod", "podUID", "container", "node"].every((key) => string(item[key]) !== "") &&
    typeof result === "object" &&
    result !== null &&
    /^(undefined|string)$/.test(typeof object(result)["nodePath"])
  );
}

function isOptions(value: unknown): value is RunOptions {
  const { timeoutMs, proveMs, perNode, parallel, force, criuOptions, copy } = object(value);
  return (
    isCount(perNode) &&
    isCount(parallel) &&
    (timeoutMs === undefined || (typeof timeoutMs === "number" && timeoutMs > 0)) &&
    (proveMs === undefined || (typeof proveMs === "number" && proveMs >= 0)) &&
    (force === undefined || typeof force === "boolean") &&
    (criuOptions === undefined || list(criuOptions).every(isCriuOptionLine)) &&
    (copy === undefined || isCopy(object(copy)))
  );
}

function isCopy({ destination, remove, codec, encryptTo = [], logLines = 0, volumes = [] }: Json): boolean {
  const words = [encryptTo, volumes].every((all) => Array.isArray(all) && all.every((one) => typeof one === "string"));
  return string(destination) !== "" && typeof remove === "boolean" && string(codec) !== "" && words && Number.isSafeInteger(logLines);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) > 0;
}

function pendingItem({ pod, container }: ContainerTarget): RunItem {
  const { namespace, name, uid, node } = pod;
  return { namespace, pod: name, podUID: uid, container: container.name, containerID: container.containerID, node };
}
