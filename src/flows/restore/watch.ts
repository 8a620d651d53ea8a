import { apiPath } from "../../cluster/connection.ts";
import { waitFor, watch } from "../../cluster/watch.ts";
import { UserError, type Explanation } from "../../model/error.ts";
import { object, string, type Json } from "../../model/json.ts";
import { command, say } from "../../model/phrase.ts";
import type { Attempt } from "../../restore/failures.ts";
import { evidenceOf, outcomeOf, type Outcome } from "../../restore/outcome.ts";
import type { FlowContext } from "../context.ts";
import type { TargetNode } from "./nodes.ts";
import { isGoing, uidOf } from "./objects.ts";

/** A container that runs from the checkpoint, and what proves it. */
export interface Restored {
  readonly node: string;
  readonly evidence: readonly string[];
}

/** One pod that is watched. */
export type Watched = Omit<Attempt, "node" | "runtime"> & {
  readonly uid: string;
  /** Where it may come to, as far as they may be read. */
  readonly nodes?: readonly TargetNode[];
};

/** It was seen that the container was not restored, or that it has ended. */
export class RestoreFailed extends UserError {
  /** Whether its processes ran. */
  readonly ran: boolean;
  /** The runtime's answer, whole. */
  readonly answer: string;
  readonly node: string;

  constructor(explanation: Explanation & { readonly cause?: unknown }, about: { ran: boolean; answer: string; node: string }) {
    super(explanation);
    this.ran = about.ran;
    this.answer = about.answer;
    this.node = about.node;
  }
}

/** A restore that is going to fail does so at once. */
const STEADY_MS = 1500;
/** Longer without a node, a volume or the image is a matter for people. */
const STUCK_MS = 60_000;

/**
 * Until the container runs from the checkpoint. Throws a RestoreFailed where it was seen that it does not; RestoreUnproved where it runs,
 * and it cannot be told from what; any other error means that nothing could be seen.
 */
export async function watchRestore(context: FlowContext, watched: Watched): Promise<Restored> {
  const { connection, emit } = context;
  const { namespace, pod: name } = watched;
  const lane = `restore ${namespace}/${name}`;
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const waiting = new Waiting(context, watched, lane, stop);
  const place = { path: apiPath`/api/v1/namespaces/${namespace}/pods`, name };
  emit({ kind: "activity", lane, text: say`restoring pod/${name}` });
  void waiting.follow(signal);
  try {
    const judge = (pod: Json | undefined): Running | undefined => waiting.judge(pod);
    let running = await waitFor(connection, { ...place, signal }, ([pod]) => judge(pod));
    // Steady means: the same container, for a while.
    for (;;) {
      const since = running;
      const steady = AbortSignal.timeout(STEADY_MS);
      const other = await waitFor(connection, { ...place, signal: AbortSignal.any([signal, steady]) }, ([pod]) => {
        const now = judge(pod);
        return now?.containerID === since.containerID ? undefined : (now ?? since);
      }).catch((error: unknown) => {
        if (!steady.aborted || signal.aborted || error instanceof UserError) throw error;
        return undefined;
      });
      if (other === undefined) return { node: since.node, evidence: await prove(context, watched, since) };
      running = other;
    }
  } finally {
    stop.abort();
    emit({ kind: "idle", lane });
  }
}

type Running = Outcome & { kind: "running" } & { readonly node: string };

/** What is known of a pod that does not run yet: its own status, and the events about it. */
class Waiting {
  readonly #context: FlowContext;
  readonly #watched: Watched;
  readonly #lane: string;
  readonly #stop: AbortController;
  readonly #since = performance.now();
  #node = "";
  #because: Explanation | undefined;
  #event: PodEvent | undefined;
  #isWaiting = true;

