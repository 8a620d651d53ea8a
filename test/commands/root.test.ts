// Runs on Linux and macOS only: it looks at links and file modes.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { verb as extract } from "../../src/commands/extract.ts";
import { verb as report } from "../../src/commands/report.ts";
import { FileEntrySchema } from "../../src/criu/gen/files_pb.ts";
import { tar, type TarMember } from "../archive/tars.ts";
import { checkpoint, image, MAGIC, message, STATUS } from "../criu/synthetic.ts";
import type { Report } from "../../src/model/findings.ts";
import { requestOf, runVerb } from "./running.ts";

const folder = mkdtempSync(join(tmpdir(), "root-"));
after(() => rmSync(folder, { recursive: true }));
let made = 0;

const digestOf = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

/** An OCI layout of an image with these layers. */
function layout(...layers: readonly Buffer[]): string {
  const directory = join(folder, `image-${(made += 1)}`);
  mkdirSync(join(directory, "blobs/sha256"), { recursive: true });
  const put = (bytes: Buffer) => {
    writeFileSync(join(directory, "blobs/sha256", digestOf(bytes)), bytes);
    return { digest: `sha256:${digestOf(bytes)}`, size: bytes.length };
  };
  const manifest = put(Buffer.from(JSON.stringify({ schemaVersion: 2, layers: layers.map(put) })));
  writeFileSync(join(directory, "index.json"), JSON.stringify({ manifests: [manifest] }));
  writeFileSync(join(directory, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  return directory;
}

/** An archive with a change of the root file system. */
function archiveOf(change: readonly TarMember[], files = checkpoint({ processes: [{ pid: 1 }] })): string {
  const path = join(folder, `${(made += 1)}.tar`);
  const images = Object.entries(files).map(([name, data]) => ({ name, data }));
  writeFileSync(path, tar({ name: "config.dump", data: "{}" }, ...images, { name: "rootfs-diff.tar", data: gzipSync(tar(...change)) }));
  return path;
}

/** What is below a directory: contents, targets of links, "/" for directories. */
function tree(directory: string, above = ""): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(join(directory, above))) {
    const path = join(directory, above, name);
    const stats = lstatSync(path);
    if (name.startsWith(".kubectl-checkpoint")) continue;
    found[above + name] = stats.isSymbolicLink() ? `-> ${readlinkSync(path)}` : stats.isDirectory() ? "/" : readFileSync(path, "utf8");
    if (stats.isDirectory()) Object.assign(found, tree(directory, `${above}${name}/`));
  }
  return found;
}

async function rootOf(archive: string, base: string) {
  const to = join(folder, `root-${(made += 1)}`);
  const ran = await runVerb(extract, [archive, "/"], { "base-image": base, to });
  return { ran, to, files: tree(to) };
}

test("--base-image wants / or --core", () => {
  assert.deepEqual(requestOf(extract, ["a.tar", "/"], { "base-image": "" }).what, { kind: "root" });
  assert.equal(requestOf(extract, ["a.tar"], { core: true, "base-image": "oci:x" }).base, "oci:x");
  assert.throws(() => requestOf(extract, ["a.tar", "/etc"], { "base-image": "" }), {
    message: /--base-image requires --core, or \/ as PATH/,
  });
  assert.throws(() => requestOf(extract, ["a.tar"], { pid: "1", "base-image": "" }));
});

