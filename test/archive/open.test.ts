// Runs on Linux only: open files are counted in /proc.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { Readable } from "node:stream";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import type { Archive } from "../../src/archive/archive.ts";
import { openNested } from "../../src/archive/bytes.ts";
import { openArchive } from "../../src/archive/open.ts";
import { pax, tar } from "./tars.ts";

const ARCHIVES = "test/data/archives";

const SCRATCH = tmpdir();

/** A file in a directory of its own, which is also where temporary files go while the test runs. */
function fileOf(t: TestContext, name: string, bytes: Buffer): string {
  const directory = mkdtempSync(join(SCRATCH, "open-test-"));
  const before = process.env["TMPDIR"];
  process.env["TMPDIR"] = directory;
  t.after(() => {
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
  });
  const path = join(directory, name);
  writeFileSync(path, bytes);
  return path;
}

async function content(archive: Archive, name: string): Promise<Buffer> {
  const source = archive.open(name);
  return await source.read(0, source.size);
}

/** Larger than what stays in memory, and not all alike. */
const LARGE = Buffer.concat(Array.from({ length: 6 }, (_, index) => Buffer.alloc(1 << 20, `${index} of the large file `)));
const SAMPLE = tar({ name: "first", data: "1" }, { name: "large", data: LARGE }, { name: "last", data: "2" });

test("plain, gzip and zstd are told by content, and give the same members", async (t) => {
  for (const [compression, bytes] of [
    ["none", SAMPLE],
    ["gzip", gzipSync(SAMPLE)],
    ["zstd", zstdCompressSync(SAMPLE)],
  ] as const) {
    await using archive = await openArchive(fileOf(t, "archive.txt", bytes));
    assert.equal(archive.compression, compression);
    assert.equal(archive.bytes, bytes.length);
    assert.deepEqual([...archive.members.keys()], ["first", "large", "last"]);
    // Backwards: what has passed is still there.
    assert.equal((await content(archive, "last")).toString(), "2");
    assert.ok((await content(archive, "large")).equals(LARGE));
    assert.equal((await archive.open("large").read(1 << 20, 7)).toString(), "1 of th");
    assert.equal((await archive.rest()).afterArchive, 0);
  }
});

test("several frames or members in one file, skippable frames before and between", async (t) => {
  const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);
  const [front, back] = [SAMPLE.subarray(0, 3000), SAMPLE.subarray(3000)];
  for (const bytes of [
    Buffer.concat([skippable, zstdCompressSync(front), skippable, zstdCompressSync(back)]),
    Buffer.concat([gzipSync(front), gzipSync(back)]),
  ]) {
    await using archive = await openArchive(fileOf(t, "archive", bytes));
    assert.ok((await content(archive, "large")).equals(LARGE));
  }
});

test("an expanded archive leaves no file behind, not even while it is open, and no one else could read it", async (t) => {
  const path = fileOf(t, "archive.tar.zst", zstdCompressSync(SAMPLE));
  const directory = join(path, "..");
  await using archive = await openArchive(path);
  assert.ok((await content(archive, "large")).equals(LARGE));
  assert.deepEqual(readdirSync(directory), ["archive.tar.zst"]);
  const open = readdirSync("/proc/self/fd").map((fd) => {
    const { stdout } = spawnSync("stat", ["-L", "-c", "%a %h", `/proc/${process.pid}/fd/${fd}`], { encoding: "utf8" });
    return stdout.trim();
  });
  assert.ok(open.includes("600 0"), `an unlinked file of mode 0600 among ${open.join(", ")}`);
});

test("zstd that looks farther back than memory is given for is sound: how to read it is said", async (t) => {
  // A frame of one empty block whose window has 2 GiB, as zstd --long=31 makes them.
  const path = fileOf(t, "long.tar.zst", Buffer.from("28b52ffd00a8010000", "hex"));
  await assert.rejects(openArchive(path), {
    reason: "WindowTooLarge",
    message: `${path} takes more memory to expand than this plugin gives, 128 MiB`,
    fix: `expand it first: zstd -d --long=31 ${path}`,
  });
});

test("one pass keeps what was asked for, and writes nothing to disk", async (t) => {
  const bytes = tar({ name: "config.dump", data: "1" }, { name: "large", data: LARGE }, { name: "last", data: "2" });
  const path = fileOf(t, "archive.tar.gz", gzipSync(bytes));
  process.env["TMPDIR"] = "/nonexistent";
  await using archive = await openArchive(path, { keep: ({ name }) => name !== "large" });
  assert.deepEqual([...archive.members.keys()], ["config.dump", "large", "last"]);
  assert.equal((await content(archive, "config.dump")).toString(), "1");
  assert.equal(archive.open("large").size, LARGE.length);
  await assert.rejects(archive.open("large").read(0, 1), /was not kept while reading/);
});

