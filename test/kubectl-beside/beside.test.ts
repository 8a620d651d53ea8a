// Runs on Linux only: kubectl is the one of the cluster.
// What kubectl does with a kubeconfig, its flags and its environment, this plugin does too: the requests of both are compared.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { RUN } from "../e2e/harness.ts";
import { ANSWERS } from "./cases/answers.ts";
import { CREDENTIALS } from "./cases/credentials.ts";
import { EXEC } from "./cases/exec.ts";
import { FLAGS } from "./cases/flags.ts";
import { IMPERSONATION } from "./cases/impersonation.ts";
import { KUBECONFIGS } from "./cases/kubeconfigs.ts";
import { OIDC } from "./cases/oidc.ts";
import { PROXIED } from "./cases/proxied.ts";
import { TLS } from "./cases/tls.ts";
import { makePki } from "./pki.ts";
import { Site } from "./site.ts";
import { outcome, type Case } from "./table.ts";

const CASES: readonly Case[] = [
  ...CREDENTIALS,
  ...EXEC,
  ...IMPERSONATION,
  ...FLAGS,
  ...TLS,
  ...PROXIED,
  ...KUBECONFIGS,
  ...OIDC,
  ...ANSWERS,
];

const KUBECTL = join(RUN, "bin/kubectl");
const WITHOUT = existsSync(KUBECTL) ? undefined : `there is no ${KUBECTL} to compare with: npm run cluster -- up`;
const folder = mkdtempSync(join(tmpdir(), "kubectl-beside-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const pki = makePki(folder);

function matches(text: string | undefined, wanted: string | RegExp, what: string): void {
  const found = typeof wanted === "string" ? text?.includes(wanted) === true : wanted.test(text ?? "");
  assert.ok(found, `${what}: ${String(text)}\nshould have: ${String(wanted)}`);
}

async function compare(one: Case, index: number): Promise<void> {
  const site = new Site(pki, join(folder, String(index)));
  try {
    const given = await one.given(site);
    const theirs = one.better !== undefined && one.kubectlSays === undefined ? undefined : await outcome("kubectl", site, given, one);
    if (one.kubectlSays !== undefined) matches(theirs?.failure, one.kubectlSays, "kubectl's error");
    const ours = await outcome("plugin", site, given, one);
    if (one.fails !== undefined) {
      assert.equal(ours.reason, one.fails.reason, `${ours.failure ?? ours.request}`);
      matches(ours.failure, one.fails.says, "the plugin's error");
    } else {
      assert.equal(ours.failure, undefined);
      matches(ours.request, one.arrives ?? "", "the request");
    }
    if (one.runs !== undefined) assert.equal(ours.runs.length, one.runs, "runs of the exec plugin");
    if (one.refreshes !== undefined) assert.deepEqual(ours.refreshes, one.refreshes);
    if (one.better !== undefined || theirs === undefined) return;
    if (one.kubectlSays === undefined) assert.equal(theirs.failure, undefined);
    if (one.fails === undefined) {
      assert.equal(ours.request, theirs.request);
      if (one.asksAgain !== true) assert.equal(ours.count, theirs.count, "requests");
    }
    assert.deepEqual(ours.proxied, theirs.proxied);
    assert.deepEqual(ours.left, theirs.left);
    if (one.refreshes !== undefined) assert.deepEqual(ours.refreshes, theirs.refreshes);
  } finally {
    site.close();
  }
}

describe("beside kubectl", { concurrency: 4, skip: WITHOUT ?? false }, () => {
  for (const [index, one] of CASES.entries()) test(one.name, async () => await compare(one, index));
});

test("there are at least 60 cases", () => assert.ok(CASES.length >= 60, String(CASES.length)));