test("layers one over the other, whiteouts applied, and the change over them: what the container saw", async () => {
  const lowest = gzipSync(
    tar(
      { name: "usr/", type: "5" },
      { name: "usr/lib/", type: "5" },
      { name: "usr/lib/a.so", data: "lower a" },
      { name: "usr/lib/b.so", data: "lower b" },
      { name: "lib", type: "2", target: "usr/lib" },
      { name: "etc/gone", data: "gone" },
      { name: "etc/kept", data: "kept" },
      { name: "opaque/old", data: "old" },
      { name: "bin/sh", data: "shell", mode: 0o755 },
      { name: "bin/ash", type: "1", target: "bin/sh" },
      { name: "dir/inside", data: "in a directory" },
    ),
  );
  const upper = zstdCompressSync(
    tar(
      // Through a link of the layer below.
      { name: "lib/a.so", data: "upper a" },
      { name: "etc/.wh.gone" },
      { name: "opaque/.wh..wh..opq" },
      { name: "opaque/new", data: "new" },
      { name: "dir", data: "a file now" },
      { name: "bin/su", data: "root", mode: 0o4755, uid: 0, gid: 7 },
      { name: "dev/null", type: "3" },
    ),
  );
  const change = [
    { name: "etc/kept", data: "changed" },
    { name: "usr/lib/.wh.b.so" },
    { name: "tmp/made", data: "made" },
    { name: "link", type: "2", target: "/etc/kept" },
  ];
  const { files, ran, to } = await rootOf(archiveOf(change), `oci:${layout(lowest, upper)}`);
  assert.deepEqual(files, {
    bin: "/",
    "bin/ash": "shell",
    "bin/sh": "shell",
    "bin/su": "root",
    dev: "/",
    dir: "a file now",
    etc: "/",
    "etc/kept": "changed",
    lib: "-> usr/lib",
    link: "-> etc/kept",
    opaque: "/",
    "opaque/new": "new",
    tmp: "/",
    "tmp/made": "made",
    usr: "/",
    "usr/lib": "/",
    "usr/lib/a.so": "upper a",
  });
  for (const name of ["bin/su", "bin/sh"]) assert.equal(lstatSync(join(to, name)).mode & 0o7777, 0o600);
  const modes = readFileSync(join(to, ".kubectl-checkpoint-modes.tsv"), "utf8");
  assert.match(modes, /^04755\t0\t7\tfile\t4\t\/bin\/su\t$/m);
  assert.match(modes, /^0644\t0\t0\tother\t0\t\/dev\/null\t$/m);
  // A device is in the listing alone, and that is said.
  assert.equal(ran.exitCode, 3);
  assert.equal((ran.document as { skipped: { special: number } }).skipped.special, 1);
});

test("nothing leads out of the directory: neither names nor links, however they are made", async () => {
  const hostile = gzipSync(
    tar(
      { name: "../outside", data: "no" },
      { name: "/absolute", data: "no" },
      { name: "up", type: "2", target: "../../../../../../etc" },
      { name: "up/passwd", data: "through a link" },
      { name: "here", type: "2", target: "." },
      { name: "sneaky", type: "2", target: "here/../../etc/passwd" },
      { name: "a/b/c", type: "2", target: "/../../x" },
      { name: "circle", type: "2", target: "circle" },
      { name: "circle/file", data: "in a circle" },
    ),
  );
  const { files, to } = await rootOf(archiveOf([]), `oci:${layout(hostile)}`);
  assert.deepEqual(files, {
    a: "/",
    "a/b": "/",
    "a/b/c": "-> ../../x",
    circle: "/",
    "circle/file": "in a circle",
    etc: "/",
    "etc/passwd": "through a link",
    here: "-> .",
    sneaky: "-> etc/passwd",
    up: "-> etc",
  });
  assert.deepEqual(
    readdirSync(join(to, "..")).filter((name) => name === "outside" || name === "etc"),
    [],
  );
});

test("a layer that is not what its digest says is refused, and nothing stays", async () => {
  const directory = layout(gzipSync(tar({ name: "a", data: "a" })));
  for (const name of readdirSync(join(directory, "blobs/sha256"))) {
    const path = join(directory, "blobs/sha256", name);
    if (readFileSync(path)[0] === 0x1f) writeFileSync(path, gzipSync(tar({ name: "a", data: "b" })));
  }
  const to = join(folder, "refused");
  await assert.rejects(runVerb(extract, [archiveOf([]), "/"], { "base-image": `oci:${directory}`, to }), { reason: "DigestMismatch" });
  assert.throws(() => lstatSync(to), { code: "ENOENT" });
});

/** An ELF file with a build ID. */
function elf(buildId: string): Buffer {
  const bytes = Buffer.alloc(64 + 56 + 36);
  bytes.write("\x7fELF\x02\x01\x01", "latin1");
  bytes.writeBigUInt64LE(64n, 32);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(1, 56);
  bytes.writeUInt32LE(4, 64);
  bytes.writeBigUInt64LE(120n, 72);
  bytes.writeBigUInt64LE(36n, 96);
  bytes.writeUInt32LE(4, 120);
  bytes.writeUInt32LE(20, 124);
  bytes.writeUInt32LE(3, 128);
  bytes.write("GNU\0", 132, "latin1");
  bytes.write(buildId, 136, "hex");
  return bytes;
}

