import { setTimeout as sleep } from "node:timers/promises";
import { ApiFailure } from "../../cluster/answer.ts";
import { apiPath } from "../../cluster/connection.ts";
import { getPod, isRunning, readPod, type Container, type Pod } from "../../cluster/pods.ts";
import { waitFor } from "../../cluster/watch.ts";
import { runsNow } from "../../kubelet/probe.ts";
import type { CheckpointItem } from "../../model/documents.ts";
import { UserError } from "../../model/error.ts";
import { list, number, object, string, type Json } from "../../model/json.ts";
import { command, plain, say, type Phrase } from "../../model/phrase.ts";
import { formatSeconds } from "../../model/units.ts";
import type { FlowContext } from "../context.ts";
import type { ContainerTarget } from "./targets/containers.ts";

/** What became of the original after its checkpoint. */
export interface Proof {
  /** Null where it could not be seen. */
  readonly stillRunning: boolean | null;
  readonly restartCount: number;
  /** For how long after the kubelet's answer it was watched. */
  readonly watchedSeconds: number;
  /** What ended it, or why it could not be seen. */
  readonly why?: Phrase;
}

/** What a look at the pod showed; "unseen" where it could not be read. */
type Seen = ContainerTarget | "gone" | "unseen";

/** The kubelet looks for ends once a second, and takes its time to report them: without a change for less than this, nothing is proved. */
const LEAST_MS = 3000;
/** How long an end that the runtime reports is looked for in the pod's status, to say what ended it. */
const WORDS_MS = 5000;

/** The original of a checkpoint, watched from before the call. */
export class Original {
  readonly #context: FlowContext;
  readonly #stopped = new AbortController();
  readonly #signal: AbortSignal;
  #known: ContainerTarget;
  #last: Seen = "unseen";
  #ended: Promise<void> | undefined;

  constructor(context: FlowContext, named: ContainerTarget) {
    this.#context = context;
    this.#known = named;
    this.#signal = AbortSignal.any([context.signal, this.#stopped.signal]);
  }

  /** The container as it is now, from here on watched; undefined where it may not be seen. Throws PodGone where its pod is not there any more. */
  async current(): Promise<ContainerTarget | undefined> {
    const { pod } = this.#known;
    const seen = await this.#look();
    if (seen === "gone" || (seen !== "unseen" && seen.pod.uid !== pod.uid)) {
      throw new UserError({
        reason: "PodGone",
        message: say`pod/${pod.name} was deleted or replaced after it was looked up; nothing was checkpointed`,
        fix: command`kubectl get pod ${pod.name} -n ${pod.namespace}`,
      });
    }
    if (seen !== "unseen") this.#known = seen;
    this.#ended = this.#untilEnd();
    this.#ended.catch(() => undefined);
    return seen === "unseen" ? undefined : seen;
  }

  stop(): void {
    this.#stopped.abort();
  }

  /** What is seen of it until so long after now, which is when the kubelet answered. Never throws a UserError. */
  async watch(durationMs: number): Promise<Proof> {
    const answered = performance.now();
    const { emit } = this.#context;
    const { pod, container } = this.#known;
    const lane = `proof ${pod.namespace}/${pod.name}/${container.name}`;
    emit({ kind: "activity", lane, text: say`watching whether container ${container.name} in pod/${pod.name} keeps running` });
    try {
      const proof = await this.#prove(durationMs);
      return { ...proof, watchedSeconds: Math.round(performance.now() - answered) / 1000 };
    } finally {
      this.stop();
      emit({ kind: "idle", lane });
    }
  }

