// A question before a pod that is more than a plain one is created, and none before any other.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FlowContext } from "../../../src/flows/context.ts";
import { planRestore, type RestoreOptions } from "../../../src/flows/restore/plan.ts";
import { agreeToPowers } from "../../../src/flows/restore/restore.ts";
import { Interrupted } from "../../../src/model/error.ts";
import type { Json } from "../../../src/model/json.ts";
import { plain, type Phrase } from "../../../src/model/phrase.ts";
import { context } from "../../fakes.ts";

const OPTIONS: RestoreOptions = {
  name: undefined,
  namespace: undefined,
  node: undefined,
  bypassScheduler: false,
  setImages: new Map(),
  isolated: false,
  keep: { labels: false, annotations: false, liveness: false, readiness: false, startup: false },
  keepHostPorts: false,
};
const ORDINARY = { containers: [{ name: "web" }] };

function plan(spec: Json, more: Partial<RestoreOptions> = {}, annotations: Json = {}) {
  const info = { container: "web", pod: "web", namespace: "shop", command: ["/web"], volumes: undefined };
  const origin = { pod: { metadata: { name: "web", namespace: "shop", annotations }, spec } };
  return planRestore({ facts: { info, architecture: "amd64" }, origin }, { ...OPTIONS, ...more }, "reg.local/web:1", undefined, "default");
}

function asked(t: { signal: AbortSignal }, answer?: boolean) {
  const questions: string[] = [];
  const before = context(t.signal);
  const confirm = async (question: Phrase): Promise<boolean> => {
    questions.push(plain(question));
    return await Promise.resolve(answer === true);
  };
  const ask = answer === undefined ? before.ask : { ...before.ask, possible: true, confirm };
  return { context: { ...before, ask } as unknown as FlowContext, questions };
}

test("a plain pod is created unasked, without a terminal too", async (t) => {
  await agreeToPowers(asked(t).context, plan(ORDINARY), undefined, false);
});

test("without a terminal it is exit status 2, with all that the pod could do; --yes confirms it", async (t) => {
  const powerful = plan({ hostPID: true, containers: [{ name: "web" }, { name: "more", securityContext: { privileged: true } }] });
  await assert.rejects(agreeToPowers(asked(t).context, powerful, "node2", false), {
    reason: "ConsentNeeded",
    exitCode: 2,
    message:
      /pod\/web-restored in namespace shop on node2, restored from reg\.local\/web:1, .*hostPID.*; container more is privileged|container more is privileged.*hostPID/,
    fix: /--yes/,
  });
  await agreeToPowers(asked(t).context, powerful, "node2", true);
});

test("at a terminal the answer counts", async (t) => {
  const powerful = plan({ ...ORDINARY, serviceAccountName: "admin" });
  const [yes, no] = [asked(t, true), asked(t, false)];
  await agreeToPowers(yes.context, powerful, undefined, false);
  assert.match(yes.questions[0] ?? "", /namespace shop, restored from reg\.local\/web:1, .*service account admin\. Create it\?$/);
  await assert.rejects(agreeToPowers(no.context, powerful, undefined, false), Interrupted);
});

test("isolated there is nothing to ask about a service account, whose token is gone", async (t) => {
  await agreeToPowers(asked(t).context, plan({ ...ORDINARY, serviceAccountName: "admin" }, { isolated: true }), undefined, false);
});

test("annotations are asked about where they are kept, and keep a pod from being isolated", async (t) => {
  const keep = { ...OPTIONS.keep, annotations: true };
  const networks = { "k8s.v1.cni.cncf.io/networks": "outside", "kubectl.kubernetes.io/default-container": "web" };
  await agreeToPowers(asked(t).context, plan(ORDINARY, {}, networks), undefined, false);
  await assert.rejects(agreeToPowers(asked(t).context, plan(ORDINARY, { keep }, networks), undefined, false), {
    message: /is more than a plain pod: it has the annotation k8s\.v1\.cni\.cncf\.io\/networks$/,
  });
  assert.throws(() => plan(ORDINARY, { keep, isolated: true }, networks), {
    reason: "NotIsolable",
    why: /k8s\.v1\.cni\.cncf\.io\/networks/,
  });
});

test("isolated: each way out is refused", () => {
  const web = { name: "web" };
  const ways: Json[] = [
    { hostNetwork: true },
    { volumes: [{ name: "v", nfs: { server: "10.0.0.1", path: "/" } }] },
    { volumes: [{ name: "v", csi: { driver: "x.example" } }] },
    { volumes: [{ name: "v", flexVolume: { driver: "x/y" } }] },
    { volumes: [{ name: "v", persistentVolumeClaim: { claimName: "data" } }] },
    { volumes: [{ name: "v", someNewKind: { anything: 1 } }] },
    { containers: [{ ...web, lifecycle: { postStart: { httpGet: { host: "10.0.0.1", port: 80 } } } }] },
    { containers: [{ ...web, lifecycle: { preStop: { tcpSocket: { host: "out.example", port: 80 } } } }] },
    { containers: [web, { name: "gpu", resources: { limits: { "rdma/hca": 1 } } }] },
    { containers: [{ ...web, somethingNew: true }] },
    { someNewField: { x: 1 } },
  ];
  for (const more of ways)
    assert.throws(() => plan({ ...ORDINARY, ...more }, { isolated: true }), { reason: "NotIsolable" }, JSON.stringify(more));
  const probe = { ...web, readinessProbe: { httpGet: { host: "10.0.0.1", port: 80 } } };
  const keep = { ...OPTIONS.keep, readiness: true };
  assert.throws(() => plan({ containers: [probe] }, { isolated: true, keep }), { reason: "NotIsolable", why: /10\.0\.0\.1/ });
  plan({ containers: [probe] }, { isolated: true });
});

test("a namespace that nobody named is reported", () => {
  const notes = (more: Partial<RestoreOptions>): string => plan(ORDINARY, more).notes.map(plain).join("\n");
  assert.match(notes({}), /^it is created in namespace shop, where the original was, not in default: use -n NAME for another$/);
  for (const namespace of ["shop", "default"]) assert.equal(notes({ namespace }), "");
});