test("an image with another program than the one that was mapped is refused, and nothing stays", async () => {
  const own = "bec25f80c77e53a00112233445566778899aabbc";
  const words = Array.from({ length: 5 }, (_, index) => Buffer.from(own, "hex").readUInt32LE(index * 4));
  const files = {
    ...checkpoint({ processes: [{ pid: 1 }] }),
    "checkpoint/files.img": image(MAGIC.files, [
      message(FileEntrySchema, { type: 1, id: 1, reg: { id: 1, name: "/bin/prog", mode: 0o100755, buildId: words } }),
    ]),
  };
  const archive = archiveOf([], files);
  const right = layout(tar({ name: "bin/prog", data: elf(own) }));
  assert.equal((await runVerb(extract, [archive, "/"], { "base-image": `oci:${right}`, to: join(folder, "right") })).exitCode, 0);
  for (const wrong of [
    layout(tar({ name: "bin/prog", data: elf(own.replace("bec", "aaa")) })),
    layout(tar({ name: "bin/other", data: "x" })),
  ]) {
    const to = join(folder, "wrong");
    await assert.rejects(runVerb(extract, [archive, "/"], { "base-image": `oci:${wrong}`, to }), { reason: "WrongBaseImage" });
    assert.throws(() => lstatSync(to), { code: "ENOENT" });
  }
});

/** A process that has mapped programs, each with a build ID. */
function mapping(programs: Readonly<Record<string, string>>) {
  const names = Object.keys(programs);
  const mappings = names.map((_, index) => ({
    start: 0x400000n + BigInt(index) * 0x10000n,
    pages: 1,
    prot: 5,
    status: STATUS.regular | STATUS.file,
    shmid: BigInt(index + 1),
  }));
  const words = (id: string): number[] => Array.from({ length: 5 }, (_, index) => Buffer.from(id, "hex").readUInt32LE(index * 4));
  return {
    ...checkpoint({ processes: [{ pid: 1, mappings }] }),
    "checkpoint/files.img": image(
      MAGIC.files,
      names.map((name, index) =>
        message(FileEntrySchema, {
          type: 1,
          id: index + 1,
          reg: { id: index + 1, name, mode: 0o100755, buildId: words(programs[name] ?? "") },
        }),
      ),
    ),
  };
}

test("report --base-image: changes are added or changed, and programs that are not the image's are found", async () => {
  const [own, other] = ["bec25f80c77e53a00112233445566778899aabbc", "aaa25f80c77e53a00112233445566778899aabbc"];
  const files = mapping({ "/usr/bin/prog": own, "/usr/bin/swapped": own, "/usr/bin/extra": own, "/usr/bin/written": other });
  const change = [
    { name: "etc/kept", data: "changed" },
    { name: "etc/new", data: "new" },
    { name: "etc/gone", data: "made again" },
    { name: "usr/bin/written", data: elf(other), mode: 0o755 },
    { name: "usr/lib/.wh.old" },
  ];
  const archive = archiveOf(change, files);
  const lowest = tar(
    { name: "usr/bin/prog", data: elf(other) },
    { name: "bin", type: "2", target: "usr/bin" },
    { name: "etc/kept", data: "kept" },
    { name: "etc/gone", data: "gone" },
    { name: "usr/bin/written", data: elf(own) },
  );
  const upper = tar({ name: "bin/prog", data: elf(own) }, { name: "bin/swapped", data: elf(other) }, { name: "etc/.wh.gone" });
  const to = join(folder, "page.html");
  const base = `oci:${layout(lowest, upper)}`;
  const { document, exitCode } = await runVerb(report, [archive], { "base-image": base, output: "json" });
  const { findings, timeline } = JSON.parse(JSON.stringify(document)) as Report;
  assert.deepEqual(
    findings.filter(({ id }) => id === "NotOfImage").map(({ severity, path, detail }) => [severity, path, detail]),
    [
      ["high", "/usr/bin/swapped", "the image has another file there, by its build ID"],
      ["high", "/usr/bin/extra", "the image has no such file"],
    ],
  );
  assert.equal(exitCode, 0);
  const changed = timeline.map(({ message: text }) => text.replace(/, SHA-256.*/, ""));
  for (const line of ["/etc/kept (text) changed", "/etc/new (text) added", "/etc/gone (text) added", "/usr/bin/written (ELF) changed"])
    assert.ok(changed.includes(line), `${line}: ${changed.join("\n")}`);
  await runVerb(report, [archive], { "base-image": base, to });
  assert.match(readFileSync(to, "utf8"), /<td>added<\/td>/);
  const { document: without } = await runVerb(report, [archive], { output: "json" });
  assert.ok(!JSON.stringify(without).includes("NotOfImage"));
  const wrong = `oci:${layout(tar({ name: "usr/bin/prog", data: elf(other) }))}`;
  await assert.rejects(runVerb(report, [archive], { "base-image": wrong, output: "json" }), { reason: "WrongBaseImage" });
});
