// How the doctor judges what it was told.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Right } from "../../src/cluster/access.ts";
import { readNodeObject } from "../../src/cluster/nodes.ts";
import { readPod } from "../../src/cluster/pods.ts";
import { CLUSTER_CHECKS } from "../../src/doctor/checks/cluster.ts";
import { CONTAINER_CHECKS } from "../../src/doctor/checks/container.ts";
import { DEEP_CHECKS, type JudgedDeep } from "../../src/doctor/checks/deep.ts";
import { NODE_CHECKS, type JudgedNode } from "../../src/doctor/checks/node.ts";
import type { ClusterFacts } from "../../src/doctor/facts/cluster.ts";
import { criuOptions, parseHost } from "../../src/doctor/facts/deep.ts";
import { specOf, type ContainerFacts } from "../../src/doctor/facts/pod.ts";
import { notLookedAt, runChecks, type Check, type Finding } from "../../src/doctor/finding.ts";
import { neededRights } from "../../src/doctor/rights.ts";
import { summarize } from "../../src/doctor/summary.ts";
import { criuTooOld, looksOnce } from "../../src/doctor/versions.ts";
import { restoreVerdict, parseRuntime } from "../../src/restore/runtimes.ts";
import { UserError } from "../../src/model/error.ts";
import { plain } from "../../src/model/phrase.ts";

function statuses<Facts>(checks: readonly Check<Facts>[], facts: Facts): Record<string, string> {
  return Object.fromEntries(runChecks(checks, facts).map(({ check, status }) => [check, status]));
}

function messageOf<Facts>(checks: readonly Check<Facts>[], facts: Facts, name: string): string {
  return plain(runChecks(checks, facts).find(({ check }) => check === name)?.message ?? "");
}

const needed = neededRights("web", "helpers");
const CLUSTER: ClusterFacts = {
  server: "https://a:6443",
  version: "v1.36.3",
  who: { kind: "user", name: "ann" },
  unasked: false,
  needed,
  missing: new Set<Right>(),
  helperNamespace: "helpers",
  admission: "admitted",
};

test("rights are named one by one, with the commands that grant them", () => {
  const missing = new Set([needed.checkpoint[2], needed.copy[0], needed.copy[1]].filter((right) => right !== undefined));
  const found = runChecks(CLUSTER_CHECKS, { ...CLUSTER, missing });
  assert.deepEqual(
    found.map(({ check, status }) => `${check} ${status}`),
    ["api-server ok", "rights-checkpoint fail", "rights-copy fail", "rights-restore ok", "rights-forecast ok", "helper-pod ok"],
  );
  assert.equal(plain(found[1]?.message ?? ""), 'user "ann" may not create nodes/proxy');
  assert.equal(plain(found[2]?.message ?? ""), 'user "ann" may not create/patch jobs.batch in namespace helpers');
  assert.match(
    plain(found[1]?.fix ?? ""),
    /^a cluster admin runs once:\nkubectl create clusterrole \S+ --verb=create --resource=nodes\/proxy\nkubectl create clusterrolebinding \S+ --clusterrole=\S+ --user=ann$/,
  );
  assert.equal(statuses(CLUSTER_CHECKS, { ...CLUSTER, missing: new Set(needed.restore) })["rights-restore"], "warn");
});

test("exec does in place of port-forward: its lack is warned of, and decides nothing", () => {
  const portForward = needed.copy.filter(({ subresource }) => subresource === "portforward");
  const of = (missing: readonly Right[]) =>
    runChecks(CLUSTER_CHECKS, { ...CLUSTER, missing: new Set(missing) }).find(({ check }) => check === "rights-copy");
  const spared = of(portForward);
  assert.deepEqual([spared?.status, spared?.decides], ["warn", []]);
  assert.equal(
    plain(spared?.message ?? ""),
    'user "ann" may not get/create pods/portforward in namespace helpers: copies use exec, which is slower',
  );
  assert.match(plain(spared?.fix ?? ""), /--verb=get,create --resource=pods\/portforward -n helpers/);
  assert.equal(of([...portForward, ...needed.exec])?.status, "fail");
  assert.equal(of([...portForward, ...needed.copy.slice(0, 1)])?.status, "fail");
  assert.equal(of(needed.exec)?.status, "ok");
});

