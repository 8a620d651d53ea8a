import assert from "node:assert/strict";
import { test } from "node:test";
import { explainAnswer } from "../../src/kubelet/answers.ts";
import { postCheckpoint } from "../../src/kubelet/checkpoint.ts";
import type { About } from "../../src/kubelet/target.ts";
import { connectTo, fakeApiserver } from "../fakes.ts";

const TARGET = { node: "node1", namespace: "default", pod: "counter", container: "c" };

function status(message: string): { headers: Record<string, string>; text: string } {
  return { headers: { "content-type": "application/json" }, text: JSON.stringify({ kind: "Status", message }) };
}

function text(body: string): { headers: Record<string, string>; text: string } {
  return { headers: { "content-type": "text/plain" }, text: body };
}

const FAILED = "checkpointing of default/counter/c failed";

// Word for word as kubelets and runtimes say it; those of the cluster's own versions are provoked live in test/e2e.
const ANSWERS: [number, { headers: Record<string, string>; text: string }, string][] = [
  [401, status("Unauthorized"), "Unauthorized"],
  [
    403,
    status('nodes "node1" is forbidden: User "bob" cannot create resource "nodes/proxy" in API group "" at the cluster scope'),
    "Forbidden",
  ],
  [
    403,
    text("Forbidden (user=kube-apiserver-kubelet-client, verb=create, resource=nodes, subresource(s)=[checkpoint])"),
    "KubeletForbidden",
  ],
  [403, text("Forbidden (user=system:node:x, verb=create, resource=nodes, subresource(s)=[checkpoint proxy])"), "KubeletForbidden"],
  [404, status('nodes "node1" not found'), "NodeNotFound"],
  [503, status("error trying to reach service: dial tcp 10.90.0.12:10250: connect: connection refused"), "KubeletUnreachable"],
  [503, status("error trying to reach service: EOF"), "OutcomeUnknown"],
  [400, status("lookup node1 on 10.0.0.10:53: no such host"), "NodeNameUnresolvable"],
  [404, text("404 page not found"), "GateOff"],
  [404, text("pod does not exist"), "PodGone"],
  [404, text("container nope does not exist"), "NoSuchContainer"],
  [404, text("cannot parse value of timeout parameter"), "TimeoutInvalid"],
  [500, text(`${FAILED} (CheckpointContainer requires the timeout value to be > 0)`), "TimeoutInvalid"],
  [500, text(`${FAILED} (container c not found)`), "ContainerNotRunning"],
  [500, text(`${FAILED} (rpc error: code = Unknown desc = container X is not running)`), "ContainerNotRunning"],
  [500, text(`${FAILED} (rpc error: only CONTAINER_RUNNING containers can be checkpointed)`), "ContainerNotRunning"],
  [
    500,
    text(
      `${FAILED} (CRIU binary not found or too old (<31600). Failed to checkpoint container "x": exec: "criu": executable file not found in $PATH)`,
    ),
    "CRIUMissing",
  ],
  [500, text(`${FAILED} (criu binary not found in shim path or system PATH)`), "CRIUMissing"],
  [
    500,
    text(
      `${FAILED} (runc did not terminate successfully: exit status 1: CRIU version check failed: exec: "criu": executable file not found in $PATH path= /run/containerd/io.containerd.runtime.v2.task/k8s.io/abc/criu-dump.log)`,
    ),
    "CRIUMissing",
  ],
  [
    500,
    text(
      `${FAILED} (failed to checkpoint container ab: check for CRIU failed to check for criu version: exec: "criu": executable file not found in $PATH)`,
    ),
    "CRIUMissing",
  ],
  [500, text(`${FAILED} (check for CRIU checkpoint/restore requires at least CRIU 31600, current version is 31500)`), "CRIUTooOld"],
  [
    500,
    text(
      `${FAILED} (CRIU binary not found or too old (<31600). Failed to checkpoint container "x": checkpoint/restore requires at least CRIU 31600, current version is 31500)`,
    ),
    "CRIUTooOld",
  ],
  [
    500,
    text(`${FAILED} (crun: could not load \`libcriu.so.2\`: \`libcriu.so.2: cannot open shared object file: No such file or directory\`)`),
    "LibcriuMissing",
  ],
  [500, text(`${FAILED} (/usr/bin/crun did not terminate successfully: exit status 1: compiled without CRIU support)`), "BuiltWithoutCRIU"],
  [500, text(`${FAILED} (mkdir /var/lib/kubelet/checkpoints: permission denied)`), "DirectoryNotWritable"],
  [500, text(`${FAILED} (rpc error: code = Unknown desc = mkdir /tmp/ctrd-checkpoint12: permission denied)`), "CheckpointFailed"],
  [500, text(`${FAILED} (open /var/lib/kubelet/checkpoints/checkpoint-a.tar: read-only file system)`), "DirectoryNotWritable"],
  [
    500,
    text(
      `${FAILED} (rpc error: code = Unknown desc = open /var/lib/containerd/io.containerd.grpc.v1.cri/containers/5506/status: no such file or directory)`,
    ),
    "ContainerStatusMissing",
  ],
  [
    500,
    text(
      `${FAILED} (rpc error: code = Unknown desc = failed to pause container "ab" before checkpointing: \`/usr/bin/runc --root /run/runc pause ab\` failed: time="2026-11-30T10:00:00Z" level=error msg="container not running" : container process not found)`,
    ),
    "ContainerPaused",
  ],
  [500, text(`${FAILED} (checkpoint/restore requires at least CRIU 31600)`), "CRIUTooOld"],
  [500, text(`${FAILED} (criu support is disabled by configuration)`), "RuntimeUnsupported"],
  [
    500,
    text(`${FAILED} (rpc error: code = Unimplemented desc = unknown method CheckpointContainer for service runtime.v1.RuntimeService)`),
    "RuntimeUnsupported",
  ],
  [500, text(`${FAILED} (method CheckpointContainer not implemented)`), "RuntimeUnsupported"],
  [500, text(`${FAILED} (checkpoint/restore support not available)`), "RuntimeUnsupported"],
  [
    500,
    text(
      `${FAILED} (runc did not terminate successfully: exit status 1: criu failed: type DUMP errno 0 path= /run/containerd/io.containerd.runtime.v2.task/k8s.io/abc/criu-dump.log)`,
    ),
    "CRIUFailed",
  ],
  [500, text(`${FAILED} (runc did not terminate successfully: exit status 1: read unixpacket @->@: EOF)`), "CRIUKilled"],
  [500, text(`${FAILED} (write /var/lib/kubelet/checkpoints/checkpoint-counter.tar: no space left on device)`), "NodeDiskFull"],
  [500, text(`${FAILED} (rpc error: code = DeadlineExceeded desc = context deadline exceeded)`), "RuntimeTimedOut"],
  [500, text(`${FAILED} (pausing container: cannot pause a paused container)`), "ContainerPaused"],
  [
    500,
    text(`${FAILED} (rpc error: code = Unknown desc = checkpointing container "b213" failed: OCI runtime pause failed: unable to freeze)`),
    "FreezeFailed",
  ],
  [500, text("something that nobody foresaw"), "CheckpointFailed"],
  [502, text("<html>bad gateway</html>"), "OutcomeUnknown"],
  [504, text("<html>gateway timeout</html>"), "OutcomeUnknown"],
  [503, text("upstream connect error or disconnect/reset before headers. reset reason: connection termination"), "OutcomeUnknown"],
  [520, { headers: { "content-type": "text/html" }, text: "<html>unknown error" }, "OutcomeUnknown"],
  [500, { headers: { "content-type": "text/html" }, text: "<html><center>nginx</center>" }, "OutcomeUnknown"],
  [502, { headers: { "content-type": "application/json" }, text: '{"message":"invalid response of the upstream"}' }, "OutcomeUnknown"],
  [503, status("error trying to reach service: http2: server sent GOAWAY and closed the connection"), "OutcomeUnknown"],
  [503, status("error trying to reach service: net/http: timeout awaiting response headers"), "OutcomeUnknown"],
  [503, status("error trying to reach service: context deadline exceeded"), "OutcomeUnknown"],
  [
    503,
    status("error trying to reach service: read unix @->/etc/kubernetes/konnectivity-server.socket: use of closed network connection"),
    "OutcomeUnknown",
  ],
  [
    503,
    status("error trying to reach service: dial unix /etc/kubernetes/konnectivity-server.socket: connect: connection refused"),
    "KonnectivityDown",
  ],
  [503, status("error trying to reach service: dial tcp 10.0.0.2:10250: connect: connection refused"), "KubeletUnreachable"],
  [504, status("Timeout: request did not complete within the allotted timeout"), "OutcomeUnknown"],
  [503, status("error trying to reach service: http2: client connection lost"), "OutcomeUnknown"],
  [503, status("error trying to reach service: read tcp 10.0.0.1:1->10.0.0.2:10250: read: connection timed out"), "OutcomeUnknown"],
  [503, status("error trying to reach service: dial tcp 10.0.0.2:10250: connect: connection timed out"), "KubeletUnreachable"],
  [503, status("error trying to reach service: No agent available"), "KonnectivityDown"],
  [503, status("error trying to reach service: remote error: tls: internal error"), "KubeletCertificate"],
  [
    503,
    status("error trying to reach service: x509: cannot validate certificate for 10.0.0.2 because it doesn't contain any IP SANs"),
    "KubeletCertificate",
  ],
  [503, status("error trying to reach service: dial tcp 10.0.0.2:10250: i/o timeout"), "KubeletUnreachable"],
  [302, { headers: { location: "https://login.example/" }, text: "<html>" }, "LoginPage"],
];

