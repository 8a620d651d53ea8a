// Runs on Linux and macOS only: it looks at links and file modes.
import assert from "node:assert/strict";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { verb as extract } from "../../src/commands/extract.ts";
import { pax, tar, type TarMember } from "../archive/tars.ts";
import { altered, without } from "./altered.ts";
import { REGISTRY, requestOf, runVerb, type Ran } from "./running.ts";
import { plain } from "../../src/model/phrase.ts";

const ARCHIVES = resolve("test/data/archives");
const CONTAINERD = join(ARCHIVES, "containerd-a.tar");
const ZOO = join(ARCHIVES, "containerd-zoo.tar.gz");
const CRIO = join(ARCHIVES, "crio-1.34.11-criu4.2.1.tar");
const PODMAN = join(ARCHIVES, "podman-5.4.2-criu4.1.1-oldpagemap.tar.gz");

function scratch(): string {
  return mkdtempSync(join(tmpdir(), "extract-"));
}

async function extractTo(directory: string, words: readonly string[], flags: Readonly<Record<string, string>> = {}): Promise<Ran> {
  return await runVerb(extract, words, { to: `${directory}/`, ...flags });
}

/** What --to - writes. */
async function stdout(words: readonly string[], flags: Readonly<Record<string, string>> = {}): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  // The archive is open only while the command runs.
  const { context } = await import("../fakes.ts");
  const call = { ...context(new AbortController().signal), terminal: false, stdin: () => process.stdin };
  for await (const { bytes } of extract.run(requestOf(extract, words, { ...flags, to: "-" }), call)) {
    if (bytes !== undefined) for await (const part of bytes) parts.push(part);
  }
  return Buffer.concat(parts);
}

/** All files below a directory, by relative path. */
function filesBelow(directory: string): Record<string, string> {
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter(
    (name) => !lstatSync(join(directory, name)).isDirectory(),
  );
  return Object.fromEntries(files.sort().map((name) => [name, readFileSync(join(directory, name), "utf8")]));
}

/** An archive with a root file system's change of these members. */
function archiveOf(...members: readonly TarMember[]): string {
  const path = join(scratch(), "hostile.tar");
  writeFileSync(path, tar({ name: "config.dump", data: "{}" }, { name: "rootfs-diff.tar", data: gzipSync(tar(...members)) }));
  return path;
}

test("words and flags become a request", () => {
  const request = (words: readonly string[], flags: Readonly<Record<string, string>> = {}) => requestOf(extract, words, flags);
  const unset = { file: "a.tar", previous: undefined, registry: REGISTRY, maxBytes: undefined, base: undefined };
  assert.deepEqual(request(["a.tar", "/data/new"], { to: "-" }), { ...unset, what: { kind: "path", path: "/data/new" }, to: "-" });
  assert.deepEqual(request(["a.tar"], { pid: "7" }), { ...unset, what: { kind: "memory", pid: 7, range: undefined }, to: undefined });
  assert.deepEqual(request(["a.tar"], { pid: "7", range: "0x7fff00001000-7FFF00002000", to: "x", "max-bytes": "2Gi", previous: "b.tar" }), {
    file: "a.tar",
    previous: "b.tar",
    registry: REGISTRY,
    maxBytes: 2 ** 31,
    base: undefined,
    what: { kind: "memory", pid: 7, range: { start: 0x7fff00001000n, end: 0x7fff00002000n } },
    to: "x",
  });
  const wrong: [readonly string[], Record<string, string>][] = [
    [[], {}],
    [["a.tar"], {}],
    [["a.tar", "/a", "/b"], {}],
    [["a.tar", "/a"], { pid: "1" }],
    [["a.tar", "/a"], { range: "1-2" }],
    [["a.tar"], { pid: "x" }],
    [["a.tar"], { pid: "1", range: "2-1" }],
    [["a.tar"], { pid: "1", range: "0x1000" }],
    [["a.tar"], { pid: "1", range: "0-10000000000000000" }],
    [["a.tar"], { pid: "1", to: "-" }],
    [["a.tar", ""], {}],
    [["a.tar", "/a"], { to: "" }],
  ];
  for (const [words, flags] of wrong) assert.throws(() => request(words, flags), { reason: "Usage" }, JSON.stringify([words, flags]));
});