test("an API server that is away, old, or does not admit the helper pod", () => {
  const away = new UserError({ reason: "ApiserverUnreachable", message: "cannot be reached", fix: "look" });
  assert.deepEqual(Object.values(statuses(CLUSTER_CHECKS, { ...CLUSTER, version: away, who: undefined })), [
    "fail",
    "skip",
    "skip",
    "skip",
    "skip",
    "skip",
  ]);
  assert.equal(statuses(CLUSTER_CHECKS, { ...CLUSTER, version: "v1.24.9" })["api-server"], "fail");
  const refused = new UserError({ reason: "HelperPodSecurity", message: "not admitted", why: "PodSecurity", fix: "kubectl label x" });
  assert.equal(statuses(CLUSTER_CHECKS, { ...CLUSTER, admission: refused })["helper-pod"], "fail");
  assert.equal(statuses(CLUSTER_CHECKS, { ...CLUSTER, admission: "forbidden" })["helper-pod"], "skip");
});

function node(
  more: { ready?: string; pressure?: string; runtime?: string; kubelet?: string; probe?: string; facts?: Partial<JudgedNode> } = {},
): JudgedNode {
  const { ready = "True", pressure = "False", runtime = "containerd://2.1.9", kubelet = "v1.36.3", probe } = more;
  const object = {
    metadata: { name: "n" },
    spec: { taints: [{ key: "k", effect: "NoExecute" }] },
    status: {
      conditions: [
        { type: "Ready", status: ready, message: "gone" },
        { type: "DiskPressure", status: pressure },
      ],
      nodeInfo: { kubeletVersion: kubelet },
    },
  };
  const error = probe === undefined ? undefined : new UserError({ reason: probe, message: `${probe}!`, why: "because", fix: "do" });
  return {
    name: "n",
    node: readNodeObject(object),
    serverVersion: "v1.36.3",
    probe: { error, identity: probe === "KubeletForbidden" ? "apiserver" : undefined },
    granted: undefined,
    runtimeRequestTimeout: "10m0s",
    roomBytes: 2 ** 34,
    runtime,
    restores: restoreVerdict(parseRuntime(runtime)),
    ...more.facts,
  };
}

test("a node as it should be", () => {
  assert.deepEqual(new Set(Object.values(statuses(NODE_CHECKS, node()))), new Set(["ok"]));
  assert.match(messageOf(NODE_CHECKS, node(), "node"), /^ready; the helper pod tolerates its taints \(k:NoExecute\)$/);
});

test("what the kubelet's answer to the probe means", () => {
  const of = (probe: string, facts: Partial<JudgedNode> = {}): string[] => {
    const found = statuses(NODE_CHECKS, node({ probe, facts }));
    return [found["kubelet"], found["api-server-right"], found["checkpoint-gate"]].map(String);
  };
  assert.deepEqual(of("GateOff"), ["ok", "ok", "fail"]);
  assert.deepEqual(of("KubeletForbidden"), ["ok", "fail", "skip"]);
  assert.deepEqual(of("KubeletUnreachable"), ["fail", "skip", "skip"]);
  assert.deepEqual(of("Forbidden"), ["skip", "skip", "skip"]);
  assert.deepEqual(of("SomethingNew"), ["ok", "ok", "warn"]);
  const granted = runChecks(NODE_CHECKS, node({ probe: "KubeletForbidden", facts: { granted: true } })).find(
    ({ check }) => check === "api-server-right",
  );
  assert.match(plain(granted?.message ?? ""), /has the permission now/);
  assert.match(plain(granted?.fix ?? ""), /30 seconds/);
});

