// Grants as commands and as objects.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Right } from "../../src/cluster/access.ts";
import { grantCommands, grantManifests } from "../../src/cluster/grants.ts";
import { neededRights } from "../../src/doctor/rights.ts";
import { plain } from "../../src/model/phrase.ts";

const pods = (verb: string): Right => ({ verb, group: "", resource: "pods", namespace: "web" });
const PROXY: Right = { verb: "create", group: "", resource: "nodes", subresource: "proxy" };

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly { readonly resources: readonly string[]; readonly verbs: readonly string[] }[];
  readonly subjects?: readonly { readonly kind: string; readonly name: string }[];
}

function roles(rights: readonly Right[], user: string): Map<string, string> {
  const manifests = grantManifests(rights, { kind: "user", name: user }) as Manifest[];
  return new Map(
    manifests.flatMap(({ metadata, rules }) => (rules === undefined ? [] : [[metadata.name, rules.flatMap(({ verbs }) => verbs).join()]])),
  );
}

/** Readable, and of another user "ann-b" it is another one. */
const ANN_B = "ann-b-26bfe2725e";

test("a role a resource, for the user", () => {
  assert.deepEqual(plain(grantCommands([pods("get"), PROXY, pods("list")], { kind: "user", name: "ann b" })).split("\n"), [
    "kubectl create role kubectl-checkpoint-get-list-pods --verb=get,list --resource=pods -n web",
    `kubectl create rolebinding kubectl-checkpoint-get-list-pods-${ANN_B} --role=kubectl-checkpoint-get-list-pods --user='ann b' -n web`,
    "kubectl create clusterrole kubectl-checkpoint-create-nodes-proxy --verb=create --resource=nodes/proxy",
    `kubectl create clusterrolebinding kubectl-checkpoint-create-nodes-proxy-${ANN_B} --clusterrole=kubectl-checkpoint-create-nodes-proxy --user='ann b'`,
  ]);
  assert.match(plain(grantCommands([PROXY], { kind: "user", name: "system:serviceaccount:ops:bot" })), /--serviceaccount=ops:bot$/);
});

test("objects are as few as can be: a role and its binding for a namespace, and one pair for the whole cluster", () => {
  const rights = [
    ...neededRights("web", "helpers").checkpoint,
    ...neededRights("web", "helpers").copy,
    ...neededRights("web", "helpers").restore,
  ];
  const manifests = grantManifests(rights, { kind: "group", name: "on call" }) as Manifest[];
  assert.deepEqual(
    manifests.map(({ kind, metadata: { namespace } }) => [kind, namespace]),
    [
      ["Role", "web"],
      ["RoleBinding", "web"],
      ["ClusterRole", undefined],
      ["ClusterRoleBinding", undefined],
      ["Role", "helpers"],
      ["RoleBinding", "helpers"],
    ],
  );
  for (const { rules, subjects } of manifests) {
    assert.deepEqual(subjects?.map(({ kind, name }) => `${kind} ${name}`) ?? ["Group on call"], ["Group on call"]);
    for (const { resources, verbs } of rules ?? []) assert.ok(resources.length > 0 && verbs.length > 0);
  }
  const granted = manifests.flatMap(({ metadata: { namespace }, rules = [] }) =>
    rules.flatMap(({ resources, verbs }) => resources.flatMap((resource) => verbs.map((verb) => `${namespace ?? ""} ${verb} ${resource}`))),
  );
  const wanted = rights.map(
    ({ namespace, verb, resource, subresource }) => `${namespace ?? ""} ${verb} ${resource}${subresource ? `/${subresource}` : ""}`,
  );
  assert.deepEqual(new Set(granted), new Set(wanted));
  assert.deepEqual(grantManifests([], { kind: "group", name: "on call" }), []);
});

test("roles of one name grant the same: applying one takes nothing from those that have it already", () => {
  const given = [
    roles([pods("get"), pods("list")], "ann"),
    roles([pods("list")], "ben"),
    roles([pods("create"), pods("get")], "ann"),
    roles([pods("list"), pods("get")], "cid"),
  ];
  const byName = Map.groupBy(
    given.flatMap((one) => [...one]),
    ([name]) => name,
  );
  assert.equal(byName.size, 3);
  for (const [name, all] of byName)
    assert.equal(new Set(all.map(([, verbs]) => verbs.split(",").sort().join())).size, 1, `${name}: ${String(all)}`);
});
