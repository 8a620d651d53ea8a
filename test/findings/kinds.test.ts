// Each kind of finding has an archive that has it and one that has not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { verb as report } from "../../src/commands/report.ts";
import { originsIn, type Facts } from "../../src/findings/facts.ts";
import { KINDS } from "../../src/findings/find.ts";
import type { ChangeItem, Inspection } from "../../src/model/inspection.ts";
import type { FindingItem, Report, Severity } from "../../src/model/findings.ts";
import { altered } from "../commands/altered.ts";
import { runVerb } from "../commands/running.ts";

const ARCHIVES = "test/data/archives";
/** A pod in which somebody did each of it (test/e2e/suspicious). */
const SUSPICIOUS = `${ARCHIVES}/containerd-suspicious.tar.zst`;
/** A shell, and redis. */
const COUNTER = `${ARCHIVES}/checkpoint-counter_default-counter-2026-11-24T02-28-30Z.tar`;
const REDIS = `${ARCHIVES}/containerd-2.1.9-criu4.2.1-k8s-redis.tar`;
const ZOO = `${ARCHIVES}/containerd-zoo.tar.gz`;

const reports = new Map<string, Promise<Report>>();

async function reportOf(archive: string): Promise<Report> {
  const made =
    reports.get(archive) ??
    runVerb(report, [archive], { output: "json" }).then(({ document }) => JSON.parse(JSON.stringify(document)) as Report);
  reports.set(archive, made);
  return await made;
}

async function found(archive: string, id: string): Promise<FindingItem[]> {
  return (await reportOf(archive)).findings.filter((finding) => finding.id === id);
}

/** The container in its node's network and process namespaces, with what a node has mounted into it. */
async function onTheNode(): Promise<string> {
  return await altered(COUNTER, (files) => {
    const spec = JSON.parse(files.get("spec.dump")?.toString() ?? "") as { linux: { namespaces: { type: string }[] }; mounts: object[] };
    spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== "network" && type !== "pid");
    spec.mounts.push({ type: "bind", source: "/run/containerd/containerd.sock", destination: "/run/c.sock", options: ["rbind", "ro"] });
    spec.mounts.push({ type: "bind", source: "/", destination: "/host", options: ["rbind"] });
    files.set("spec.dump", Buffer.from(JSON.stringify(spec)));
  });
}