for (const [code, { headers, text: body }, reason] of ANSWERS) {
  test(`${code} ${body.slice(0, 90)}: ${reason}`, () => {
    const error = explainAnswer({ status: code, headers, text: body }, TARGET);
    assert.equal(error.reason, reason);
    assert.equal(error.exitCode, 1);
    assert.doesNotMatch(error.message, /\.$/);
  });
}

test("an unknown answer is shown as it is, without the wrappers around it, and not at any length", () => {
  const error = explainAnswer({ status: 500, ...text("x".repeat(1e6)) }, TARGET);
  assert.match(error.why ?? "", /^x{300} … x{700}$/);
  const wrapped = explainAnswer({ status: 500, ...text(`${FAILED} (rpc error: code = Unknown desc = new words (of 2026))`) }, TARGET);
  assert.equal(wrapped.why, "new words (of 2026)");
});

function explained(said: string, about: About = {}): { reason: string; message: string; why: string; fix: string } {
  const { reason, message, why = "", fix = "" } = explainAnswer({ status: 500, ...text(`${FAILED} (${said})`) }, TARGET, about);
  return { reason, message, why, fix };
}

test("a container that stays paused: how to resume it, by its runtime", () => {
  const said = "pausing container: cannot pause a paused container";
  assert.match(explained(said, { containerID: "containerd://ab12" }).fix, /: ctr -n k8s\.io task resume ab12$/);
  assert.match(explained(said, { containerID: "cri-o://ab12" }).fix, /: runc --root \/run\/runc resume ab12 /);
});

