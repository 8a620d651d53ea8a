// Which missing rights an error names, from an API server that lacks them one by one.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Right } from "../../src/cluster/access.ts";
import { callJson } from "../../src/cluster/api.ts";
import type { Connection } from "../../src/cluster/connection.ts";
import { checkpointRights, helperRights, requireRights } from "../../src/flows/rights.ts";
import type { UserError } from "../../src/model/error.ts";
import { connectTo, fakeApiserver } from "../fakes.ts";

interface Review {
  readonly spec: { readonly resourceAttributes: { readonly verb: string; readonly resource: string; readonly subresource?: string } };
}

/** Ann may do what is listed, and nothing else. */
async function ann(t: TestContext, ...allowed: string[]): Promise<Connection> {
  const server = await fakeApiserver(t, (request, response) => {
    const answer = (status: number, body: object) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    let text = "";
    request.on("data", (part: Buffer) => (text += part.toString()));
    request.on("end", () => {
      if (request.url?.includes("selfsubjectreviews")) return answer(201, { status: { userInfo: { username: "ann" } } });
      if (!request.url?.includes("accessreviews")) return answer(403, { kind: "Status", message: "pods is forbidden" });
      const { verb, resource, subresource } = (JSON.parse(text) as Review).spec.resourceAttributes;
      return answer(201, { status: { allowed: allowed.includes(`${verb} ${[resource, subresource].filter(Boolean).join("/")}`) } });
    });
  });
  return await connectTo(t, server);
}

async function refused(connection: Connection, rights: Parameters<typeof requireRights>[1], inner?: readonly Right[]): Promise<UserError> {
  const work = async (): Promise<unknown> => await callJson(connection, { path: "/api/v1/pods" });
  return await requireRights(
    connection,
    rights,
    inner === undefined ? work : async () => await requireRights(connection, inner, work),
  ).then(
    () => assert.fail("not refused"),
    (error: UserError) => error,
  );
}

const PROXY: Right = { verb: "create", group: "", resource: "nodes", subresource: "proxy" };

test("one list a verb: the workload's kind, pods, the node, the helper pod", () => {
  const of = (workloads: readonly string[], helperNamespace?: string) =>
    checkpointRights({ namespace: "web", listed: true, workloads, helperNamespace }).map(({ verb, resource, group }) =>
      [verb, resource, group].join(" ").trim(),
    );
  assert.deepEqual(of(["deploy", "deployment.apps", "cj"]), [
    "get deployments apps",
    "get cronjobs batch",
    "list jobs batch",
    "list pods",
    "get pods",
    "create nodes",
  ]);
  for (const [type, expected] of [
    ["rs", "replicasets apps"],
    ["statefulset", "statefulsets apps"],
    ["ds", "daemonsets apps"],
    ["rc", "replicationcontrollers"],
    ["job", "jobs batch"],
    ["svc", "services"],
  ] as const)
    assert.equal(of([type])[0], `get ${expected}`);
  assert.equal(of([], "helpers").length, 3 + helperRights("helpers").length);
  assert.deepEqual(checkpointRights({ namespace: undefined, listed: false, workloads: [], helperNamespace: undefined }), [
    { verb: "get", group: "", resource: "pods" },
    PROXY,
  ]);
});

test("what is refused within is told with all that the verb needs, once", async (t) => {
  const connection = await ann(t, "get pods");
  const rights = checkpointRights({ namespace: "web", listed: false, workloads: ["deploy"], helperNamespace: undefined });
  const error = await refused(connection, async () => rights, [PROXY]);
  assert.equal(error.message, 'user "ann" is missing these permissions: get deployments.apps in namespace web, create nodes/proxy');
  assert.equal(error.why, "pods is forbidden");
  assert.equal(error.fix?.split("\n").length, 5);
});

test("rights that cannot be found out leave what was refused", async (t) => {
  const error = await refused(await ann(t), async () => await Promise.reject(new Error("gone")), [PROXY]);
  assert.match(error.message, /: create nodes\/proxy$/);
});

test("port-forward is not missed where exec is allowed", async (t) => {
  const message = async (...allowed: string[]) => (await refused(await ann(t, ...allowed), helperRights("h"))).message;
  assert.match(
    await message("create jobs", "get pods/exec", "create pods/exec"),
    /: patch jobs\S+ .*, delete jobs\S+ .*, list pods in namespace h$/,
  );
  assert.match(await message("get pods/exec"), /create pods\/portforward in namespace h$/);
});