test("the file that the container wrote, on all three engines; what it removed is said to be removed", async () => {
  for (const [file, content] of [
    [CONTAINERD, "hi\n"],
    [CRIO, "hi\n"],
    [PODMAN, "new\n"],
  ] as const) {
    const directory = scratch();
    const { lines, exitCode, document } = await extractTo(directory, [file, "/data/new"]);
    assert.deepEqual(filesBelow(directory), { new: content });
    assert.equal(lstatSync(join(directory, "new")).mode & 0o777, 0o600);
    assert.deepEqual(lines, [`/data/new written to ${directory}/new (${content.length} B)`]);
    assert.equal(exitCode, 0);
    assert.deepEqual(document, {
      apiVersion: "checkpoint.kubectl/v1",
      kind: "ExtractionList",
      items: [{ from: "/data/new", path: `${directory}/new`, bytes: content.length }],
    });
    await assert.rejects(extractTo(directory, [file, "/etc/to-delete"]), {
      reason: "Deleted",
      message: "/etc/to-delete was deleted in the container",
    });
    assert.equal((await stdout([file, "/data//./new"])).toString(), content);
  }
});

test("memory whose images are missing is no file of zeros: what is there is written, and then it is told", async () => {
  const whole = scratch();
  await extractTo(whole, [ZOO], { pid: "1" });
  const damaged = await without(ZOO, "checkpoint/pagemap-shmem-245.img");
  const part = scratch();
  await assert.rejects(extractTo(part, [damaged], { pid: "1" }), {
    reason: "NotInArchive",
    message: "checkpoint/pagemap-shmem-245.img is not in the archive",
  });
  const missing = Object.keys(filesBelow(whole)).filter((name) => !(name in filesBelow(part)));
  assert.equal(missing.length, 1, missing.join());
  const [, at = ""] = /([\da-f]+)\.shared\.bin$/.exec(missing[0] ?? "") ?? [];
  const range = `${at}-${(BigInt(`0x${at}`) + 16n).toString(16)}`;
  await assert.rejects(stdout([damaged], { pid: "1", range }), { reason: "NotInArchive" });
});

test("a directory with what is below it; the whole change; links are left out", async () => {
  const directory = scratch();
  await extractTo(directory, [CONTAINERD, "/data/"]);
  assert.deepEqual(filesBelow(directory), { "data/new": "hi\n" });
  const { events, exitCode, document } = await extractTo(directory, [CRIO, "/"]);
  assert.deepEqual(filesBelow(join(directory, "rootfs")), { "data/new": "hi\n" });
  assert.deepEqual(
    events.map((event) => (event.kind === "warning" ? plain(event.text) : event.kind)),
    ["/: symbolic links were skipped: 1"],
  );
  assert.equal(exitCode, 3, "not all of it");
  assert.deepEqual((document as { skipped: object }).skipped, { symbolicLinks: 1, special: 0, mountPoints: 0, names: [] });
  await assert.rejects(extractTo(directory, [CRIO, "/etc/mtab"]), { reason: "UnreadableMember", why: "it points to /proc/mounts" });
});

function warnings({ events }: Ran): string[] {
  return events.flatMap((event) => (event.kind === "warning" ? [plain(event.text)] : []));
}

/** With one more mount in its specification. */
async function withBind(archive: string, destination: string): Promise<string> {
  return await altered(archive, (files) => {
    const spec = JSON.parse(String(files.get("spec.dump"))) as { mounts: object[] };
    spec.mounts.push({ destination, type: "bind", source: "/var/lib/kubelet/pods/1/volume-subpaths/config/zoo/1" });
    files.set("spec.dump", Buffer.from(JSON.stringify(spec)));
  });
}

