import { setTimeout as sleep } from "node:timers/promises";
import type { Right } from "../../cluster/access.ts";
import { ApiFailure } from "../../cluster/answer.ts";
import { callJson } from "../../cluster/api.ts";
import { apiPath } from "../../cluster/connection.ts";
import { grantManifests, roleAndBinding } from "../../cluster/grants.ts";
import { CRIU_DIRECTORY } from "../../helper/criu-operations.ts";
import type { Helpers } from "../../helper/helpers.ts";
import { probeKubelet } from "../../kubelet/probe.ts";
import { UserError } from "../../model/error.ts";
import { object, string } from "../../model/json.ts";
import { joined, say } from "../../model/phrase.ts";
import { KUBELET_RIGHT } from "../../doctor/rights.ts";
import type { FlowContext } from "../context.ts";
import type { Diagnosed, Leftover } from "./diagnose.ts";

const KUBELET_ROLE = "kubelet-checkpoint";
/** The kubelet remembers a refusal for 30 s, unless it is configured otherwise. */
const REMEMBERED_MS = 45_000;
const POLL_MS = 1000;

/** Roles and bindings that would give the rights whose lack was found: the user's, and the API server's own. */
export function missingManifests({ cluster: { who, needed, missing }, nodes }: Diagnosed): object[] {
  const lacking: Right[] = [...new Set([...needed.checkpoint, ...needed.copy, ...needed.restore])].filter((right) => missing.has(right));
  const identities = new Set(nodes.flatMap(({ probe, granted }) => (granted === true ? [] : (probe.identity ?? []))));
  return [
    ...(who === undefined ? [] : grantManifests(lacking, who)),
    ...[...identities].flatMap((identity, index) => {
      const name = index === 0 ? KUBELET_ROLE : `${KUBELET_ROLE}-${index + 1}`;
      const rules = [{ apiGroups: [KUBELET_RIGHT.group], resources: ["nodes/checkpoint"], verbs: [KUBELET_RIGHT.verb] }];
      return roleAndBinding({ role: name, binding: name, rules, grantee: { kind: "user", name: identity }, namespace: undefined });
    }),
  ];
}

/** Applies them as the current user, by server-side apply. Throws NotApplied with what the API server says. */
export async function applyManifests({ connection, emit }: FlowContext, manifests: readonly object[]): Promise<void> {
  for (const manifest of manifests) {
    const { kind, metadata } = object(manifest);
    const { name, namespace } = object(metadata);
    const path = pathOf(string(kind), string(name), string(namespace));
    emit({ kind: "activity", lane: "apply", text: say`applying ${string(kind)} ${string(name)}` });
    try {
      const query = { fieldManager: "kubectl-checkpoint" };
      await callJson(connection, {
        method: "PATCH",
        path,
        query,
        body: manifest,
        contentType: "application/apply-patch+yaml",
        repeatable: true,
      });
    } catch (error) {
      if (!(error instanceof ApiFailure)) throw error;
      throw new UserError({
        reason: "NotApplied",
        message: say`${string(kind)} ${string(name)} could not be applied`,
        why: error.why ?? error.message,
        fix: "let a cluster admin do it: kubectl checkpoint doctor --fix prints what is missing, for kubectl apply -f -",
        cause: error,
      });
    } finally {
      emit({ kind: "idle", lane: "apply" });
    }
  }
}

function pathOf(kind: string, name: string, namespace: string): string {
  const plural = `${kind.toLowerCase()}s`;
  return namespace === ""
    ? apiPath`/apis/rbac.authorization.k8s.io/v1/${plural}/${name}`
    : apiPath`/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/${plural}/${name}`;
}

/** Waits until the kubelets have forgotten that they refused, as far as they do. */
export async function waitForKubelets({ connection, emit, signal }: FlowContext, nodes: readonly string[]): Promise<void> {
  const deadline = performance.now() + REMEMBERED_MS;
  try {
    for (let left = [...nodes]; ;) {
      const probes = await Promise.all(left.map(async (node) => ({ node, probe: await probeKubelet(connection, node) })));
      left = probes.filter(({ probe }) => probe.error?.reason === "KubeletForbidden").map(({ node }) => node);
      if (left.length === 0 || performance.now() > deadline) return;
      emit({ kind: "activity", lane: "kubelets", text: say`waiting: ${left.join(", ")} remember the refusal, for 30 seconds at most` });
      await sleep(POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  } finally {
    emit({ kind: "idle", lane: "kubelets" });
  }
}

/** Options of CRIU that an interrupted --criu-option left. Throws a UserError where the node's files cannot be changed. */
export async function putBack({ emit }: FlowContext, helpers: Helpers, { node, owner }: Leftover): Promise<void> {
  await using directory = helpers.directory(node, "criu-options", CRIU_DIRECTORY);
  const answers = await directory.lines(["criu-back", owner]);
  const changed = answers.flatMap((line) => /^changed (.*)$/.exec(line)?.[1] ?? []);
  emit({ kind: "hint", text: say`CRIU's options on ${node} were put back` });
  if (changed.length > 0)
    emit({
      kind: "warning",
      text: say`${joined(changed, ", ")} in ${CRIU_DIRECTORY} on ${node} was changed by somebody else meanwhile, and was left as it is`,
    });
}
