// Plans of sandboxes from archives of real containers, and pods for them.
import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Parser, type ReadEntry } from "tar";
import { openArchive } from "../../src/archive/open.ts";
import { bufferSource } from "../../src/archive/sources.ts";
import { MntEntrySchema } from "../../src/criu/gen/mounts_pb.ts";
import { profilesOf, withoutProfiles } from "../../src/sandbox/profiles.ts";
import { plannedMounts, rootMount } from "../../src/sandbox/mounts.ts";
import { baseFiles } from "../../src/sandbox/mapped.ts";
import { sandboxPlan, type SandboxOptions } from "../../src/sandbox/plan.ts";
import { sandboxPod, type SandboxPodRequest } from "../../src/sandbox/pod.ts";
import { processorFeatures } from "../../src/sandbox/processor.ts";
import { criuFailure } from "../../src/sandbox/failures.ts";
import { chosen } from "../../src/flows/restore/sandbox/nodes.ts";
import type { Json } from "../../src/model/json.ts";
import { memoryArchive } from "../criu/synthetic.ts";
import { plain } from "../../src/model/phrase.ts";

const ARCHIVES = resolve(import.meta.dirname, "../data/archives");
const OPTIONS: SandboxOptions = { stopped: false, network: "none", archive: "/work/archive", beside: undefined };
const { signal } = new AbortController();

async function planOf(name: string, options: Partial<SandboxOptions> = {}) {
  await using archive = await openArchive(join(ARCHIVES, name), { signal });
  const plan = await sandboxPlan(archive, { ...OPTIONS, ...options }, signal);
  return { plan, files: await filesOf(plan.files) };
}

async function filesOf(tar: Buffer): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const reading: Promise<unknown>[] = [];
  const parser = new Parser({
    onReadEntry: (entry: ReadEntry) => void reading.push(entry.concat().then((bytes) => files.set(entry.path, Buffer.from(bytes)))),
  });
  const ended = new Promise((done) => parser.on("end", done));
  parser.end(tar);
  await ended;
  await Promise.all(reading);
  return files;
}

test("of a redis in Kubernetes: its port, its pipes, the pod's network, stand-ins for what came from outside", async () => {
  const { plan, files } = await planOf("containerd-2.1.9-criu4.2.1-k8s-redis.tar");
  assert.deepEqual([plan.ports, plan.terminal, plan.notes], [[6379], false, []]);
  const text = (name: string): string[] => files.get(name)?.toString().trimEnd().split("\n") ?? [];
  assert.deepEqual(text("network"), ["none"]);
  assert.equal(text("options").join(" "), "--inherit-fd fd[9]:extRootNetNS");
  const [stdin, ...pipes] = text("stdio");
  assert.equal(stdin, "-");
  assert.ok(pipes.length === 2 && pipes.every((pipe) => /^pipe:\[\d+\]$/.test(pipe)));
  const kinds = new Map(
    text("mounts")
      .map((line) => line.split("\t"))
      .map(([, , path = "", , kind = ""]) => [path, kind]),
  );
  assert.deepEqual(
    ["/", "/etc/hosts", "/etc/resolv.conf", "/dev/termination-log", "/proc", "/var/run/secrets/kubernetes.io/serviceaccount"].map((path) =>
      kinds.get(path),
    ),
    ["root", "file", "file", "file", "inside", "auto"],
  );
  // The images that are put in the place of those of the archive: nothing but the namespaces.
  assert.deepEqual(
    [...files.keys()].filter((name) => /^images\/./.test(name)),
    ["images/ids-1.img"],
  );
  assert.deepEqual(text("processor"), ["avx", "avx512f"]);
});

test("--stopped, and the archive as an image", async () => {
  const { files } = await planOf("containerd-2.1.9-criu4.2.1-k8s-redis.tar", { stopped: true, archive: "/archive", network: "pod" });
  assert.match(files.get("options")?.toString() ?? "", /^--leave-stopped$/m);
  assert.equal(files.get("archive")?.toString(), "/archive\n");
  assert.equal(files.get("network")?.toString(), "pod\n");
});

test("of Podman: the ports of all addresses", async () => {
  assert.deepEqual((await planOf("podman-zstd.tar.zst")).plan.ports, [8080]);
});

test("every archive here has a plan, or is refused with its reason", async () => {
  for (const name of [
    "checkpoint-counter_default-counter-2026-11-24T02-28-30Z.tar",
    "containerd-2.1.9-criu4.2.1.tar",
    "containerd-a.tar",
    "crio-1.34.11-criu4.2.1.tar",
    "podman-5.4.2-criu4.1.1-oldpagemap.tar.gz",
  ]) {
    const { files } = await planOf(name);
    assert.equal([...(files.get("mounts")?.toString() ?? "").matchAll(/\troot\t/g)].length, 1, `${name} has one root`);
  }
  await assert.rejects(planOf("containerd-zoo.tar.gz"), (error: { reason?: string; said: { why?: Parameters<typeof plain>[0] } }) => {
    assert.equal(error.reason, "SandboxImpossible");
    return error.said.why !== undefined && /System V IPC|devices/.test(plain(error.said.why));
  });
});

