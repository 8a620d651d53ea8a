import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Right } from "../../cluster/access.ts";
import { ApiFailure } from "../../cluster/answer.ts";
import { callJson, createOnce, REQUEST_MARK } from "../../cluster/api.ts";
import { apiPath } from "../../cluster/connection.ts";
import { UserError } from "../../model/error.ts";
import { object, string, type Json } from "../../model/json.ts";
import { command, say } from "../../model/phrase.ts";
import { ownedBy } from "../../restore/isolation.ts";
import type { FlowContext } from "../context.ts";
import { ensureGone, lookFor, uidOf } from "./objects.ts";
import type { RestorePlan } from "./plan.ts";
import type { Taken, Undo } from "./undo.ts";

/** What restoring takes. */
export function restoreRights(namespace: string, isolated: boolean): Right[] {
  const right = (verb: string, resource: string, group = ""): Right => ({ verb, group, resource, namespace });
  const policies = ["create", "get", "list", "patch", "delete"].map((verb) => right(verb, "networkpolicies", "networking.k8s.io"));
  return [...["create", "get", "delete"].map((verb) => right(verb, "pods")), ...(isolated ? policies : [])];
}

function podsPath({ namespace }: RestorePlan): string {
  return apiPath`/api/v1/namespaces/${namespace}/pods`;
}

function policiesPath({ namespace }: RestorePlan): string {
  return apiPath`/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`;
}

/**
 * Asks the API server whether it would take what the plan has, and creates nothing: quotas, PodSecurity, webhooks and the API's own rules.
 * Answers with the objects as it would have them. Throws a UserError.
 */
export async function dryRun({ connection }: FlowContext, plan: RestorePlan): Promise<Json[]> {
  const wanted = [...(plan.policy === undefined ? [] : [[policiesPath(plan), plan.policy] as const]), [podsPath(plan), plan.pod] as const];
  const answers: Json[] = [];
  for (const [path, body] of wanted) {
    const request = { method: "POST", path, query: { dryRun: "All" }, body, repeatable: true } as const;
    answers.push(object(await callJson(connection, request).catch((error: unknown) => Promise.reject(refused(error, plan)))));
  }
  return answers;
}

/** A pod that was created; `keep` where it stays whatever comes. */
export interface Created extends Taken {
  readonly uid: string;
}

/**
 * Creates the pod, once, and before it the policy that keeps it from the network. Where that fails or is taken back, it is looked first
 * whether they are there; the policy goes only after the pod is known to be gone.
 */
export async function createRestored(context: FlowContext, plan: RestorePlan, undo: Undo): Promise<Created> {
  const { connection, emit, signal } = context;
  const { namespace, name, policy, pod } = plan;
  const deletePolicy = command`kubectl delete networkpolicy ${name} -n ${namespace}`;
  let podIsAbsent = true;
  let policyFollows = false;
  if (policy !== undefined) {
    const creation = new Creation(context, undo, policiesPath(plan), policy);
    undo.add({
      what: say`delete networkpolicy/${name}`,
      byHand: say`When the pod is gone: ${deletePolicy}`,
      back: async () => {
        if (policyFollows) return;
        if (!podIsAbsent) throw new Error(`pod/${name} may still be running`);
        await creation.remove();
      },
    });
    await creation.made().catch((error: unknown) => Promise.reject(refused(error, plan)));
  }
  const creation = new Creation(context, undo, podsPath(plan), pod);
  const taken = undo.add({
    what: say`delete pod/${name}`,
    byHand: say`It may be running in namespace ${namespace}: ${command`kubectl delete pod ${name} -n ${namespace}`}`,
    back: async () => {
      podIsAbsent = false;
      const removed = await creation.remove();
      podIsAbsent = true;
      if (removed) emit({ kind: "warning", text: say`pod/${name} was deleted from namespace ${namespace}` });
    },
  });
  const uid = uidOf(await creation.made().catch((error: unknown) => Promise.reject(refused(error, plan))));
  if (policy !== undefined) {
    const contentType = "application/merge-patch+json";
    const patch = {
      method: "PATCH",
      path: `${policiesPath(plan)}/${name}`,
      body: ownedBy(name, uid),
      contentType,
      repeatable: true,
    } as const;
    policyFollows = await callJson(connection, patch).then(
      () => true,
      () => false,
    );
    if (!policyFollows) emit({ kind: "warning", text: say`networkpolicy/${name} stays when its pod is deleted: ${deletePolicy}` });
  }
  signal.throwIfAborted();
  return { uid, keep: () => taken.keep() };
}

