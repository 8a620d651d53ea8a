// Grants as commands and as objects.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Right } from "../../src/cluster/access.ts";
import { grantCommands, grantManifests } from "../../src/cluster/grants.ts";
import { plain } from "../../src/model/phrase.ts";

const pods = (verb: string): Right => ({ verb, group: "", resource: "pods", namespace: "web" });
const PROXY: Right = { verb: "create", group: "", resource: "nodes", subresource: "proxy" };

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly rules?: readonly { readonly verbs: readonly string[] }[];
}

function roles(rights: readonly Right[], user: string): Map<string, string> {
  const manifests = grantManifests(rights, user) as Manifest[];
  return new Map(
    manifests.flatMap(({ metadata, rules }) => (rules === undefined ? [] : [[metadata.name, rules.flatMap(({ verbs }) => verbs).join()]])),
  );
}

test("a role a resource, for the user", () => {
  assert.deepEqual(plain(grantCommands([pods("get"), PROXY, pods("list")], "ann b")).split("\n"), [
    "kubectl create role kubectl-checkpoint-get-list-pods --verb=get,list --resource=pods -n web",
    "kubectl create rolebinding kubectl-checkpoint-get-list-pods-ann-b --role=kubectl-checkpoint-get-list-pods --user='ann b' -n web",
    "kubectl create clusterrole kubectl-checkpoint-create-nodes-proxy --verb=create --resource=nodes/proxy",
    "kubectl create clusterrolebinding kubectl-checkpoint-create-nodes-proxy-ann-b --clusterrole=kubectl-checkpoint-create-nodes-proxy --user='ann b'",
  ]);
  assert.match(plain(grantCommands([PROXY], "system:serviceaccount:ops:bot")), /--serviceaccount=ops:bot$/);
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
