import assert from "node:assert/strict";
import { test } from "node:test";
import { explainAnswer } from "../../src/kubelet/answers.ts";
import { criuLogOf, logPathsIn } from "../../src/kubelet/criu-log.ts";
import { CriuFailure } from "../../src/kubelet/target.ts";

const ID = "e933a3de23958da78911d7e04b4a64fc7e68510c3f941c4bf33d5f8e550468e7";
const OTHER = ID.replace("e", "f");
const CONTAINERD = `/run/containerd/io.containerd.runtime.v2.task/k8s.io/${ID}`;
/** Of crun under containerd. */
const CRUN = `/var/lib/containerd/io.containerd.grpc.v1.cri/containers/${ID}/ctrd-checkpoint`;
const CRIO = `/var/lib/containers/storage/overlay-containers/${ID}/userdata`;

/** What containerd says, seen; what CRI-O says with runc and with crun, from reports (criu#2018, criu#2011). */
const SAID: readonly (readonly [string, string])[] = [
  [
    `checkpointing of a/b/c failed (rpc error: code = Unknown desc = failed to checkpoint container: runc did not terminate successfully: exit status 1: criu failed: type DUMP errno 0 path= ${CONTAINERD}/criu-dump.log)`,
    `${CONTAINERD}/criu-dump.log`,
  ],
  [
    `checkpointing of a/b/c failed (rpc error: code = Unknown desc = failed to checkpoint container ${ID}: running "/usr/sbin/runc" ["checkpoint" "--image-path" "${CRIO}/checkpoint" "--work-path" "${CRIO}" "--leave-running" "${ID}"] failed: exit status 1)`,
    `${CRIO}/dump.log`,
  ],
  [
    `checkpointing of a/b/c failed (rpc error: code = Unknown desc = failed to checkpoint container ${ID}: \`/usr/bin/crun --root=/run/crun checkpoint --image-path ${CRIO}/checkpoint --work-path ${CRIO} --leave-running ${ID}\` failed: CRIU checkpointing failed -52.  Please check CRIU logfile ${CRIO}/dump.log  : exit status 1)`,
    `${CRIO}/dump.log`,
  ],
  [
    `checkpointing of a/b/c failed (\`runc checkpoint --work-path ${CRIO} ${ID}\` failed: time="2024-07-12T07:05:08Z" level=error msg="criu failed: type NOTIFY errno 0\\nlog file: ${CRIO}/dump.log": exit status 1)`,
    `${CRIO}/dump.log`,
  ],
  [
    `checkpointing of a/b/c failed (rpc error: code = Unknown desc = /usr/bin/crun did not terminate successfully: exit status 1: --- excerpt from CRIU log \`${CRUN}/dump.log\` path= ${CONTAINERD}/criu-dump.log)`,
    `${CRUN}/dump.log`,
  ],
];

test("the log's path in the words of containerd and CRI-O, with runc and crun", () => {
  for (const [said, path] of SAID) {
    const target = { node: "n", namespace: "a", pod: "b", container: "c" };
    const error = explainAnswer({ status: 500, headers: { "content-type": "text/plain" }, text: said }, target);
    assert.equal(error.reason, "CRIUFailed", said);
    assert.equal(error instanceof CriuFailure ? error.logs[0] : "", path);
    assert.match(error.fix ?? "", /--explain/);
  }
  assert.deepEqual(logPathsIn("criu failed: type DUMP errno 0 path="), []);
  assert.deepEqual(
    logPathsIn(SAID.at(-1)?.[0] ?? ""),
    [`${CRUN}/dump.log`, `${CONTAINERD}/criu-dump.log`],
    "crun's own first, then containerd's",
  );
});

test("the directories of runtimes are read, for this container only", () => {
  for (const [directory, name] of [
    [CONTAINERD, "criu-dump.log"],
    [CONTAINERD.replace("/run/", "/run/k3s/"), "criu-dump.log"],
    [CONTAINERD.replace("/run/", "/var/lib/"), "criu-dump.log"],
    [CRIO, "dump.log"],
    [CRUN, "dump.log"],
    [CRIO.replace("/var/lib/", "/run/"), "dump.log"],
  ] as const)
    assert.deepEqual(criuLogOf(`${directory}/${name}`, `containerd://${ID}`), { directory, name });
  assert.equal(criuLogOf(`/var/run/${CONTAINERD.slice(5)}/criu-dump.log`, `containerd://${ID}`)?.directory, CONTAINERD, "/var/run is /run");
});

test("nothing else is, whatever an error text names", () => {
  for (const path of [
    "/etc/shadow",
    "/etc/criu-dump.log",
    `/tmp/${ID}/criu-dump.log`,
    `${CONTAINERD.replace(ID, OTHER)}/criu-dump.log`,
    `${CONTAINERD}/../${OTHER}/criu-dump.log`,
    `${CONTAINERD}/rootfs/criu-dump.log`,
    `${CONTAINERD}/config.json`,
    `/run/containerd/../../etc/${ID}/criu-dump.log`,
    `/var/lib/kubelet/pods/${ID}/criu-dump.log`,
    `${CRIO}/../../${OTHER}/userdata/dump.log`,
    `x${CONTAINERD}/criu-dump.log`,
    `${CONTAINERD}/criu-dump.log\n/etc/shadow`,
    "",
  ])
    assert.equal(criuLogOf(path, `containerd://${ID}`), undefined, path);
  for (const id of ["", "containerd://", "containerd://..", `containerd://${ID}/..`, ID])
    assert.equal(criuLogOf(`${CONTAINERD}/criu-dump.log`, id), undefined, id);
});

test("words without an end, however long, are looked through once", () => {
  const path = `${CONTAINERD}/criu-dump.log`;
  const began = performance.now();
  assert.deepEqual(logPathsIn(`${"/".repeat(200_000)} path= ${path} ${path}:${CRIO}/dump.log`), [path, `${CRIO}/dump.log`]);
  assert.ok(performance.now() - began < 30_000);
});