test("no room for the expanded archive: said, with what to do", async (t) => {
  const path = fileOf(t, "archive.tar.gz", gzipSync(SAMPLE));
  process.env["TMPDIR"] = "/nonexistent";
  await assert.rejects(openArchive(path), {
    reason: "NoTemporarySpace",
    message: /cannot create a temporary file in \/nonexistent/,
    fix: /TMPDIR/,
  });
});

test("standard input and pipes", () => {
  const program = `
    import { openArchive } from "./src/archive/open.ts";
    await using archive = await openArchive(process.argv[1], { stdin: () => process.stdin });
    const source = archive.open("last");
    console.log(archive.bytes, archive.members.size, String(await source.read(0, source.size)));`;
  for (const bytes of [SAMPLE, gzipSync(SAMPLE)]) {
    for (const command of ['cat | "$@" -', 'cat | "$@" /dev/stdin', '"$@" -']) {
      const node = [process.execPath, "--input-type=module", "--eval", program, "--"];
      const { stdout, stderr } = spawnSync("sh", ["-c", command, "sh", ...node], { input: bytes, encoding: "utf8" });
      assert.equal(stdout, "undefined 3 2\n", stderr);
    }
  }
});

/** A frame of zstd that decoders pass over, of 4 GiB by its head. */
const SKIPPABLE_CUT = Buffer.concat([Buffer.from("502a4d18ffffffff", "hex"), zstdCompressSync(SAMPLE)]);

test("compressed data that are cut short or damaged: what came before can be read, and it is said", async (t) => {
  for (const bytes of [gzipSync(SAMPLE), zstdCompressSync(SAMPLE)]) {
    await using cut = await openArchive(fileOf(t, "cut", bytes.subarray(0, bytes.length - 40)));
    assert.equal(cut.complete, false);
    assert.equal((await content(cut, "first")).toString(), "1");
    assert.notDeepEqual(cut.problems, []);
  }
  const flipped = gzipSync(SAMPLE);
  flipped[flipped.length - 6] = (flipped.at(-6) ?? 0) ^ 1;
  const path = fileOf(t, "flipped", flipped);
  await using archive = await openArchive(path);
  // Found with the last piece, or by reading on.
  const later = await archive.rest().then(JSON.stringify, (error: Error) => error.message);
  assert.match([...archive.problems, later].join(), /the gzip data of .* are damaged/);
  await assert.rejects(openArchive(fileOf(t, "rubbish", Buffer.from("28b52ffd2400" + "ffffff".repeat(20), "hex"))), {
    reason: "ArchiveDamaged",
  });
  for (const cut of [gzipSync(SAMPLE).subarray(0, 30), zstdCompressSync(SAMPLE).subarray(0, 20), SKIPPABLE_CUT]) {
    const message = /^the (gzip|zstd) data of .* are cut short$/;
    await assert.rejects(openArchive(fileOf(t, "begun", cut)), { reason: "ArchiveTruncated", message });
  }
});

test("what follows the end: padding is nothing, anything else is counted", async (t) => {
  await using padded = await openArchive(fileOf(t, "padded", Buffer.concat([SAMPLE, Buffer.alloc(8192)])));
  assert.equal((await padded.rest()).afterArchive, 0);
  for (const bytes of [Buffer.concat([SAMPLE, Buffer.from("more")]), gzipSync(Buffer.concat([SAMPLE, Buffer.from("more")]))]) {
    await using archive = await openArchive(fileOf(t, "more", bytes));
    assert.equal((await archive.rest()).afterArchive, 4);
  }
});