test("a CRIU that was killed is no failed dump with a log to read: the kernel's log says who it was", () => {
  // What runc says when kill -9 has ended its CRIU.
  const { message, why, fix } = explained(
    "rpc error: code = Unknown desc = runc did not terminate successfully: exit status 1: read unixpacket @->@: EOF",
  );
  assert.equal(message, "CRIU was killed, or crashed, while it dumped container c in pod/counter; no checkpoint was taken");
  assert.equal(why, "runc did not terminate successfully: exit status 1: read unixpacket @->@: EOF");
  assert.match(fix, /dmesg.*rerun$/);
  assert.equal(
    explained("runc did not terminate successfully: exit status 1: read unixpacket @->@: connection reset by peer").reason,
    "CheckpointFailed",
  );
});

test("fixes name the switch of the version at hand, and whether its runtime looks for CRIU again by itself", () => {
  const restart = /then restart its runtime, which looks for CRIU only when it starts/;
  assert.match(explained('failed to checkpoint container "f7da5d": criu binary not found in shim path or system PATH').fix, restart);
  assert.match(explained("checkpoint/restore requires at least CRIU 31600, current version is 31500").fix, restart);
  assert.doesNotMatch(
    explained('CRIU binary not found or too old (<31600). Failed to checkpoint container "x": exec: "criu"').fix,
    restart,
    "containerd 2.1 looks each time",
  );
  assert.match(
    explained("criu support is disabled by configuration", { runtime: "containerd://2.4.2" }).fix,
    /\[plugins\.'io\.containerd\.cri\.v1\.runtime'\]: enable_criu = true; then restart containerd/,
  );
  const crio = (version: string): string => explained("checkpoint/restore support not available", { runtime: `cri-o://${version}` }).fix;
  assert.match(crio("1.29.4"), /enable_criu_support = true \(it is off by default before CRI-O 1\.30\); then restart CRI-O/);
  assert.match(crio("1.37.0"), /: \[crio\.checkpoint_restore\] container_level_enabled = "checkpoint_restore"; then restart CRI-O/);
  assert.match(crio("1.36.3"), /enable_criu_support = true.*container_level_enabled/);
  const unimplemented = "rpc error: code = Unimplemented desc = method CheckpointContainer not implemented";
  assert.equal(explained(unimplemented, { runtime: "containerd://1.7.24" }).fix, "upgrade containerd on node1 to 2.0 or later");
  const gvisor = explained(unimplemented, { runtime: "containerd://2.1.9", runtimeClass: "gvisor" });
  assert.equal(gvisor.message, "the runtime class gvisor of the pod does not checkpoint");
  assert.doesNotMatch(gvisor.fix, /containerd 2/);
  assert.match(
    explained("check for CRIU checkpoint/restore requires at least CRIU 31600, current version is 31500").message,
    /too old \(3\.15\)/,
  );
});

