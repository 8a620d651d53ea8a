import { setTimeout as sleep } from "node:timers/promises";
import { callJson } from "../../cluster/api.ts";
import { apiPath } from "../../cluster/connection.ts";
import { getPod } from "../../cluster/pods.ts";
import { UserError } from "../../model/error.ts";
import { list, object, string } from "../../model/json.ts";
import { say } from "../../model/phrase.ts";
import type { Told } from "../../restore/failures.ts";
import { evidenceOf, outcomeOf, type Outcome } from "../../restore/outcome.ts";
import type { FlowContext } from "../context.ts";

/** A container that runs from the checkpoint, and what proves it. */
export interface Restored {
  readonly node: string;
  readonly evidence: readonly string[];
}

const POLL_MS = 300;
/** A restore that is going to fail does so at once. */
const STEADY_MS = 1500;
const EVENTS_EVERY_MS = 2000;
/** Longer without a node, or without a volume, is a matter for people. */
const STUCK_MS = 60_000;

/** Until the container runs from the checkpoint. Throws a UserError that explains why it does not. */
export async function watchRestore(context: FlowContext, told: Omit<Told, "node">): Promise<Restored> {
  const { connection, emit, signal } = context;
  const { namespace, pod: name } = told;
  const lane = `restore ${namespace}/${name}`;
  const since = performance.now();
  let looked = since;
  let runningSince: number | undefined;
  try {
    for (;;) {
      const pod = await getPod(connection, namespace, name);
      const outcome = outcomeOf(pod.object, { ...told, node: pod.node });
      if (outcome.kind === "failed") throw new UserError(outcome.explanation);
      if (outcome.kind === "running") {
        runningSince ??= performance.now();
        if (performance.now() - runningSince >= STEADY_MS) return { node: pod.node, evidence: await prove(context, told, outcome) };
      } else {
        runningSince = undefined;
        if (performance.now() - looked >= EVENTS_EVERY_MS) {
          looked = performance.now();
          const event = await lastEvent(context, namespace, name);
          if (STUCK.has(event.reason) && looked - since > STUCK_MS) throw stuck(told, event);
          const what = event.message || outcome.what;
          emit({ kind: "activity", lane, text: what === "" ? say`restoring pod/${name}` : say`restoring pod/${name}: ${what}` });
        } else if (looked === since) {
          emit({ kind: "activity", lane, text: say`restoring pod/${name}` });
        }
      }
      await sleep(POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  } finally {
    emit({ kind: "idle", lane });
  }
}

async function prove(context: FlowContext, told: Omit<Told, "node">, outcome: Outcome & { kind: "running" }): Promise<string[]> {
  const evidence = evidenceOf(outcome, told.image, await oldestLogLine(context, told));
  if (evidence.length > 0) return evidence;
  throw new UserError({
    reason: "RestoreUnproved",
    message: `container ${told.container} of pod/${told.pod} runs, but whether it was restored or started anew cannot be told`,
    why: `${outcome.image || "the image that it runs"} may be the checkpoint image or its base image, and no line of its log is older than its start at ${outcome.startedAt}`,
    fix: "let the checkpoint image have a repository of its own, not the base image's: --image REGISTRY/OTHER:TAG",
  });
}

/** Its time, where the log may be read and has one. Never throws. */
async function oldestLogLine({ connection }: FlowContext, { namespace, pod, container }: Omit<Told, "node">): Promise<string | undefined> {
  const query = { container, timestamps: "true", limitBytes: "40" };
  const answer = await connection
    .call({ path: apiPath`/api/v1/namespaces/${namespace}/pods/${pod}/log`, query, accept: "*/*" })
    .catch(() => undefined);
  return answer?.status === 200 ? /^\d{4}-\d\d-\d\dT\S+/.exec(answer.text)?.[0] : undefined;
}

interface PodEvent {
  readonly reason: string;
  readonly message: string;
}

const STUCK = new Set(["FailedScheduling", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"]);

async function lastEvent({ connection }: FlowContext, namespace: string, pod: string): Promise<PodEvent> {
  const query = { fieldSelector: `involvedObject.name=${pod},involvedObject.kind=Pod` };
  const events = await callJson(connection, { path: apiPath`/api/v1/namespaces/${namespace}/events`, query }).catch(() => undefined);
  const last = list(object(events)["items"])
    .map(object)
    .findLast(({ reason }) => reason !== "MissingClusterDNS");
  return { reason: string(last?.["reason"]), message: string(last?.["message"]) };
}

function stuck({ namespace, pod }: Omit<Told, "node">, { reason, message }: PodEvent): UserError {
  return new UserError({
    reason: reason === "FailedScheduling" ? "Unschedulable" : "PodStuck",
    message: reason === "FailedScheduling" ? `no node takes pod/${pod}` : `pod/${pod} does not start`,
    why: message,
    fix: `kubectl describe pod ${pod} -n ${namespace}`,
  });
}
