import assert from "node:assert/strict";
import { test } from "node:test";
import { powersOf } from "../../src/restore/powers.ts";

function powers(spec: object): string[] {
  return powersOf({ spec }).map(({ what, escapes }) => `${escapes ? "! " : ""}${what}`);
}

function ofContainer(securityContext: object): string[] {
  return powers({ containers: [{ name: "web", securityContext }] });
}

test("an ordinary pod has no power", () => {
  const security = {
    privileged: false,
    runAsUser: 0,
    procMount: "Default",
    capabilities: { add: ["CHOWN", "NET_BIND_SERVICE"], drop: ["ALL"] },
    seccompProfile: { type: "RuntimeDefault" },
  };
  assert.deepEqual(ofContainer(security), []);
  const volumes = [
    { name: "kube-api-access-x", projected: { sources: [{ serviceAccountToken: {} }] } },
    { name: "s", secret: {} },
    { name: "e", emptyDir: {} },
  ];
  assert.deepEqual(powers({ serviceAccountName: "default", hostNetwork: false, volumes, containers: [{ name: "a" }] }), []);
  assert.deepEqual(powersOf({}), []);
});

test("each power by its name; what leads out of a sandbox is told from what does not", () => {
  const spec = {
    hostNetwork: true,
    hostPID: true,
    hostIPC: true,
    serviceAccountName: "admin",
    volumes: [{ name: "root", hostPath: { path: "/" } }],
    initContainers: [{ name: "init", securityContext: { privileged: true } }],
    containers: [{ name: "web", ports: [{ containerPort: 80, hostPort: 80 }] }],
  };
  assert.deepEqual(powers(spec), [
    "! it is on the node's network (hostNetwork)",
    "! it sees the node's processes (hostPID)",
    "! it shares the node's memory segments (hostIPC)",
    "! its volume root is / of the node (hostPath)",
    "! container init is privileged",
    "it has the rights of service account admin",
  ]);
  assert.deepEqual(powers({ containers: [{ name: "web", ports: [{ hostPort: 80 }] }] }), ["container web takes ports of the node (80)"]);
  const cases: [object, string[]][] = [
    [{ capabilities: { add: ["NET_ADMIN"] } }, ["container web has the capabilities NET_ADMIN"]],
    [{ capabilities: { add: ["NET_ADMIN", "SYS_ADMIN"] } }, ["! container web has the capabilities NET_ADMIN, SYS_ADMIN"]],
    [{ capabilities: { add: ["ALL"] } }, ["! container web has the capabilities ALL"]],
    [{ procMount: "Unmasked" }, ["! container web has all of /proc (procMount Unmasked)"]],
    [{ seccompProfile: { type: "Unconfined" } }, ["container web has seccompProfile Unconfined"]],
    [{ appArmorProfile: { type: "Unconfined" } }, ["container web has appArmorProfile Unconfined"]],
    [{ seLinuxOptions: { type: "spc_t" } }, ["! container web has the SELinux type spc_t"]],
  ];
  for (const [security, expected] of cases) assert.deepEqual(ofContainer(security), expected);
  assert.deepEqual(powers({ securityContext: { seccompProfile: { type: "Unconfined" } } }), ["the pod has seccompProfile Unconfined"]);
});

test("a service account without a token is a name only", () => {
  const spec = { serviceAccountName: "web", automountServiceAccountToken: false };
  assert.deepEqual(powers(spec), []);
  assert.equal(powers({ ...spec, volumes: [{ name: "t", projected: { sources: [{ serviceAccountToken: {} }] } }] }).length, 1);
});