const HAVE: Readonly<Record<string, readonly [archive: string | (() => Promise<string>), severity: Severity, title: RegExp]>> = {
  InterruptedCall: [REDIS, "note", /epoll_wait of thread 1 \(redis-server\) and of 1 more/],
  MemoryExecutable: [SUSPICIOUS, "high", /runs memfd:payload: \[kworker/],
  DeletedExecutable: [SUSPICIOUS, "high", /runs \/tmp\/\.cache\/xmrig/],
  TemporaryExecutable: [SUSPICIOUS, "high", /runs \/dev\/shm\/run/],
  ChangedExecutable: [SUSPICIOUS, "high", /runs \/usr\/lib\/agent/],
  MountedExecutable: [ZOO, "note", /runs \/zoo\/zoo, from a volume/],
  ForeignCode: [SUSPICIOUS, "high", /code of \/tmp\/hook\.so/],
  DroppedProgram: [SUSPICIOUS, "medium", /\/tmp\/hook\.so is a program/],
  RemoteShell: [SUSPICIOUS, "high", /commands from 10\.93\.\d+\.\d+:4444: sh -i/],
  UndeclaredListener: [SUSPICIOUS, "high", /\(nc\) listens on tcp port 31337/],
  OutsideConnection: [SUSPICIOUS, "medium", /connected to 203\.0\.113\.7:53/],
  RawSocket: [ZOO, "medium", /\(zoo\) has a packet socket/],
  SetuidFile: [SUSPICIOUS, "high", /\/usr\/bin\/\.ping .* mode 04755/],
  AuthorizedKeys: [SUSPICIOUS, "high", /authorized_keys/],
  ScheduledJob: [SUSPICIOUS, "high", /cron\.d\/update/],
  LoaderPreload: [SUSPICIOUS, "high", /ld\.so\.preload/],
  CredentialsChanged: [SUSPICIOUS, "medium", /\/etc\/passwd/],
  StartupFile: [SUSPICIOUS, "medium", /profile\.d\/update\.sh/],
  DeviceFile: [SUSPICIOUS, "medium", /\/data\/disk/],
  PrivateKeyFile: [SUSPICIOUS, "note", /web\.pem/],
  DeletedSystemFile: ["test/data/runtimes/crio-1.36.3-runc-criu4.2.1.tar.zst", "note", /\/etc\/group was deleted/],
  KernelThreadName: [SUSPICIOUS, "high", /called \[kworker\/u8:1\], and runs memfd:payload/],
  FalseName: [SUSPICIOUS, "high", /says that it is \/usr\/sbin\/sshd, and runs \/usr\/lib\/agent/],
  MiningPool: [SUSPICIOUS, "high", /stratum/],
  Preload: [SUSPICIOUS, "high", /LD_PRELOAD=\/tmp\/\.cache\/hook\.so/],
  HistoryOff: [SUSPICIOUS, "medium", /no history/],
  SecretInArguments: [SUSPICIOUS, "note", /\(xmrig\) has a secret in its arguments/],
  SecretInEnvironment: [SUSPICIOUS, "note", /: DATABASE_PASSWORD$/],
  SecretFound: [SUSPICIOUS, "note", /AWS access key in \/root\/\.aws\/credentials|private key in/],
  ExecutableStack: [SUSPICIOUS, "medium", /\(strace\): 1 region of rwx/],
  WritableCode: [SUSPICIOUS, "medium", /\(agent\): 1 region of rwx/],
  AnonymousCode: [SUSPICIOUS, "medium", /\(run\): 1 region of r-x/],
  OtherNamespace: ["test/data/faults/nested-mntns.tar.zst", "medium", /mnt namespaces of its own/],
  OutsideTree: [SUSPICIOUS, "note", /has a session of its own/],
  Tracer: [SUSPICIOUS, "medium", /\(strace\) is a tracer/],
  Capabilities: ["test/data/faults/memfd-exec.tar.zst", "medium", /SYS_ADMIN/],
  HostNamespace: [onTheNode, "medium", /has the (pid|network) namespace of its node/],
  HostMount: [
    onTheNode,
    "medium",
    /^(\/run\/containerd\/containerd\.sock of the node is mounted at \/run\/c\.sock, read-only|\/ of the node is mounted at \/host)$/,
  ],
};

/** Where the counter has it. */
const WITHOUT: Readonly<Record<string, string>> = { InterruptedCall: ZOO, SecretInEnvironment: REDIS };

/** Found where rules or an image are given: test/yara/rules.test.ts, test/commands/root.test.ts. */
const ASKED_FOR = new Set(["RuleMatch", "NotOfImage"]);

for (const { id, about } of KINDS.filter((kind) => !ASKED_FOR.has(kind.id))) {
  test(`${id}: ${about}`, async () => {
    const [archive, severity, title] = HAVE[id] ?? [];
    assert.ok(archive !== undefined && title !== undefined, `no archive has ${id}`);
    const findings = await found(typeof archive === "string" ? archive : await archive(), id);
    const wanted = findings.find((finding) => title.test(finding.title));
    assert.ok(wanted, JSON.stringify(findings));
    assert.equal(wanted.severity, severity);
    assert.match(wanted.command, /^kubectl checkpoint (inspect|extract|search) /);
    assert.deepEqual(await found(WITHOUT[id] ?? COUNTER, id), []);
  });
}

test("ordinary workloads have nothing above a note", async () => {
  for (const archive of [
    COUNTER,
    REDIS,
    `${ARCHIVES}/containerd-2.1.9-criu4.2.1.tar`,
    `${ARCHIVES}/crio-1.34.11-criu4.2.1.tar`,
    `${ARCHIVES}/containerd-counter-after.tar.gz`,
    `${ARCHIVES}/podman-zstd.tar.zst`,
    "test/data/runtimes/containerd-2.2.9-runc-criu4.2.1.tar.zst",
    "test/data/runtimes/containerd-2.3.7-crun-criu4.2.1.tar.zst",
    "test/data/runtimes/containerd-2.4.2-runc-criu4.2.1.tar.zst",
    "test/data/runtimes/crio-1.36.3-runc-criu4.2.1.tar.zst",
    "test/data/runtimes/crio-1.37.0-runc-criu4.2.1.tar.zst",
  ]) {
    const above = (await reportOf(archive)).findings.filter(({ severity }) => severity !== "note");
    assert.deepEqual(above, [], archive);
  }
});

test("a hidden place is one where the container wrote: images have some of their own", () => {
  const inspection: Pick<Inspection, "mounts"> = { mounts: [] };
  const written: ChangeItem = { path: "/usr/bin/.x", change: "added or changed", type: "file", member: "rootfs-diff.tar" };
  const originOf = originsIn(inspection as Inspection, new Map([[written.path, written]]));
  assert.deepEqual(["/root/.pyenv/bin/python3", "/usr/bin/.x", "/tmp/x"].map(originOf), ["image", "temporary", "temporary"]);
});

test("a model of PyTorch starts nothing, a path file of Python's does", () => {
  const changes = ["/models/net.pth", "/usr/lib/python3/dist-packages/evil.pth"].map((path): ChangeItem => ({
    path,
    change: "added or changed",
    type: "file",
    bytes: 7,
    member: "rootfs-diff.tar",
  }));
  const kind = KINDS.find(({ id }) => id === "StartupFile");
  const paths = [...(kind?.find({ file: "a.tar", changes } as unknown as Facts) ?? [])].map(({ path }) => path);
  assert.deepEqual(paths, ["/usr/lib/python3/dist-packages/evil.pth"]);
});

test("Celery's workers are no false threads of the kernel", () => {
  const names = ["[celeryd: celery@host:ForkPoolWorker-1]", "[kworker/0:1]", "[kworker/u8:1 x]"];
  const processes = names.map((name, pid) => ({ item: { pid, comm: "python3", args: [name] }, exe: "/usr/bin/python3", origin: "image" }));
  const kind = KINDS.find(({ id }) => id === "KernelThreadName");
  const pids = [...(kind?.find({ file: "a.tar", processes } as unknown as Facts) ?? [])].map(({ pid }) => pid);
  assert.deepEqual(pids, [1, 2]);
});
