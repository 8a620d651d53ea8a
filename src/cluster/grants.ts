import { kindOf, type Right } from "./access.ts";
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
function grants(rights: readonly Right[], user: string): Grant[] {
  return [...Map.groupBy(rights, (right) => `${right.namespace ?? ""} ${kindOf(right)}`).values()].map((group) => {
    const own = group as [Right, ...Right[]];
    const verbs = own.map(({ verb }) => verb).sort();
    const role = `kubectl-checkpoint-${verbs.join("-")}-${kindOf(own[0]).replaceAll(/[./]/g, "-")}`;
    return { role, binding: `${role}-${user.replaceAll(/[^a-z0-9]+/gi, "-").toLowerCase()}`, rights: own };
  });
}

/** Commands that grant the rights, for somebody who may. */
export function grantCommands(rights: readonly Right[], user: string): Phrase {
  const lines = grants(rights, user).flatMap(({ role, binding, rights: [right, ...others] }) => {
    const { namespace } = right;
    const kind = namespace === undefined ? "clusterrole" : "role";
    const suffix = namespace === undefined ? say`` : command` -n ${namespace}`;
    const verbs = [right, ...others].map(({ verb }) => verb).join(",");
    return [
      command`kubectl create ${kind} ${role} --verb=${verbs} --resource=${kindOf(right)}${suffix}`,
      command`kubectl create ${say`${kind}binding`} ${binding} --${say`${kind}`}=${role} ${subjectFlag(user)}${suffix}`,
    ];
  });
  return joined(lines, "\n");
}

/** The same as objects of the API. */
export function grantManifests(rights: readonly Right[], user: string): object[] {
  return grants(rights, user).flatMap(({ role, binding, rights: [right, ...others] }) => {
    const { namespace, group, resource, subresource } = right;
    const rule = {
      apiGroups: [group],
      resources: [subresource === undefined ? resource : `${resource}/${subresource}`],
      verbs: [right, ...others].map(({ verb }) => verb),
    };
    return roleAndBinding({ role, binding, rules: [rule], user, namespace });
  });
}

/** A role and its binding to a user: in a namespace, or in the whole cluster. */
export function roleAndBinding(what: {
  readonly role: string;
  readonly binding: string;
  readonly rules: readonly object[];
  readonly user: string;
  readonly namespace: string | undefined;
}): [object, object] {
  const { role, binding, rules, user, namespace } = what;
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
      subjects: [subject(user)],
    },
  ];
}

const ACCOUNT = /^system:serviceaccount:([^:]+):(.+)$/;

function subject(user: string): object {
  const [, namespace, name] = ACCOUNT.exec(user) ?? [];
  return name === undefined
    ? { apiGroup: "rbac.authorization.k8s.io", kind: "User", name: user }
    : { kind: "ServiceAccount", namespace, name };
}

function subjectFlag(user: string): Phrase {
  const [, namespace, name] = ACCOUNT.exec(user) ?? [];
  return name === undefined ? command`--user=${user}` : command`--serviceaccount=${`${namespace}:${name}`}`;
}