test("CRI-O quotes runc's log: the cause is in the answer, without --explain", () => {
  const dump = "/var/lib/containers/storage/overlay-containers/ab/userdata";
  const error = explained(
    `rpc error: code = Unknown desc = failed to checkpoint container ab: running "/usr/bin/runc" ["checkpoint" "--file-locks" "--image-path" "${dump}/checkpoint" "--work-path" "${dump}" "--leave-running" "ab"] failed: time="2026-11-30T10:00:00Z" level=warning msg="--- Quoting \\"${dump}/dump.log\\""\ntime="2026-11-30T10:00:00Z" level=warning msg="28:(00.077090) Error (criu/vdso.c:381): vdso: Unexpected rt vDSO area bounds"\ntime="2026-11-30T10:00:00Z" level=error msg="criu failed: type DUMP errno 0"`,
  );
  assert.equal(error.reason, "CRIUFailed");
  assert.match(error.why, /too old for its kernel.*\n\(00\.077090\) Error \(criu\/vdso\.c:381\): vdso: Unexpected rt vDSO area bounds$/);
  assert.match(error.fix, /^install CRIU 4\.2/);
});

test("the grant's command quotes a user that a shell would take apart", () => {
  const error = explainAnswer(
    { status: 403, ...text("Forbidden (user=a'b; rm -rf /, verb=create, resource=nodes, subresource(s)=[checkpoint])") },
    TARGET,
  );
  assert.ok(error.fix?.includes(String.raw`--user='a'\''b; rm -rf /'`), error.fix ?? "");
});