test("versions, runtimes, timeouts, room", () => {
  const cases: [Parameters<typeof node>[0], string, string][] = [
    [{ ready: "False" }, "node", "fail"],
    [{ ready: "Unknown" }, "node", "fail"],
    [{ pressure: "True" }, "node", "warn"],
    [{ kubelet: "v1.24.1" }, "kubelet-version", "fail"],
    [{ kubelet: "v1.37.0" }, "kubelet-version", "warn"],
    [{ kubelet: "v1.32.0" }, "kubelet-version", "warn"],
    [{ kubelet: "v1.33.0" }, "kubelet-version", "ok"],
    [{ runtime: "containerd://1.7.27" }, "runtime", "fail"],
    [{ runtime: "docker://27.1" }, "runtime", "fail"],
    [{ runtime: "cri-o://1.24.0" }, "runtime", "fail"],
    [{ runtime: "cri-o://1.34.1" }, "runtime", "ok"],
    [{ runtime: "" }, "runtime", "skip"],
    [{ runtime: "containerd://2.0.4" }, "restore-runtime", "warn"],
    [{ runtime: "containerd://2.2.7" }, "restore-runtime", "warn"],
    [{ runtime: "containerd://2.4.0-beta.0" }, "restore-runtime", "warn"],
    [{ facts: { runtimeRequestTimeout: "30s" } }, "runtime-request-timeout", "warn"],
    [{ facts: { runtimeRequestTimeout: undefined } }, "runtime-request-timeout", "skip"],
    [{ facts: { roomBytes: 1000 } }, "disk", "warn"],
    [{ facts: { roomBytes: undefined } }, "disk", "skip"],
  ];
  for (const [more, check, status] of cases) assert.equal(statuses(NODE_CHECKS, node(more))[check], status, JSON.stringify([more, check]));
});