/** How long a creation is waited for after the command was interrupted: until it ends, nobody knows whether the object is there. */
const LAST_ANSWER_MS = 1500;

/** One object that is created once, and removed again where it is this very one. */
export class Creation {
  readonly #context: FlowContext;
  readonly #undo: Undo;
  readonly #path: string;
  readonly #body: Json;
  readonly #mark = randomUUID();
  #isOpen = false;
  #ended: Promise<unknown> = Promise.resolve();

  constructor(context: FlowContext, undo: Undo, path: string, body: Json) {
    this.#context = context;
    this.#undo = undo;
    this.#path = path;
    this.#body = body;
  }

  /** Throws an ApiFailure or an Unanswered. */
  async made(): Promise<Json> {
    const { connection, signal } = this.#context;
    this.#isOpen = true;
    const creating = createOnce(connection, {
      path: this.#path,
      body: this.#body,
      mark: this.#mark,
      evenAfterAbort: true,
      signal: this.#undo.last,
    });
    this.#ended = creating.then(
      () => (this.#isOpen = false),
      () => (this.#isOpen = false),
    );
    return await Promise.race([creating, interruption(signal)]);
  }

  /** Answers whether it was there. Throws where that cannot be seen, or where it stays. */
  async remove(): Promise<boolean> {
    await Promise.race([this.#ended, sleep(this.#isOpen ? LAST_ANSWER_MS / 2 : 0)]);
    const path = `${this.#path}/${encodeURIComponent(string(object(this.#body["metadata"])["name"]))}`;
    const there = await lookFor(this.#context, path, this.#undo.last);
    if (there === undefined && this.#isOpen) throw new Error("the API server has not answered whether it was created");
    if (there === undefined || string(object(object(there["metadata"])["annotations"])[REQUEST_MARK]) !== this.#mark) return false;
    await ensureGone(this.#context, path, uidOf(there), this.#undo.last);
    return true;
  }
}

/** Rejects a moment after the command was interrupted. */
async function interruption(signal: AbortSignal): Promise<never> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  await sleep(LAST_ANSWER_MS, undefined, { ref: false });
  throw signal.reason;
}

/** What the API server's refusal means. */
function refused(error: unknown, { namespace, name }: RestorePlan): unknown {
  if (!(error instanceof ApiFailure)) return error;
  const { status, message, why, said } = error;
  if (status === 409 && error.reason !== "AlreadyExists" && !/already exists/.test(`${message} ${why ?? ""}`)) return error;
  const explain = (
    reason: string,
    what: ConstructorParameters<typeof UserError>[0]["message"],
    more: { why?: typeof said.why; fix: ReturnType<typeof say> },
  ) => new UserError({ reason, message: what, ...more, cause: error });
  if (status === 409)
    return explain("AlreadyExists", say`pod/${name} already exists in namespace ${namespace}`, {
      fix: say`give another name: --name NAME`,
    });
  if (status === 422 || status === 400) {
    const fix = say`edit its manifest: kubectl checkpoint restore … --dry-run=client -o yaml, then kubectl create -f`;
    return explain("PodInvalid", say`the API server refused the pod as invalid; nothing was created`, {
      why: said.why ?? said.message,
      fix,
    });
  }
  if (status === 404)
    return explain("NamespaceNotFound", say`namespace "${namespace}" not found`, { fix: say`kubectl get namespaces, then give -n NAME` });
  if (
    status === 403 &&
    /violates PodSecurity|exceeded quota|failed quota|admission webhook|denied the request|ValidatingAdmissionPolicy|(minimum|maximum) /.test(
      message,
    )
  )
    return explain("PodRefused", say`the pod was refused in namespace ${namespace}; it was not created`, {
      why: said.message,
      fix: say`restore into another namespace: -n NAME`,
    });
  return error;
}