test("files of the base image by their size and build ID, and the processor's flags", async () => {
  await using archive = await openArchive(join(ARCHIVES, "containerd-a.tar"), { signal });
  const files = await baseFiles(archive, await rootMount(archive), signal);
  assert.deepEqual([...files.keys()], ["/bin/busybox"]);
  assert.match(files.get("/bin/busybox")?.buildId ?? "", /^[0-9a-f]{40}$/);
  // What the container wrote itself is in no image.
  assert.ok(!files.has("/data/new"));
  assert.deepEqual(
    (await processorFeatures(archive)).map(({ flag }) => flag),
    ["avx"],
  );
});

test("a device stands in for masked paths of its key, too: in a user namespace runc binds both", async () => {
  await using archive = await openArchive(join(ARCHIVES, "containerd-2.1.9-criu4.2.1-k8s-redis.tar"), { signal });
  const before = await plannedMounts(archive);
  const masked = before.find(({ kind, key }) => kind === "empty" && key === "/dev/null");
  assert.ok(masked !== undefined, "masked paths have the key of /dev/null");
  const parentMntId = Number(before.find(({ path }) => path === "/dev")?.id);
  const entry = {
    fstype: 3,
    mntId: 99_999,
    rootDev: 6,
    parentMntId,
    flags: 0,
    root: "/null",
    mountpoint: "./dev/null",
    source: "devtmpfs",
  };
  const message = toBinary(MntEntrySchema, create(MntEntrySchema, { ...entry, options: "", extKey: "/dev/null" }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(message.length);
  const name = [...archive.members.keys()].find((one) => /\/mountpoints-\d+\.img$/.test(one)) ?? "";
  const own = archive.open(name);
  const altered = Buffer.concat([await own.read(0, own.size), length, message]);
  const open = (member: string): ReturnType<typeof archive.open> => (member === name ? bufferSource(altered) : archive.open(member));
  const after = await plannedMounts({ ...archive, open });
  assert.deepEqual(
    after.filter(({ key }) => key === "/dev/null").map(({ path, kind }) => [path, kind]),
    [["/dev/null", "device"]],
  );
});

test("profiles of a security module are left out, and nothing else", async () => {
  await using archive = await openArchive(join(ARCHIVES, "containerd-a.tar"), { signal });
  const profile = Buffer.from("cri-containerd.apparmor.d");
  const nested = (field: number, content: Buffer): Buffer => Buffer.concat([Buffer.from([(field << 3) | 2, content.length]), content]);
  const name = "checkpoint/core-8.img";
  const plainCore = archive.open(name);
  const core = await plainCore.read(0, plainCore.size);
  // Of a message that comes twice, what comes later adds to it.
  const more = nested(5, nested(10, nested(15, profile)));
  const altered = Buffer.concat([core, more]);
  altered.writeUInt32LE(core.readUInt32LE(8) + more.length, 8);
  const open = (member: string): ReturnType<typeof archive.open> => (member === name ? bufferSource(altered) : archive.open(member));
  assert.deepEqual(await profilesOf({ ...archive, open }), [profile.toString()]);
  const images = await withoutProfiles({ ...archive, open });
  const found = images.get("core-8.img") ?? Buffer.alloc(0);
  assert.ok(altered.includes(profile) && !found.includes(profile));
  assert.deepEqual(found.subarray(12), Buffer.concat([core.subarray(12), nested(5, nested(10, Buffer.alloc(0)))]));
  assert.equal(found.readUInt32LE(8), found.length - 12);
  const other = archive.open("checkpoint/core-17.img");
  assert.deepEqual(images.get("core-17.img"), await other.read(0, other.size));
  const cut = { ...archive, open: (member: string) => (member === name ? bufferSource(altered.subarray(0, 40)) : archive.open(member)) };
  await assert.rejects(withoutProfiles(cut), { reason: "ArchiveDamaged" });
});

/** What criu cpuinfo dump (4.2.1) wrote on an AMD EPYC, whose /proc/cpuinfo has fma, aes, avx, avx2, and nothing of AVX-512. */
const CPUINFO =
  "GUNWVBNAQGFhAAAACl8IAhAZGAEgASgCMP/3r7wBMP/3z/4CMAAwgIDEEDCD5Oj/DzAAMPOHgAIwADAAMKuP8IwCMA8whI2AAjAAMIWAgIABMAQwADAAMAAwEDoIQU1EIEVQWUNABUjABlDABg==";

test("cpuinfo.img says what the processor had, where an archive has it", async () => {
  const features = await processorFeatures(memoryArchive({ "checkpoint/cpuinfo.img": Buffer.from(CPUINFO, "base64") }));
  assert.deepEqual(
    features.map(({ flag }) => flag),
    ["avx", "fma", "aes", "avx2"],
  );
});

const AVX512F = { flag: "avx512f", label: "AVX512F", word: 9, bit: 16 } as const;

function node(name: string, ...labels: readonly string[]): Json {
  const info = { architecture: "amd64", containerRuntimeVersion: "containerd://2.1.9", kubeletVersion: "v1.36.3" };
  return {
    metadata: { name, labels: Object.fromEntries(labels.map((label) => [`feature.node.kubernetes.io/cpu-cpuid.${label}`, "true"])) },
    status: { nodeInfo: info, conditions: [{ type: "Ready", status: "True" }] },
  };
}

test("nodes whose labels show another processor are left out where others are there, and named where not", () => {
  const wanted = { node: undefined, architecture: "amd64", features: [AVX512F] };
  const old = node("old", "AVX", "AVX2");
  const [modern, unlabelled] = [node("new", "AVX", "AVX512F"), node("plain")];
  assert.deepEqual(chosen([old, modern, unlabelled], wanted), { candidates: ["new", "plain"], imageVolumes: true, lacking: undefined });
  assert.deepEqual(chosen([unlabelled], wanted), { candidates: undefined, imageVolumes: true, lacking: undefined });
  const { candidates, lacking } = chosen([old], wanted);
  assert.equal(candidates, undefined);
  assert.match(plain(lacking ?? ""), /^by its labels, the processor of old does not have avx512f\. .* SIGILL$/);
});

const REQUEST: SandboxPodRequest = {
  name: "redis-sandbox",
  namespace: "lab",
  node: undefined,
  candidates: undefined,
  architecture: "amd64",
  image: "registry/helper@sha256:1",
  base: "registry/redis@sha256:2",
  imageVolumes: true,
  checkpoint: undefined,
  memory: 300 << 20,
  archiveBytes: 310 << 20,
  ttlSeconds: 3600,
  port: 20_000,
  terminal: false,
  pullSecret: undefined,
  origin: "default/redis",
  user: "alice",
};

interface Pod {
  readonly spec: Record<string, unknown> & {
    readonly containers: readonly { readonly volumeMounts: readonly { readonly name: string; readonly readOnly?: boolean }[] }[];
    readonly initContainers?: readonly { readonly image: string; readonly securityContext?: object }[];
    readonly volumes: readonly Record<string, unknown>[];
  };
}

test("whatever is asked for, the pod has a user namespace, an end, and nothing of the node or the cluster", () => {
  for (const more of [{}, { imageVolumes: false }, { checkpoint: "registry/c@sha256:3" }, { terminal: true, node: "node1" }]) {
    const { spec } = sandboxPod({ ...REQUEST, ...more }) as unknown as Pod;
    const { hostUsers, automountServiceAccountToken, enableServiceLinks, activeDeadlineSeconds } = spec;
    assert.deepEqual([hostUsers, automountServiceAccountToken, enableServiceLinks, activeDeadlineSeconds], [false, false, false, 3600]);
    for (const name of ["hostNetwork", "hostPID", "hostIPC", "serviceAccountName"]) assert.ok(!(name in spec), name);
    for (const volume of spec.volumes) assert.match(Object.keys(volume).join(), /^name,(image|emptyDir)$/);
    for (const { volumeMounts } of spec.containers)
      for (const { name, readOnly } of volumeMounts) assert.equal(readOnly === true, name !== "work", name);
    assert.ok(!JSON.stringify(spec.initContainers ?? []).includes("privileged"));
  }
});

test("without image volumes the base image copies itself", () => {
  const { spec } = sandboxPod({ ...REQUEST, imageVolumes: false }) as unknown as Pod;
  assert.deepEqual(
    spec.initContainers?.map(({ image }) => image),
    [REQUEST.image, REQUEST.base],
  );
  assert.ok(spec.volumes.every((volume) => !("image" in volume)));
});

test("CRIU's words have causes", () => {
  const reasonOf = (line: string): string => criuFailure([line]).reason ?? "";
  assert.equal(reasonOf("(00.1) 8: Error (criu/files-reg.c:2100): File bin/busybox has bad size 1 (expect 2)"), "BaseImageDiffers");
  assert.equal(reasonOf("(00.1) 8: Error (criu/files-reg.c:2200): Can't open file data/log on restore: No such file"), "FileMissing");
  assert.equal(
    reasonOf("(00.1) Error (criu/tty.c:1): tty: Found slave peer index 0 without correspond master peer"),
    "TerminalNotRestored",
  );
  for (const line of [
    "cpu: CPU instruction capabilities do not match run time",
    "x86: FPU xsave area present, but host cpu doesn't support it",
  ])
    assert.equal(reasonOf(`(00.1) Error (criu/arch/x86/cpu.c:1): ${line}`), "ProcessorDiffers");
  assert.equal(reasonOf("(00.1) Warn  (criu/cpu.c:1): cpu: fpu: max xsave frame exceed xsave_struct (1 2)"), "RestoreFailed");
  assert.equal(reasonOf("(00.1) Error (x.c:1): something new"), "RestoreFailed");
});