  async #prove(durationMs: number): Promise<Omit<Proof, "watchedSeconds">> {
    const unseen = (why: Phrase) => ({ stillRunning: null, restartCount: this.#known.container.restartCount, why });
    try {
      await Promise.race([this.#ended, sleep(durationMs, undefined, { signal: this.#signal })]);
      // The API server's status is late by some seconds; the runtime is not.
      const runs = this.#end() === undefined ? await this.#runsNow() : false;
      if (runs === false) return await this.#endInWords();
      // A restart before that answer is in the status by now.
      const seen = await this.#look();
      const end = this.#end();
      if (end !== undefined) return this.#over(end);
      if (seen === "unseen" || seen === "gone") return unseen(say`the pod cannot be read`);
      if (runs === true || durationMs >= LEAST_MS) return { stillRunning: true, restartCount: seen.container.restartCount };
      return unseen(say`${formatSeconds(durationMs / 1000)} are too short for the kubelet to notice an end`);
    } catch (error) {
      if (!this.#signal.aborted) throw error;
      return unseen(say`the watch was interrupted`);
    }
  }

  /** The runtime does not list it any more: what the pod's status says of that comes later. */
  async #endInWords(): Promise<Omit<Proof, "watchedSeconds">> {
    if (this.#end() === undefined) await Promise.race([this.#ended, sleep(WORDS_MS, undefined, { signal: this.#signal })]);
    return this.#over(this.#end() ?? say`it ended: the runtime does not list it as running any more`);
  }

  #over(why: Phrase): Omit<Proof, "watchedSeconds"> {
    const seen = this.#last;
    const { restartCount } = typeof seen === "object" ? seen.container : this.#known.container;
    return { stillRunning: false, restartCount, why };
  }

  /** Returns when an end has been seen. Where the pod can be watched no more, what is looked at in the end has to do. */
  async #untilEnd(): Promise<void> {
    const { pod, container } = this.#known;
    const path = apiPath`/api/v1/namespaces/${pod.namespace}/pods`;
    const waiting = { path, name: pod.name, signal: this.#signal };
    try {
      await waitFor(this.#context.connection, waiting, ([found]) => {
        this.#last = found === undefined ? "gone" : seenOf(readPod(found), container);
        return this.#end();
      });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      await new Promise<never>((_, reject) => this.#signal.addEventListener("abort", () => reject(this.#signal.reason as Error)));
    }
  }

  async #runsNow(): Promise<boolean | undefined> {
    const { pod, container } = this.#known;
    const target = { node: pod.node, namespace: pod.namespace, pod: pod.name, container: container.name };
    return await runsNow(this.#context.connection, target, this.#signal);
  }

  async #look(): Promise<Seen> {
    const { pod, container } = this.#known;
    return (this.#last = await lookAt(this.#context, pod, container));
  }

  #end(): Phrase | undefined {
    return endOf(this.#known, this.#last);
  }
}

async function lookAt({ connection }: FlowContext, { namespace, name }: Pod, container: Container): Promise<Seen> {
  let pod: Pod;
  try {
    pod = await getPod(connection, namespace, name);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error instanceof ApiFailure && error.status === 404 ? "gone" : "unseen";
  }
  return seenOf(pod, container);
}

function seenOf(pod: Pod, { name }: Container): Seen {
  const container = pod.containers.find((other) => other.name === name);
  return container === undefined ? "gone" : { pod, container };
}

/** What has happened to the container since it was `before`; undefined where nothing has, as far as can be seen. */
function endOf(before: ContainerTarget, seen: Seen): Phrase | undefined {
  if (seen === "unseen") return undefined;
  if (seen === "gone") return say`its pod was deleted`;
  if (seen.pod.uid !== before.pod.uid) return say`its pod was replaced by another one of the same name`;
  const { container } = seen;
  const restarted = container.containerID !== before.container.containerID || container.restartCount !== before.container.restartCount;
  if (!restarted && isRunning(container)) return undefined;
  const how = endInStatus(seen.pod.object, before.container);
  if (!restarted) return how ?? say`it is not running any more`;
  const counts = say`restarted (restarts: ${before.container.restartCount} before, ${container.restartCount} now)`;
  return how === undefined ? say`it was ${counts}` : say`${how} and was ${counts}`;
}

/** Of the pod's status: how this very container ended. */
function endInStatus(pod: Json, { name, containerID }: Container): Phrase | undefined {
  const status = object(pod["status"]);
  const all = ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"].flatMap((key) => list(status[key]).map(object));
  const one = object(all.find((other) => string(other["name"]) === name));
  const ends = [one["state"], one["lastState"]].map((state) => object(object(state)["terminated"]));
  const end = ends.find((other) => string(other["containerID"]) === containerID);
  const exitCode = number(end?.["exitCode"]);
  if (end === undefined || exitCode === undefined) return undefined;
  const reason = string(end["reason"]);
  return say`it ended with exit status ${exitCode}${reason === "" ? say`` : say` (${reason})`}`;
}

/** The item with what was seen of the original. */
export function withProof(item: CheckpointItem, { stillRunning, restartCount, watchedSeconds, why }: Proof): CheckpointItem {
  const ended = stillRunning === false && why !== undefined ? { ended: plain(why) } : {};
  return { ...item, stillRunning, restartCount, watchedSeconds, ...ended };
}

/** What is said where the original did not keep running; undefined where it did, or where that is unknown. */
export function originalEnded(item: CheckpointItem): UserError | undefined {
  const { pod, container, namespace, nodePath, stillRunning, ended = "", watchedSeconds = 0, interrupted = [] } = item;
  if (stillRunning !== false) return undefined;
  const first = interrupted.find(({ tid }) => tid === 1);
  const call = first === undefined ? say`` : say`, here ${first.call ?? "one"} of process 1 (${first.comm})`;
  const archive = nodePath === undefined ? say`` : say`; the archive was made although it ended`;
  return new UserError({
    reason: "OriginalEnded",
    message: say`container ${container} in pod/${pod} did not keep running: ${ended}${archive}`,
    why: say`seen ${formatSeconds(watchedSeconds)} after the checkpoint. A checkpoint interrupts system calls that sleep${call}: a program that does not repeat them ends`,
    fix: command`kubectl logs ${pod} -c ${container} -n ${namespace}${ended.includes("restarted") ? say` --previous` : say``}`,
  });
}
