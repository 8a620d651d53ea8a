import { createHash } from "node:crypto";
import { kindOf, type Grantee, type Right } from "./access.ts";
import { command, joined, say, type Phrase } from "../model/phrase.ts";

/** A role with one kind of resource, and who gets it. */
interface Grant {
  readonly role: string;
  readonly binding: string;
  readonly rights: readonly [Right, ...Right[]];
}

/**
 * A role a resource, so that nothing else is granted with it. It is called by all that it grants: whoever applies another one for
 * somebody else, or for another purpose, takes nothing from those that have this one.
 */
function grants(rights: readonly Right[], grantee: Grantee): Grant[] {
  return [...Map.groupBy(rights, (right) => `${right.namespace ?? ""} ${kindOf(right)}`).values()].map((group) => {
    const own = group as [Right, ...Right[]];
    const verbs = own.map(({ verb }) => verb).sort();
    const role = `kubectl-checkpoint-${verbs.join("-")}-${kindOf(own[0]).replaceAll(/[./]/g, "-")}`;
    return { role, binding: `${role}-${bindingName(grantee)}`, rights: own };
  });
}

/** Commands that grant the rights, for somebody who may. */
export function grantCommands(rights: readonly Right[], grantee: Grantee): Phrase {
  const lines = grants(rights, grantee).flatMap(({ role, binding, rights: [right, ...others] }) => {
    const { namespace } = right;
    const kind = namespace === undefined ? "clusterrole" : "role";
    const suffix = namespace === undefined ? say`` : command` -n ${namespace}`;
    const verbs = [right, ...others].map(({ verb }) => verb).join(",");
    return [
      command`kubectl create ${kind} ${role} --verb=${verbs} --resource=${kindOf(right)}${suffix}`,
      command`kubectl create ${say`${kind}binding`} ${binding} --${say`${kind}`}=${role} ${subjectFlag(grantee)}${suffix}`,
    ];
  });
  return joined(lines, "\n");
}

/**
 * The same as objects of the API, as few as can be: a role and a binding for each namespace, and one pair for the whole cluster. A role is
 * called by a hash of what it grants, for the reason above.
 */
export function grantManifests(rights: readonly Right[], grantee: Grantee): object[] {
  const places = Map.groupBy(rights, ({ namespace }) => namespace);
  return [...places].flatMap(([namespace, own]) => {
    const kinds = [...Map.groupBy(own, kindOf).values()].map((some) => ({
      apiGroups: [some[0]?.group ?? ""],
      resources: [some[0] === undefined ? "" : resourceOf(some[0])],
      verbs: some.map(({ verb }) => verb).sort(),
    }));
    // What has the same verbs is one rule.
    const rules = [...Map.groupBy(kinds, ({ apiGroups, verbs }) => JSON.stringify([apiGroups, verbs])).values()].map((some) => ({
      apiGroups: some[0]?.apiGroups,
      resources: some.flatMap(({ resources }) => resources).sort(),
      verbs: some[0]?.verbs,
    }));
    const sorted = rules.map((rule) => JSON.stringify(rule)).sort();
    const role = `kubectl-checkpoint-${hash(sorted.join())}`;
    return roleAndBinding({ role, binding: `${role}-${bindingName(grantee)}`, rules, grantee, namespace });
  });
}

function resourceOf({ resource, subresource }: Right): string {
  return subresource === undefined ? resource : `${resource}/${subresource}`;
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 10);
}

/** Readable, and another one for each name. */
function bindingName({ kind, name }: Grantee): string {
  const readable = name
    .replaceAll(/[^a-z0-9]+/gi, "-")
    .replaceAll(/^-|-$/g, "")
    .toLowerCase()
    .slice(0, 40);
  const part = kind === "group" ? `group-${readable}` : readable;
  return readable === name ? part : `${part}-${hash(name)}`;
}

/** A role and its binding to somebody: in a namespace, or in the whole cluster. */
export function roleAndBinding(what: {
  readonly role: string;
  readonly binding: string;
  readonly rules: readonly object[];
  readonly grantee: Grantee;
  readonly namespace: string | undefined;
}): [object, object] {
  const { role, binding, rules, grantee, namespace } = what;
  const apiVersion = "rbac.authorization.k8s.io/v1";
  const kind = namespace === undefined ? "ClusterRole" : "Role";
  const place = namespace === undefined ? {} : { namespace };
  return [
    { apiVersion, kind, metadata: { name: role, ...place }, rules },
    {
      apiVersion,
      kind: `${kind}Binding`,
      metadata: { name: binding, ...place },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name: role },
      subjects: [subject(grantee)],
    },
  ];
}

const ACCOUNT = /^system:serviceaccount:([^:]+):(.+)$/;

function subject({ kind, name: given }: Grantee): object {
  const [, namespace, name] = (kind === "user" && ACCOUNT.exec(given)) || [];
  return name === undefined
    ? { apiGroup: "rbac.authorization.k8s.io", kind: kind === "user" ? "User" : "Group", name: given }
    : { kind: "ServiceAccount", namespace, name };
}

function subjectFlag({ kind, name: given }: Grantee): Phrase {
  if (kind === "group") return command`--group=${given}`;
  const [, namespace, name] = ACCOUNT.exec(given) ?? [];
  return name === undefined ? command`--user=${given}` : command`--serviceaccount=${`${namespace}:${name}`}`;
}
