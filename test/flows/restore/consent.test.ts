// A question before a pod with power is made, and none before any other.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FlowContext } from "../../../src/flows/context.ts";
import { agreeToPowers } from "../../../src/flows/restore/consent.ts";
import { planRestore, type RestoreOptions } from "../../../src/flows/restore/plan.ts";
import { Interrupted } from "../../../src/model/error.ts";
import type { Json } from "../../../src/model/json.ts";
import { plain, type Phrase } from "../../../src/model/phrase.ts";

import { context } from "../../fakes.ts";

const OPTIONS: RestoreOptions = {
  name: undefined,
  namespace: undefined,
  node: undefined,
  setImages: new Map(),
  isolated: false,
  keep: { labels: false, annotations: false, liveness: false, readiness: false, startup: false },
  keepHostPorts: false,
};
const ORDINARY = { containers: [{ name: "web" }] };

function plan(spec: Json, more: Partial<RestoreOptions> = {}) {
  const info = { container: "web", pod: "web", namespace: "shop", command: ["/web"], volumes: undefined };
  const origin = { pod: { metadata: { name: "web", namespace: "shop" }, spec } };
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

test("an ordinary pod is made unasked, without a terminal too", async (t) => {
  await agreeToPowers(asked(t).context, plan(ORDINARY), undefined, false);
});

test("without a terminal it is exit status 2, with all that the pod could do; --yes goes ahead", async (t) => {
  const powerful = plan({ hostPID: true, containers: [{ name: "web" }, { name: "more", securityContext: { privileged: true } }] });
  await assert.rejects(agreeToPowers(asked(t).context, powerful, "node2", false), {
    reason: "ConsentNeeded",
    exitCode: 2,
    message: /pod\/web-restored in namespace shop on node2, restored from reg\.local\/web:1, .*hostPID.*; container more is privileged/,
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

test("a namespace that nobody named is told", () => {
  const notes = (more: Partial<RestoreOptions>): string => plan(ORDINARY, more).notes.map(plain).join("\n");
  assert.match(notes({}), /^it goes to namespace shop, where the original was, not to default: -n NAME gives it another$/);
  for (const namespace of ["shop", "default"]) assert.equal(notes({ namespace }), "");
});