test("a partial archive on a full node is named", () => {
  const error = explainAnswer(
    { status: 500, ...text(`${FAILED} (write /var/lib/kubelet/checkpoints/checkpoint-c.tar: no space left on device)`) },
    TARGET,
  );
  assert.equal(error.why, "a partial file is left at node1:/var/lib/kubelet/checkpoints/checkpoint-c.tar");
});

test("two checkpoints at once are told by each of containerd's words for it", () => {
  for (const said of [
    "open /var/lib/containerd/io.containerd.grpc.v1.cri/containers/5506/ctrd-checkpoint/status: no such file or directory",
    "mkdir /var/lib/containerd/io.containerd.grpc.v1.cri/containers/5506/ctrd-checkpoint: file exists",
    "failed to create diff tar stream: short write copying file",
    "failed to create diff tar stream: failed to copy: archive/tar: write too long",
    "failed to create diff tar stream: lstat /var/lib/containerd/io.containerd.grpc.v1.cri/containers/5506/ctrd-checkpoint/checkpoint/pstree.img: no such file or directory",
    "mount callback failed on /var/lib/containerd/tmpmounts/containerd-mount1: failed to write compressed diff: failed to create diff tar stream: readdirent /var/lib/containerd/tmpmounts/containerd-mount1/tmp/cr-tmpfs.Xf13Kf: no such file or directory",
    "failed to open writer: ref k8s.io/1/checkpoint-rw-c8ae2dfb06e7 locked for 385.973ms (since 2026-11-24 10:11:12)",
    'image "containerd.io/checkpoint/5506c566:11-24-2026-13:25:05": already exists',
  ]) {
    assert.equal(explainAnswer({ status: 500, ...text(`${FAILED} (${said})`) }, TARGET).reason, "CheckpointCollision", said);
  }
});

test("200 without a path is not taken for success", async (t) => {
  for (const body of ["", "{}", '{"items":[]}', '{"items":["relative.tar"]}', '{"items":[1]}', "null", "x"]) {
    const server = await fakeApiserver(t, (_request, response) => response.end(body));
    const connection = await connectTo(t, server);
    await assert.rejects(postCheckpoint(connection, TARGET, { signal: t.signal }), { reason: "AnswerInvalid" }, body);
  }
});

test("the call: escaped path, the timeout rounded up to seconds, one POST", async (t) => {
  const seen: string[] = [];
  const server = await fakeApiserver(t, (request, response) => {
    seen.push(`${request.method} ${request.url}`);
    response.end('{"items":["/var/lib/kubelet/checkpoints/a.tar"]}');
  });
  const connection = await connectTo(t, server);
  const archive = await postCheckpoint(connection, { ...TARGET, pod: "a/../b?c" }, { signal: t.signal, timeoutMs: 1500 });
  assert.deepEqual(archive, { kind: "node", node: "node1", path: "/var/lib/kubelet/checkpoints/a.tar" });
  assert.deepEqual(seen, ["POST /api/v1/nodes/node1/proxy/checkpoint/default/a%2F..%2Fb%3Fc/c?timeout=2"]);
});

test("a connection that is cut after the call was sent leaves the outcome unknown, and is not tried again", async (t) => {
  let calls = 0;
  const server = await fakeApiserver(t, (request) => {
    calls += 1;
    request.socket.destroy();
  });
  const connection = await connectTo(t, server);
  await assert.rejects(postCheckpoint(connection, TARGET, { signal: t.signal }), { reason: "OutcomeUnknown" });
  assert.equal(calls, 1);
});

test("a connection that never was is no unknown outcome", async (t) => {
  const connection = await connectTo(t, "http://127.0.0.1:1");
  await assert.rejects(postCheckpoint(connection, TARGET, { signal: t.signal }), { reason: "ApiserverUnreachable" });
});
