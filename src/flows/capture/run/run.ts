import { Disposal } from "../../../model/disposal.ts";
import { say } from "../../../model/phrase.ts";
import { captureOne, type Captured } from "../one.ts";
import type { VerbContext } from "../../rights.ts";
import type { CopyPlan } from "../../collect/copy/prepare.ts";
import type { ContainerTarget } from "../targets/containers.ts";
import type { Expectations } from "./expect.ts";

export interface RunRequest {
  readonly targets: readonly ContainerTarget[];
  readonly timeoutMs: number | undefined;
  readonly proveMs: number;
  readonly plan: CopyPlan | undefined;
  /** Checkpoints at once on one node. */
  readonly perNode: number;
  /** Nodes at once. */
  readonly parallel: number;
  /** Known beforehand; without them each container is asked for by itself. */
  readonly expectations?: Expectations | undefined;
  /** Archives that an earlier run has made: they are only copied. */
  readonly captured?: ReadonlyMap<ContainerTarget, Captured>;
}

/** What came of one target. */
export interface Taken extends Captured {
  readonly target: ContainerTarget;
}

/**
 * Checkpoints many containers: nodes side by side, one pod after the other on each, the containers of a pod back to back. With a
 * plan, a node's next checkpoint runs beside the transfer of its last archive. A failure of one does not stop the others; an
 * interruption does. Results come as they are ready.
 */
export async function* runAll(context: VerbContext, request: RunRequest): AsyncGenerator<Taken> {
  const { targets, plan, parallel } = request;
  await using held = new Disposal();
  const results = new Queue<Taken>();
  const nodes = [...Map.groupBy(targets, ({ pod }) => pod.node).entries()];
  const waiting = [...nodes];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined && !context.signal.aborted; next = waiting.shift()) {
      const [node, onNode] = next;
      await using directory = plan === undefined || node === "" ? undefined : plan.helpers.directory(node);
      // It starts beside the first checkpoint; the copy that needs it reports why it does not.
      directory?.start();
      // One pod removes all of the node's archives.
      await using _removal = plan?.remove === true && node !== "" ? plan.helpers.directory(node, "write") : undefined;
      await takeNode(context, request, node, onNode, results);
    }
  };
  const workers = Promise.all(Array.from({ length: Math.min(parallel, nodes.length) }, worker));
  workers.then(
    () => results.end(),
    (error: unknown) => results.fail(error),
  );
  held.defer(async () => void (await workers.catch(() => undefined)));
  yield* results;
}

/** One node: `perNode` pods at once, its transfers one after the other. */
async function takeNode(
  context: VerbContext,
  request: RunRequest,
  node: string,
  targets: readonly ContainerTarget[],
  results: Queue<Taken>,
): Promise<void> {
  const { timeoutMs, proveMs, plan, perNode, expectations } = request;
  const pods = [...Map.groupBy(targets, ({ pod }) => pod.uid).values()];
  let begun = 0;
  let transfers = Promise.resolve();
  const several = request.targets.length > 1;

  const takeOne = async (target: ContainerTarget, slot: number): Promise<void> => {
    begun += 1;
    const expected = expectations?.of(target);
    const options = {
      timeoutMs,
      proveMs,
      ...(expected === undefined ? {} : { expected }),
      ...(several ? { lane: perNode === 1 ? node : `${node} ${slot}`, prefix: say`${node} ${begun} of ${targets.length}: ` } : {}),
    };
    const captured = request.captured?.get(target) ?? (await captureOne(context, target, options));
    if (plan === undefined || captured.archive === undefined) {
      results.push({ target, ...captured });
      return;
    }
    const { copyCaptured } = await import("../../collect/copy/captured.ts");
    transfers = transfers.then(async () => results.push({ target, ...(await copyCaptured(context, target, captured, plan)) }));
    // A bug in it is thrown when the node is done.
    transfers.catch(() => undefined);
  };

  const worker = async (slot: number): Promise<void> => {
    for (let pod = pods.shift(); pod !== undefined; pod = pods.shift()) {
      for (const target of pod) {
        if (context.signal.aborted) return;
        await takeOne(target, slot);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(perNode, pods.length) }, async (_, slot) => await worker(slot)));
  await transfers;
}

/** Values that come from several places at once, read in the order in which they come. */
class Queue<T> {
  #values: T[] = [];
  #failure: { readonly error: unknown } | undefined;
  #ended = false;
  #wake: () => void = () => undefined;

  push(value: T): void {
    this.#values.push(value);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** The reader gets what came before, then the error. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      for (const value of this.#values.splice(0)) yield value;
      if (this.#values.length > 0) continue;
      if (this.#failure !== undefined) throw this.#failure.error;
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