test("what follows compressed data is counted, however it comes; zeros are nothing", async (t) => {
  const junk = Buffer.from("JUNK".repeat(100));
  for (const [bytes, expected] of [
    [Buffer.concat([zstdCompressSync(SAMPLE), junk]), 400],
    [Buffer.concat([zstdCompressSync(SAMPLE), zstdCompressSync(Buffer.alloc(0)), junk, Buffer.alloc(100)]), 500],
    [Buffer.concat([zstdCompressSync(SAMPLE), Buffer.alloc(2 << 20), Buffer.from("x")]), (2 << 20) + 1],
    [Buffer.concat([zstdCompressSync(SAMPLE), Buffer.alloc(500)]), 0],
    [Buffer.concat([gzipSync(SAMPLE), Buffer.alloc(500)]), 0],
    [Buffer.concat([gzipSync(SAMPLE), Buffer.alloc(500), junk]), 900],
  ] as const) {
    const path = fileOf(t, "archive", bytes);
    await using archive = await openArchive(path);
    assert.deepEqual(await archive.rest(), { afterArchive: 0, afterCompressed: expected });
    const dripping = Readable.from(
      (function* () {
        for (let at = 0; at < bytes.length; at += 1013) yield bytes.subarray(at, at + 1013);
      })(),
    );
    await using piped = await openArchive("-", { stdin: () => dripping });
    assert.deepEqual(await piped.rest(), { afterArchive: 0, afterCompressed: expected });
  }
});

test("a pipe that gives its first bytes one by one is known by them all the same", async () => {
  const bytes = gzipSync(tar({ name: "first", data: "1" }));
  const dripping = Readable.from(
    (function* () {
      for (const byte of bytes) yield Buffer.from([byte]);
    })(),
  );
  await using archive = await openArchive("-", { stdin: () => dripping });
  assert.deepEqual([archive.compression, [...archive.members.keys()]], ["gzip", ["first"]]);
});

test("no file, no archive, other compressions: each is said for what it is", async (t) => {
  await assert.rejects(openArchive("/nonexistent/a.tar"), { reason: "NoSuchFile", message: "there is no file /nonexistent/a.tar" });
  await assert.rejects(openArchive(ARCHIVES), { reason: "NotAnArchive", message: `${ARCHIVES} is a directory without a checkpoint in it` });
  await assert.rejects(openArchive(fileOf(t, "empty", Buffer.alloc(0))), { reason: "NotAnArchive", message: /empty is empty$/ });
  await assert.rejects(openArchive(fileOf(t, "text", Buffer.from("hello"))), { reason: "NotAnArchive", message: /is not a tar archive$/ });
  const xz = fileOf(t, "a.tar.xz", Buffer.from("fd377a585a000004", "hex"));
  await assert.rejects(openArchive(xz), { reason: "UnknownCompression", message: /compressed with xz/, fix: "unpack it with xz first" });
});

test("a decompression bomb is stopped", { timeout: 300_000 }, async (t) => {
  // A member of 20 GiB that is all zeros: some 2 MB of gzip, made of one block repeated.
  const block = gzipSync(Buffer.alloc(64 << 20));
  const head = gzipSync(tar({ name: "config.dump" }, pax({ size: String(20 * 2 ** 30) }), { name: "bomb" }).subarray(0, 2048));
  const path = fileOf(t, "bomb.tar.gz", Buffer.concat([head, ...Array.from({ length: 320 }, () => block)]));
  await assert.rejects(openArchive(path, { keep: () => false }), { reason: "DecompressionBomb" });
});

test("nested archives, whatever their names say of compression", async () => {
  const nested: Record<string, [compression: string, files: string[]]> = {
    "containerd-a.tar": ["gzip", ["data/new", "etc/hostname", "etc/hosts", "etc/resolv.conf", "etc/.wh.to-delete"]],
    "crio-1.34.11-criu4.2.1.tar": ["none", ["data/new"]],
    "podman-zstd.tar.zst": ["none", ["data/new"]],
  };
  for (const [file, [compression, files]] of Object.entries(nested)) {
    await using archive = await openArchive(join(ARCHIVES, file));
    await using changes = await openNested(archive, "rootfs-diff.tar");
    assert.equal(changes.compression, compression);
    assert.deepEqual(
      [...changes.members.values()].filter(({ type }) => type === "file").map(({ name }) => name),
      files,
    );
    assert.equal((await content(changes, "data/new")).toString(), "hi\n");
  }
});

test("the real archives are sound from the first header to the last byte", async () => {
  for (const file of readdirSync(ARCHIVES).filter((name) => /\.tar(\.gz|\.zst)?$/.test(name))) {
    await using archive = await openArchive(join(ARCHIVES, file));
    assert.deepEqual([archive.problems, archive.hostile, archive.complete], [[], [], true], file);
    // containerd wrote this one over an older one of the same second.
    assert.equal((await archive.rest()).afterArchive, file === "containerd-counter-before.tar.gz" ? 2048 : 0, file);
    assert.equal(archive.bytes, readFileSync(join(ARCHIVES, file)).length);
  }
});