test("a mount point is never taken for what was mounted there", async () => {
  const inVolume = (mount: string) => ({
    reason: "NotInArchive",
    why: `it is in a volume, mounted at ${mount}: volumes are not in an archive`,
  });
  const redis = join(ARCHIVES, "containerd-2.1.9-criu4.2.1-k8s-redis.tar");
  const account = "/var/run/secrets/kubernetes.io/serviceaccount";
  const subPath = await altered(await withBind(CONTAINERD, "/etc/app.conf"), (files) =>
    files.set("rootfs-diff.tar", tar({ name: "etc/app.conf" }, { name: "etc/app.conf.old", data: "mine" })),
  );
  const cases: [file: string, path: string, mount: string][] = [
    [ZOO, "/etc/hosts", "/etc/hosts"],
    [ZOO, "/etc/resolv.conf", "/etc/resolv.conf"],
    [ZOO, "/dev/termination-log", "/dev/termination-log"],
    [ZOO, "/dev/shm", "/dev/shm"],
    [ZOO, "/zoo", "/zoo"],
    [ZOO, "/zoo/zoo", "/zoo"],
    [redis, account, account],
    [CRIO, "/run/.containerenv", "/run/.containerenv"],
    [PODMAN, "/etc/hosts", "/etc/hosts"],
    [subPath, "/etc/app.conf", "/etc/app.conf"],
    // As CRIU alone tells it, and as the specification alone does.
    [await without(ZOO, "spec.dump"), "/etc/hosts", "/etc/hosts"],
    [await without(ZOO, "checkpoint/mountpoints-13.img"), "/etc/hosts", "/etc/hosts"],
  ];
  const directory = scratch();
  for (const [file, path, mount] of cases) await assert.rejects(extractTo(directory, [file, path]), inVolume(mount), path);
  await assert.rejects(extractTo(directory, [CONTAINERD, "/proc"]), { reason: "NotInArchive", why: /a file system of the kernel's/ });
  assert.deepEqual(readdirSync(directory), []);
  assert.equal((await stdout([subPath, "/etc/app.conf.old"])).toString(), "mine");
  // CRIU keeps what was deleted wherever it was.
  assert.equal((await stdout([await withBind(ZOO, "/tmp"), "/tmp/ghost"])).toString(), "ghost-bytes\n");
});

test("below a directory mount points are left out and counted", async () => {
  const directory = scratch();
  const all = await extractTo(directory, [ZOO, "/"]);
  assert.deepEqual(filesBelow(join(directory, "rootfs")), { "data/log.txt": "twelve bytes" });
  assert.deepEqual(warnings(all), [
    "/: special files were skipped: 1",
    "/: mount points were skipped, whose contents are not in the archive: 4",
  ]);
  const etc = await extractTo(directory, [ZOO, "/etc"]);
  assert.deepEqual([etc.exitCode, etc.lines, warnings(etc).length], [0, [], 1]);
  // A tmpfs that is in the archive, and what was mounted in it.
  const dev = await extractTo(directory, [ZOO, "/dev"]);
  assert.match(warnings(dev).at(-1) ?? "", /^\/dev: mount points were skipped, .*: 4$/);
  assert.deepEqual(filesBelow(join(directory, "dev")), {});
});

test("a file that was deleted while it was open", async () => {
  for (const file of [PODMAN, ZOO]) {
    assert.equal((await stdout([file, "/tmp/ghost"])).toString(), "ghost-bytes\n");
    const directory = scratch();
    const { lines } = await extractTo(directory, [file, "/tmp/ghost"]);
    assert.deepEqual(lines, [`/tmp/ghost (deleted) written to ${directory}/ghost (12 B)`]);
    assert.equal(lstatSync(join(directory, "ghost")).mode & 0o777, 0o600);
  }
});

test("members of the archive, by name", async () => {
  assert.match((await stdout([CRIO, "dump.log"])).toString(), /Version: 4\.2\.1/);
  const directory = scratch();
  const { lines } = await extractTo(directory, [CRIO, "checkpoint"]);
  assert.equal(lines.length, 42);
  assert.equal(readdirSync(join(directory, "checkpoint")).length, 42);
});

test("what is not in an archive: said why, and what to ask for instead", async () => {
  const redis = join(ARCHIVES, "containerd-2.1.9-criu4.2.1-k8s-redis.tar");
  const cases: [string, string, object][] = [
    [CONTAINERD, "/bin/busybox", { reason: "NotInArchive", why: /not those of its image/ }],
    [redis, "/var/run/secrets/kubernetes.io/serviceaccount/token", { reason: "NotInArchive", why: /in a volume, mounted at \/var\/run/ }],
    [CONTAINERD, "data/new", { reason: "NotInArchive", fix: "a path in the container begins with a slash: /data/new" }],
    [CONTAINERD, "no/such", { reason: "NotInArchive" }],
    [CONTAINERD, "../../etc/passwd", { reason: "NotInArchive" }],
    [CONTAINERD, "/../../etc/passwd", { reason: "NotInArchive" }],
  ];
  for (const [file, path, error] of cases) {
    const directory = scratch();
    await assert.rejects(extractTo(directory, [file, path]), error, path);
    assert.deepEqual(readdirSync(directory), []);
  }
});

test("the memory of a process: what search and inspect find in it is there", async () => {
  const directory = scratch();
  const { lines } = await extractTo(directory, [CONTAINERD], { pid: "8" });
  const files = readdirSync(join(directory, "pid-8"));
  assert.deepEqual(files, [
    "28258000.heap.bin",
    "401000.file.bin",
    "5f1000.file.bin",
    "5f4000.file.bin",
    "5f6000.anonymous.bin",
    "7f22d302a000.vdso.bin",
    "7fffc95de000.stack.bin",
  ]);
  assert.equal(lines.length, files.length);
  const stack = readFileSync(join(directory, "pid-8", "7fffc95de000.stack.bin"));
  assert.equal(stack.length, 0x4000);
  assert.ok(stack.includes("SECRET_TOKEN=s3cr3t-value-123"));
  assert.equal(lstatSync(join(directory, "pid-8")).mode & 0o777, 0o700);

  const range = await stdout([CONTAINERD], { pid: "8", range: "0x7fffc95df000-0x7fffc95e2000" });
  assert.ok(range.equals(stack.subarray(0x1000)));
});

test("a range that is not wholly in the archive is an error, not zeros, and leaves no file", async () => {
  const directory = scratch();
  for (const [range, why] of [
    ["401000-403000", "it is as in the mapped file, which is not in the archive"],
    ["1000-2000", "the process has nothing mapped there"],
    ["0-ffffffffffffffff", "the process has nothing mapped there"],
  ] as const) {
    await assert.rejects(extractTo(directory, [CONTAINERD], { pid: "8", range }), { reason: "NotInArchive", why });
  }
  await assert.rejects(extractTo(directory, [CONTAINERD], { pid: "9" }), { reason: "NoSuchProcess" });
  assert.deepEqual(readdirSync(directory), []);
});

test("memory that was never touched reads as zeros within a range", async () => {
  const heap = await stdout([CONTAINERD], { pid: "8", range: "2825b000-2825e000" });
  assert.equal(heap.length, 0x3000);
  assert.ok(heap.subarray(0, 0x1000).some((byte) => byte !== 0));
  assert.ok(heap.subarray(0x1000).every((byte) => byte === 0));
});

test("an archive of old pagemaps: the needle in the heap of awk", async () => {
  const directory = scratch();
  await extractTo(directory, [PODMAN], { pid: "4" });
  const found = readdirSync(join(directory, "pid-4")).filter((file) =>
    readFileSync(join(directory, "pid-4", file)).includes("needle-in-heap-789"),
  );
  assert.notEqual(found.length, 0);
});

test("nothing is replaced, and no link at the destination is followed", async () => {
  const directory = scratch();
  const outside = join(scratch(), "outside");
  writeFileSync(outside, "untouched");
  for (const target of [outside, "/nonexistent/dangling"]) {
    const link = join(directory, `link-${target === outside ? "file" : "dangling"}`);
    symlinkSync(target, link);
    await assert.rejects(runVerb(extract, [CONTAINERD, "/data/new"], { to: link }), { reason: "AlreadyExists" });
  }
  symlinkSync(scratch(), join(directory, "data"));
  await assert.rejects(extractTo(directory, [CONTAINERD, "/data"]), { reason: "AlreadyExists" });
  writeFileSync(join(directory, "new"), "mine");
  await assert.rejects(extractTo(directory, [CONTAINERD, "/data/new"]), { reason: "AlreadyExists" });
  assert.equal(readFileSync(join(directory, "new"), "utf8"), "mine");
  assert.equal(readFileSync(outside, "utf8"), "untouched");
  await assert.rejects(runVerb(extract, [CONTAINERD, "/data/new"], { to: join(directory, "missing/") }), {
    reason: "DestinationUnusable",
  });
});

test("hostile changes of a root file system: nothing is written outside, nor through links", async () => {
  const root = scratch();
  const directory = join(root, "a", "b");
  mkdirSync(directory, { recursive: true });
  const file = archiveOf(
    { name: "../../evil", data: "evil" },
    { name: "/tmp/evil", data: "evil" },
    { name: "link", type: "2", target: "../../.." },
    { name: "link/evil", data: "evil" },
    { name: "hard", type: "1", target: "/etc/passwd" },
    { name: "device", type: "4" },
    pax({ path: "a/../../evil" }),
    { name: "x", data: "evil" },
    { name: "bell\u0007", data: "evil" },
    { name: "good", data: "good" },
  );
  const hostile = await extractTo(directory, [file, "/"]);
  assert.equal(hostile.exitCode, 3);
  assert.deepEqual(warnings(hostile), [
    "/: symbolic links were skipped: 1",
    "/: special files were skipped: 2",
    '/: skipped ../../evil, which has ".." in it',
    "/: skipped /tmp/evil, which is absolute",
    '/: skipped a/../../evil, which has ".." in it',
  ]);
  // "link" is left out: what lies below it goes into a directory of that name.
  assert.deepEqual(filesBelow(root), {
    "a/b/rootfs/good": "good",
    "a/b/rootfs/link/evil": "evil",
    [String.raw`a/b/rootfs/bell\x07`]: "evil",
  });
});

test("a name that is a file and a directory: the one that cannot be written is told, the others are there", async () => {
  const directory = scratch();
  const file = archiveOf({ name: "a", data: "file" }, { name: "a/b", data: "below a file" }, { name: "c", data: "c" });
  const { errors, exitCode } = await extractTo(directory, [file, "/"]);
  assert.deepEqual(filesBelow(directory), { "rootfs/a": "file", "rootfs/c": "c" });
  assert.equal(exitCode, 3);
  assert.match(errors[0]?.message ?? "", /^rootfs-diff\.tar: a is no directory, but members lie below it$/);
  assert.equal(errors.length, 2);
});

test("a change that is damaged in its middle: what was found is there, and that there may be more is said", async () => {
  const directory = scratch();
  const inner = tar({ name: "first", data: "1" }, { name: "second", data: "2" });
  inner.fill(0xff, 1024, 1100);
  const path = join(scratch(), "damaged.tar");
  writeFileSync(path, tar({ name: "config.dump", data: "{}" }, { name: "rootfs-diff.tar", data: gzipSync(inner) }));
  const { errors, exitCode } = await extractTo(directory, [path, "/"]);
  assert.deepEqual(filesBelow(directory), { "rootfs/first": "1" });
  assert.deepEqual([errors.map(({ message }) => message), exitCode], [["rootfs-diff.tar: the header at byte 1024 is damaged"], 3]);
});

test("a file whose size lies is an error and leaves nothing", async () => {
  const directory = scratch();
  const file = archiveOf({ name: "good", data: "good" }, { name: "liar", data: "short", size: 2 ** 40 });
  await assert.rejects(extractTo(directory, [file, "/liar"]), { reason: "ArchiveTruncated" });
  assert.deepEqual(readdirSync(directory), []);
});

test("Podman's named volumes and /dev/shm are found where they were mounted", async () => {
  const path = join(scratch(), "podman.tar");
  writeFileSync(
    path,
    tar(
      { name: "config.dump", data: JSON.stringify({ namedVolumes: [{ volumeName: "data", dest: "/data" }] }) },
      { name: "spec.dump", data: JSON.stringify({ annotations: { "io.container.manager": "libpod" }, mounts: [] }) },
      { name: "volumes/data.tar", data: tar({ name: "./", type: "5" }, { name: "./deep/file", data: "in a volume" }) },
      { name: "devshm-checkpoint.tar", data: tar({ name: "segment", data: "shared" }) },
    ),
  );
  assert.equal((await stdout([path, "/data/deep/file"])).toString(), "in a volume");
  assert.equal((await stdout([path, "/dev/shm/segment"])).toString(), "shared");
  await assert.rejects(stdout([path, "/data/other"]), { reason: "NotInArchive" });
  const directory = scratch();
  await extractTo(directory, [path, "/data"]);
  assert.deepEqual(filesBelow(directory), { "data/deep/file": "in a volume" });
});