test("CRIU against the kernel", () => {
  assert.equal(criuTooOld("4.2.1", "6.18.44"), undefined);
  assert.equal(criuTooOld("4.1", "6.12.0-debian"), undefined);
  assert.match(criuTooOld("4.1", "6.17.0")?.why ?? "", /criu#2705/);
  assert.match(criuTooOld("3.17.1", "6.13.1")?.why ?? "", /criu#2532/);
  assert.deepEqual(
    [criuTooOld("3.17.1", "6.18.0")?.least, criuTooOld("3.17.1", "6.18.0")?.all],
    ["4.2", true],
    "what all of it needs; what keeps all from being dumped comes first",
  );
  assert.match(criuTooOld("3.17.1", "6.18.0")?.why ?? "", /criu#2532/);
  assert.equal(criuTooOld("4.1.1", "6.18.0")?.all, false, "containers without internet sockets work");
  assert.equal(criuTooOld("3.15", "5.10.0")?.least, "3.16");
  assert.equal(criuTooOld("4.0", ""), undefined);
});

const HOST = [
  "looked criu",
  "criu Version: 4.2.1",
  "criu GitID: v4.2.1",
  "looked runc",
  "runc runc version 1.3.6+ds1",
  "runc spec: 1.2.1",
  "looked crun",
  "crun chroot: can't execute 'crun': No such file",
  "conf-runc # ours",
  "conf-runc tcp-established",
  "conf-runc ghost-limit 2M",
  "selinux 1",
  "tmp 1000000 4096 2000000 500000 600000",
];

function deep(lines: readonly string[] = HOST, more: Partial<JudgedDeep> = {}): JudgedDeep {
  const directory = { room: { freeBytes: 2 ** 34, bytes: 2 ** 35, freeInodes: 10 ** 6, inodes: 10 ** 7 }, archives: 3, bytes: 3000 };
  return { kernel: "6.18.44", runtime: "containerd://2.1.9", directory, ...parseHost(lines), ...more };
}

test("what the node itself says", () => {
  const facts = deep();
  assert.deepEqual(facts.programs, {
    criu: { version: "4.2.1", features: [] },
    runc: { version: "1.3.6+ds1", features: [] },
    crun: undefined,
  });
  assert.deepEqual([facts.selinux, facts.filtered, facts.tmp?.freeBytes], ["enforcing", false, 4_096_000_000]);
  assert.deepEqual(new Set(Object.values(statuses(DEEP_CHECKS, facts))), new Set(["ok"]));
  assert.equal(messageOf(DEEP_CHECKS, facts, "criu-config"), "/etc/criu/runc.conf: tcp-established, ghost-limit 2M");
  const { names, ghostLimit } = criuOptions(facts);
  assert.deepEqual([[...names], ghostLimit], [["tcp-established", "ghost-limit"], 2 << 20]);
  assert.equal(
    criuOptions({ ...facts, config: { runc: undefined, crun: ["tcp-established"] } }).names.size,
    0,
    "of a runtime that is not there",
  );
});

test("what the node lacks", () => {
  const without = (...words: string[]): string[] => HOST.filter((line) => !words.some((word) => line.startsWith(word)));
  const noCriu = [...without("criu"), "criu chroot: can't execute 'criu': No such file or directory"];
  assert.equal(statuses(DEEP_CHECKS, deep(noCriu))["criu"], "fail");
  assert.equal(statuses(DEEP_CHECKS, deep([...without("criu"), "criu Version: 3.17.1"]))["criu"], "fail");
  assert.equal(
    statuses(DEEP_CHECKS, deep([...without("criu"), "criu Version: 4.1.1"]))["criu"],
    "warn",
    "without internet sockets it works",
  );
  assert.equal(statuses(DEEP_CHECKS, deep(without("looked", "criu", "runc")))["criu"], "skip", "an image without chroot");
  assert.equal(statuses(DEEP_CHECKS, deep([...HOST, "conf-runc images-dir /x"]))["criu-config"], "fail");
  assert.equal(statuses(DEEP_CHECKS, deep(without("tmp")))["tmp"], "skip");
  const full = { room: { freeBytes: 1000, bytes: 2 ** 35, freeInodes: 10 ** 6, inodes: 10 ** 7 }, archives: 3, bytes: 3000 };
  assert.equal(statuses(DEEP_CHECKS, deep(HOST, { directory: full }))["checkpoint-directory"], "warn");
  const noInodes = { ...full, room: { ...full.room, freeBytes: 2 ** 34, freeInodes: 5 } };
  assert.equal(statuses(DEEP_CHECKS, deep(HOST, { directory: noInodes }))["checkpoint-directory"], "warn");
  assert.equal(
    statuses(DEEP_CHECKS, deep(HOST, { directory: { ...noInodes, room: { ...noInodes.room, inodes: 0, freeInodes: 0 } } }))[
      "checkpoint-directory"
    ],
    "ok",
    "a file system that counts none",
  );
});

test("runtimes that look for CRIU only when they start, and what crun lacks", () => {
  const once = ["containerd://2.2.9", "containerd://2.3.7", "containerd://2.4.2", "cri-o://1.36.3"];
  assert.deepEqual(once.map(looksOnce), [true, true, true, true]);
  assert.deepEqual(["containerd://2.1.9", "containerd://2.2.6", "containerd://2.3.3", ""].map(looksOnce), [false, false, false, false]);
  const late = [...HOST, "criu-age 60", "runtime-age 3600"];
  const criu = (runtime: string, lines = late) => runChecks(DEEP_CHECKS, deep(lines, { runtime })).find(({ check }) => check === "criu");
  assert.equal(criu("containerd://2.3.7")?.status, "warn");
  assert.match(plain(criu("containerd://2.3.7")?.fix ?? ""), /systemctl restart containerd/);
  assert.match(plain(criu("cri-o://1.36.3")?.fix ?? ""), /systemctl restart crio/);
  assert.equal(criu("containerd://2.1.9")?.status, "ok", "it looks each time");
  assert.equal(criu("containerd://2.3.7", [...HOST, "criu-age 9999", "runtime-age 3600"])?.status, "ok");
  const crunOf = (...lines: string[]) =>
    runChecks(DEEP_CHECKS, deep([...HOST.filter((line) => !/^(crun|runc) /.test(line)), ...lines])).find(
      ({ check }) => check === "oci-runtime",
    );
  const built = ["crun crun version 1.28", "crun +SYSTEMD +CAP +SECCOMP +EBPF +CRIU +YAJL"];
  assert.match(plain(crunOf(...built)?.message ?? ""), /crun finds no libcriu\.so\.2/);
  assert.equal(crunOf(...built)?.status, "fail");
  assert.equal(crunOf(...built, "libcriu /usr/lib/x86_64-linux-gnu/libcriu.so.2")?.status, "ok");
  assert.match(plain(crunOf("crun crun version 1.28", "crun +SYSTEMD +CAP")?.message ?? ""), /built without CRIU/);
  const both = crunOf(...built, "runc runc version 1.3.6");
  assert.deepEqual([both?.status, both?.decides], ["warn", []], "which of the two runs a container is not known");
});

test("where CRIU's images go first depends on the runtime", () => {
  assert.match(messageOf(DEEP_CHECKS, deep(), "tmp"), /free in \/tmp, where/);
  const crio = deep([...HOST, "storage 100 4096 2000000 500000 600000"], { runtime: "cri-o://1.36.3" });
  assert.equal(messageOf(DEEP_CHECKS, crio, "tmp"), "400 KiB free in /var/lib/containers/storage, where CRIU's images go first");
  assert.equal(statuses(DEEP_CHECKS, crio)["tmp"], "warn");
});

function containerFacts(spec: object = {}, podSpec: object = {}, more: Partial<ContainerFacts> = {}): ContainerFacts {
  const pod = readPod({
    metadata: { name: "p", namespace: "web", uid: "u" },
    spec: { nodeName: "n", containers: [{ name: "c", ...spec }], ...podSpec },
    status: { containerStatuses: [{ name: "c", state: { running: {} }, containerID: "containerd://1", imageID: "i", restartCount: 0 }] },
  });
  const [container] = pod.containers;
  assert.ok(container);
  return {
    pod,
    container,
    spec: specOf(pod, container),
    forecast: { memoryBytes: 2 ** 20, roomBytes: 2 ** 40 },
    runtimeTimeoutMs: 600_000,
    ...more,
  };
}

test("what may keep a container from being dumped, by its pod", () => {
  const big = { forecast: { memoryBytes: 400 * 2 ** 20, roomBytes: 2 ** 40 } };
  const probe = { livenessProbe: { periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 1 } };
  const cases: [ContainerFacts, string, string][] = [
    [containerFacts(), "running", "ok"],
    [containerFacts(probe, {}, big), "liveness-probe", "warn"],
    [containerFacts(probe), "liveness-probe", "warn"],
    [containerFacts({ livenessProbe: {} }, {}, big), "liveness-probe", "ok"],
    [containerFacts(probe, {}, { forecast: {} }), "liveness-probe", "skip"],
    [containerFacts({}, {}, { forecast: { memoryBytes: 2 ** 30, roomBytes: 2 ** 30 } }), "size", "warn"],
    [containerFacts({}, {}, { ...big, runtimeTimeoutMs: 1000 }), "size", "warn"],
    [containerFacts({ resources: { limits: { "nvidia.com/gpu": "1", cpu: "1" } } }), "gpu", "warn"],
    [containerFacts({ resources: { limits: { "nvidia.com/mig-1g.5gb": "1" } } }), "gpu", "warn"],
    [containerFacts({}, { hostIPC: true }), "namespaces", "warn"],
    [containerFacts({}, { shareProcessNamespace: true }), "namespaces", "warn"],
    [containerFacts({ volumeMounts: [{ name: "h" }] }, { volumes: [{ name: "h", hostPath: { path: "/x" } }] }), "mounts", "warn"],
  ];
  for (const [facts, check, status] of cases) assert.equal(statuses(CONTAINER_CHECKS, facts)[check], status, check);
  for (const none of ["gpu", "namespaces", "mounts"])
    assert.equal(
      statuses(CONTAINER_CHECKS, containerFacts({ volumeMounts: [] }, { volumes: [{ name: "h", hostPath: { path: "/x" } }] }))[none],
      undefined,
    );
});

test("why the memory is not known", () => {
  const size = (unknown: "forbidden" | "absent" | "unanswered"): string =>
    messageOf(CONTAINER_CHECKS, containerFacts({}, {}, { forecast: { unknown } }), "size");
  assert.match(size("forbidden"), /needs get nodes\/proxy/);
  assert.match(size("absent"), /not known yet: the kubelet has no figures of it/);
  assert.match(size("unanswered"), /did not answer in time/);
});

test("one screen: what is the same of several is a line; the last lines answer", () => {
  const findings = ["a", "b", "c", "d", "e", "f", "g"].flatMap((name) =>
    runChecks(NODE_CHECKS, { ...node(name === "c" ? { probe: "GateOff" } : {}), name }, name),
  );
  const items = summarize(findings);
  assert.ok(items.length < 16, String(items.length));
  assert.equal(items[0]?.message, "a, b, c, d, e and 2 more: ready; the helper pod tolerates its taints (k:NoExecute)");
  assert.deepEqual(
    items.slice(-3).map(({ check, status, message }) => `${check} ${status}: ${message}`),
    ["checkpoint fail: will not work (c): checkpoint-gate", "copy ok: will work", "restore ok: will work"],
  );
});

test("what is left differs from node to node: one line, and it tells the least", () => {
  const GIB = 2 ** 30;
  const disks = (...rooms: [string, number][]): string[] =>
    summarize(rooms.flatMap(([name, roomBytes]) => runChecks(NODE_CHECKS, { ...node({ facts: { roomBytes } }), name }, name)))
      .filter(({ check }) => check === "disk")
      .map(({ status, message }) => `${status} ${message}`);
  assert.deepEqual(disks(["a", 50 * GIB], ["b", 49 * GIB], ["c", 50 * GIB]), [
    "ok a, b, c: 49.0 GiB free above the eviction threshold (the least, on b)",
  ]);
  assert.deepEqual(disks(["a", 50 * GIB], ["b", 50 * GIB + 1]), ["ok a, b: 50.0 GiB free above the eviction threshold"]);
  assert.deepEqual(disks(["a", 50 * GIB], ["b", 1000], ["c", 49 * GIB]), [
    "ok a, c: 49.0 GiB free above the eviction threshold (the least, on c)",
    "warn b: 1000 B free above the eviction threshold",
  ]);
});

function answers(findings: readonly Finding[]): string[] {
  return summarize(findings)
    .slice(-3)
    .map(({ check, status, message }) => `${check} ${status}: ${message}`);
}

test("without a node that was asked nothing is known", () => {
  assert.deepEqual(
    answers(runChecks(CLUSTER_CHECKS, CLUSTER)),
    ["checkpoint", "copy", "restore"].map((purpose) => `${purpose} skip: unknown: no node was asked`),
  );
  const [first] = answers(runChecks(CLUSTER_CHECKS, { ...CLUSTER, missing: new Set(needed.checkpoint) }));
  assert.equal(first, "checkpoint fail: will not work: rights-checkpoint", "what is known to fail is told all the same");
});

test("what only --deep looks at limits the answer, what could not be seen more", () => {
  const criu: Finding = { check: "criu", decides: ["checkpoint", "restore"], of: "n", ...notLookedAt("not looked at", "--deep") };
  assert.deepEqual(answers([...runChecks(NODE_CHECKS, node(), "n"), criu]), [
    "checkpoint ok: will work, as far as can be seen without --deep",
    "copy ok: will work",
    "restore ok: will work, as far as can be seen without --deep",
  ]);
  assert.match(
    answers([...runChecks(NODE_CHECKS, node({ facts: { roomBytes: undefined } }), "n"), criu])[0] ?? "",
    /^checkpoint ok: no obstacle was found; what could not be seen: disk, criu$/,
  );
});