  constructor(context: FlowContext, watched: Watched, lane: string, stop: AbortController) {
    this.#context = context;
    this.#watched = watched;
    this.#lane = lane;
    this.#stop = stop;
    setTimeout(() => this.#endWhereStuck(), STUCK_MS).unref();
  }

  /** Throws a RestoreFailed. */
  judge(pod: Json | undefined): Running | undefined {
    const { pod: name, namespace, uid } = this.#watched;
    if (pod === undefined || uidOf(pod) !== uid || isGoing(pod))
      throw this.#failed({ reason: "PodDeleted", message: say`pod/${name} was deleted from namespace ${namespace} by somebody else` });
    this.#node = string(object(pod["spec"])["nodeName"]);
    const runtime = this.#watched.nodes?.find((node) => node.name === this.#node)?.runtime;
    const outcome = outcomeOf(pod, { ...this.#watched, node: this.#node, runtime });
    this.#isWaiting = outcome.kind === "waiting";
    if (outcome.kind === "failed") throw this.#failed(outcome.explanation, outcome.ran, outcome.said);
    if (outcome.kind === "running") return { ...outcome, node: this.#node };
    this.#because = outcome.because;
    if (outcome.what !== "") this.#tell(outcome.what);
    this.#endWhereStuck();
    return undefined;
  }

  /** Events say what the kubelet and the scheduler do. Who may not read them goes without. Never throws. */
  async follow(signal: AbortSignal): Promise<void> {
    const { namespace, pod: name, uid } = this.#watched;
    const path = apiPath`/api/v1/namespaces/${namespace}/events`;
    try {
      const fieldSelector = `involvedObject.name=${name},involvedObject.uid=${uid}`;
      for await (const change of watch(this.#context.connection, path, { fieldSelector, signal })) {
        if (change.type !== "added" && change.type !== "modified") continue;
        const { reason, message } = change.object;
        if (reason === "MissingClusterDNS") continue;
        this.#event = { reason: string(reason), message: string(message) };
        if (this.#isWaiting) this.#tell(string(message));
        this.#endWhereStuck();
      }
    } catch {
      // What is not said does not matter.
    }
  }

  #tell(what: string): void {
    this.#context.emit({ kind: "activity", lane: this.#lane, text: say`restoring pod/${this.#watched.pod}: ${what}` });
  }

  #endWhereStuck(): void {
    if (!this.#isWaiting || performance.now() - this.#since < STUCK_MS - 100) return;
    const event = this.#event !== undefined && STUCK.has(this.#event.reason) ? stuck(this.#watched, this.#event) : undefined;
    const explanation = this.#because ?? event;
    if (explanation !== undefined) this.#stop.abort(this.#failed(explanation));
  }

  #failed(explanation: Explanation, ran = false, answer = ""): RestoreFailed {
    return new RestoreFailed(explanation, { ran, answer, node: this.#node });
  }
}

interface PodEvent {
  readonly reason: string;
  readonly message: string;
}

const STUCK = new Set(["FailedScheduling", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"]);

function stuck({ namespace, pod }: Watched, { reason, message }: PodEvent): Explanation {
  const isUnscheduled = reason === "FailedScheduling";
  return {
    reason: isUnscheduled ? "Unschedulable" : "PodStuck",
    message: isUnscheduled ? say`pod/${pod} was not scheduled` : say`pod/${pod} does not start`,
    why: message,
    fix: command`kubectl get events -n ${namespace} --field-selector ${`involvedObject.name=${pod}`}`,
  };
}

async function prove(context: FlowContext, watched: Watched, running: Running): Promise<string[]> {
  const { container, pod, image } = watched;
  const evidence = evidenceOf(running, image, await oldestLogLine(context, watched));
  if (evidence.length > 0) return evidence;
  throw new UserError({
    reason: "RestoreUnproved",
    message: say`container ${container} of pod/${pod} is running, but it is unknown whether it was restored or started from the beginning`,
    why: say`${running.image || "the image that it runs"} may be the checkpoint image or its base image, and no line of its log is older than its start at ${running.startedAt}`,
    fix: "push the checkpoint to a repository of its own, not the base image's: --image REGISTRY/OTHER:TAG",
    exitCode: 3,
  });
}

/** Its time, where the log may be read and has one. Never throws. */
async function oldestLogLine({ connection }: FlowContext, { namespace, pod, container }: Watched): Promise<string | undefined> {
  const query = { container, timestamps: "true", limitBytes: "40" };
  const answer = await connection
    .call({ path: apiPath`/api/v1/namespaces/${namespace}/pods/${pod}/log`, query, accept: "*/*" })
    .catch(() => undefined);
  return answer?.status === 200 ? /^\d{4}-\d\d-\d\dT\S+/.exec(answer.text)?.[0] : undefined;
}
