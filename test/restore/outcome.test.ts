import assert from "node:assert/strict";
import { test } from "node:test";
import { evidenceOf, outcomeOf } from "../../src/restore/outcome.ts";
import { alwaysPullsBase, parseRuntime, restoreVerdict } from "../../src/restore/runtimes.ts";

const IMAGE = "10.92.0.1:5000/counter@sha256:b3b5";
const TOLD = { namespace: "default", pod: "r", container: "counter", node: "node2", image: IMAGE };

function judged(status: object) {
  return outcomeOf({ metadata: { name: "r" }, status: { containerStatuses: [{ name: "counter", restartCount: 0, ...status }] } }, TOLD);
}

function failure(status: object): string {
  const outcome = judged(status);
  assert.equal(outcome.kind, "failed");
  return outcome.kind === "failed" ? outcome.explanation.reason : "";
}

const waiting = (reason: string, message: string) => ({ state: { waiting: { reason, message } } });
const ended = (reason: string, exitCode: number, message = "") => ({ state: { terminated: { reason, exitCode, message } } });

test("each failure of a restore has its reason, by the words seen on real nodes", () => {
  const cases: [object, string][] = [
    [
      waiting(
        "CreateContainerError",
        "failed to pull checkpoint base image 10.90.0.1:5000/apps@sha256:61: failed to resolve reference: dial tcp: connect: network is unreachable",
      ),
      "BaseImageNotPulled",
    ],
    [
      waiting("CreateContainerError", 'failed to read "status.dump": open /tmp/checkpoint820074020/status.dump: no such file or directory'),
      "EngineMismatch",
    ],
    [
      waiting(
        "RunContainerError",
        "failed to restore containerd task: failed to create shim task: OCI runtime restore failed: criu failed: type RESTORE errno 0",
      ),
      "CRIUFailed",
    ],
    [waiting("CreateContainerError", 'restoring "x" expects following bind mounts defined (/etc/web,/data)'), "MountMissing"],
    [waiting("CreateContainerError", "no command specified"), "NotRestored"],
    [
      ended(
        "StartError",
        128,
        'failed to create shim task: OCI runtime create failed: runc create failed: exec: "/bin/sh": stat /bin/sh: no such file or directory',
      ),
      "NotRestored",
    ],
    [waiting("CreateContainerError", "context deadline exceeded"), "RuntimeTimedOut"],
    [waiting("CreateContainerConfigError", 'secret "token" not found'), "ObjectMissing"],
    [
      waiting("CreateContainerError", "namespaced signature policy x; signature validation is not supported for container restore"),
      "SignaturePolicy",
    ],
    [waiting("ErrImagePull", "failed to resolve image: 10.92.0.1:5000/nothere8:1: not found"), "CheckpointImageNotPulled"],
    [
      waiting("ImagePullBackOff", "tls: failed to verify certificate: x509: certificate signed by unknown authority"),
      "CheckpointImageNotPulled",
    ],
    [waiting("CrashLoopBackOff", "back-off 10s restarting failed container"), "RestoreFailed"],
    [ended("OOMKilled", 137), "OutOfMemory"],
    [ended("Error", 137), "Killed"],
    [ended("Completed", 0), "Ended"],
  ];
  for (const [status, reason] of cases) assert.equal(failure(status), reason, JSON.stringify(status));
});

test("what ended before it restarted counts, not the waiting for the next try", () => {
  const status = {
    ...waiting("CrashLoopBackOff", "back-off 10s restarting failed container"),
    lastState: { terminated: { reason: "StartError", exitCode: 128, message: "criu failed: type RESTORE errno 0" } },
  };
  assert.equal(failure(status), "CRIUFailed");
});

test("a pod that the kubelet refuses is told in its words; one that starts is waited for", () => {
  const refused = outcomeOf(
    { metadata: { name: "r" }, status: { phase: "Failed", reason: "OutOfcpu", message: "Node didn't have enough resource" } },
    TOLD,
  );
  assert.equal(refused.kind === "failed" && refused.explanation.why, "OutOfcpu: Node didn't have enough resource");
  assert.deepEqual(outcomeOf({ metadata: {}, status: {} }, TOLD), { kind: "waiting", what: "" });
  assert.deepEqual(judged(waiting("ContainerCreating", "")), { kind: "waiting", what: "ContainerCreating" });
});

test("running is not restored: the base image proves it, an older log too, each by itself", () => {
  const running = judged({ state: { running: { startedAt: "2026-11-24T09:36:48Z" } }, image: "10.92.0.1:5000/busybox:1" });
  if (running.kind !== "running") throw new Error(running.kind);
  const [older, newer] = ["2026-11-24T09:36:09.803Z", "2026-11-24T09:36:48.803Z"];
  assert.equal(evidenceOf(running, IMAGE, older).length, 2);
  assert.equal(evidenceOf(running, IMAGE, newer).length, 1, "a new log proves nothing");
  const same = { ...running, image: "10.92.0.1:5000/counter:1" };
  assert.deepEqual(
    evidenceOf(same, IMAGE, older),
    [`its log begins at ${older}, before the container was started at 2026-11-24T09:36:48Z`],
    "base image and checkpoint in one repository",
  );
  for (const line of [newer, undefined]) assert.deepEqual(evidenceOf(same, IMAGE, line), [], "cannot be told");
  assert.deepEqual(evidenceOf({ ...running, image: "" }, IMAGE, undefined), []);
});

test("which runtimes restore", () => {
  const cases: [string, string][] = [
    ["containerd://1.7.20", "no"],
    ["containerd://2.0.9", "no"],
    ["containerd://2.1.9+unknown", "yes"],
    ["containerd://v2.2.6", "yes"],
    ["containerd://2.2.7", "maybe"],
    ["containerd://2.3.3", "yes"],
    ["containerd://2.3.4", "maybe"],
    ["containerd://2.4.0-beta.0", "no"],
    ["cri-o://1.24.0", "no"],
    ["cri-o://1.34.11", "maybe"],
    ["cri-o://1.37.0", "maybe"],
    ["docker://27.0.0", "no"],
    ["", "maybe"],
  ];
  for (const [version, verdict] of cases) assert.equal(restoreVerdict(parseRuntime(version)).restores, verdict, version);
  const pulls = (version: string): boolean => alwaysPullsBase(parseRuntime(version) ?? assert.fail());
  assert.deepEqual([pulls("containerd://2.1.9"), pulls("containerd://2.2.0"), pulls("cri-o://1.34.0")], [true, false, false]);
});
