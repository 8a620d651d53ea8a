import assert from "node:assert/strict";
import { test } from "node:test";
import { Budget } from "../../src/archive/budget.ts";
import { bufferSource } from "../../src/archive/sources.ts";
import { indexTar } from "../../src/archive/tar/index.ts";
import { UserError } from "../../src/model/error.ts";
import type { Source } from "../../src/model/source.ts";
import { gnuLongName, pax, tar, tarHeader, tarMember, TAR_END, withChecksum } from "./tars.ts";

async function index(bytes: Buffer) {
  return await indexTar(bufferSource(bytes), { label: "test.tar", budget: new Budget() });
}

async function content(archive: Awaited<ReturnType<typeof index>>, name: string): Promise<string> {
  const source = archive.open(name);
  return (await source.read(0, source.size)).toString();
}

const LONG = `${"directory/".repeat(30)}file`;

test("members of ustar, with all that a header says", async () => {
  const archive = await index(
    tar(
      { name: "checkpoint/", type: "5", mode: 0o700 },
      { name: "pages-1.img", prefix: "checkpoint", data: "x".repeat(1000), modifiedAt: 1795486450 },
      { name: "parent", type: "2", target: "../pre-checkpoint" },
      { name: "empty" },
    ),
  );
  assert.deepEqual(
    [...archive.members.values()],
    [
      { name: "checkpoint", type: "directory", size: 0, mode: 0o700, uid: 0, gid: 0, modifiedAt: 0, target: "" },
      { name: "checkpoint/pages-1.img", type: "file", size: 1000, mode: 0o644, uid: 0, gid: 0, modifiedAt: 1795486450, target: "" },
      { name: "parent", type: "symlink", size: 0, mode: 0o644, uid: 0, gid: 0, modifiedAt: 0, target: "../pre-checkpoint" },
      { name: "empty", type: "file", size: 0, mode: 0o644, uid: 0, gid: 0, modifiedAt: 0, target: "" },
    ],
  );
  assert.equal(await content(archive, "checkpoint/pages-1.img"), "x".repeat(1000));
  assert.equal(archive.open("empty").size, 0);
  assert.deepEqual([archive.complete, archive.problems, archive.hostile], [true, [], []]);
});

test("long names and links: PAX, GNU, and the oldest archives' directories", async () => {
  const archive = await index(
    tar(
      pax({ path: LONG, linkpath: "ünïcode", mtime: "1795486450.25", comment: "none" }),
      { name: "short", type: "2", target: "short" },
      gnuLongName(`${LONG}2`),
      { name: "short", data: "gnu", magic: "ustar  \0", prefix: "not a prefix" },
      { name: "old/", type: "\0", magic: "\0" },
      { name: "./a//b/./c", data: "clean" },
      { name: "./", type: "5" },
    ),
  );
  assert.deepEqual([...archive.members.keys()], [LONG, `${LONG}2`, "old", "a/b/c"]);
  assert.equal(archive.members.get(LONG)?.target, "ünïcode");
  assert.equal(archive.members.get(LONG)?.modifiedAt, 1795486450);
  assert.equal(archive.members.get("old")?.type, "directory");
  assert.equal(await content(archive, `${LONG}2`), "gnu");
});

/** A source that is all zeros where no block was put: as large as one likes. */
function vastSource(size: number, blocks: ReadonlyMap<number, Buffer>): Source & { readonly reads: number[] } {
  const reads: number[] = [];
  return {
    size,
    reads,
    async read(offset, length) {
      reads.push(offset);
      return blocks.get(offset) ?? Buffer.alloc(length);
    },
  };
}

test("sizes beyond 8 GiB: base-256 and PAX, found by seeking over the data", async () => {
  const vast = 20 * 2 ** 30;
  const extended = tarMember(pax({ size: String(vast) }));
  const second = 512 + vast;
  const third = second + extended.length + 512 + vast;
  const source = vastSource(
    third + 1536,
    new Map([
      [0, tarHeader({ name: "gnu", size: vast })],
      [second, extended.subarray(0, 512)],
      [second + 512, extended.subarray(512, 512 + Number.parseInt(extended.toString("latin1", 124, 135), 8))],
      [second + 1024, tarHeader({ name: "pax", size: 0 })],
      [third, tarHeader({ name: "after" })],
    ]),
  );
  const archive = await indexTar(source, { label: "vast.tar", budget: new Budget() });
  assert.deepEqual(
    [...archive.members.values()].map(({ name, size }) => [name, size]),
    [
      ["gnu", vast],
      ["pax", vast],
      ["after", 0],
    ],
  );
  assert.ok(archive.complete);
  assert.equal(source.reads.length, 7);
});

test("hostile names are listed apart and cannot be opened", async () => {
  const names = ["/etc/passwd", "../up", "a/../../up", "a/..", ""];
  const archive = await index(tar(...names.map((name) => ({ name, data: "evil" })), pax({ path: "a/".repeat(3000) }), { name: "x" }));
  assert.equal(archive.members.size, 0);
  assert.deepEqual(
    archive.hostile.map(({ why }) => why),
    ["is absolute", 'has ".." in it', 'has ".." in it', 'has ".." in it', "is empty", "is 6000 bytes long"],
  );
  for (const { name } of archive.hostile) assert.throws(() => archive.open(name), { reason: "NoSuchMember" });
});

test("names of any bytes are members, escaped so that no two look alike, and can be opened", async () => {
  const names = ["bell\u0007", "new\nline", "\u202etxt.exe", "back\\slash", Buffer.from([0x66, 0xff]), Buffer.from([0x66, 0xfe])];
  const archive = await index(tar(...names.map((name, at) => ({ name, data: `data ${at}` }))));
  const shown = [
    String.raw`bell\x07`,
    String.raw`new\x0aline`,
    String.raw`\xe2\x80\xaetxt.exe`,
    String.raw`back\\slash`,
    String.raw`f\xff`,
    String.raw`f\xfe`,
  ];
  assert.deepEqual([...archive.members.keys()], shown);
  assert.deepEqual(archive.hostile, []);
  for (const [at, name] of shown.entries()) assert.equal(await content(archive, name), `data ${at}`);
});

test("links, devices, directories and sparse files are never opened; what follows them is found", async () => {
  const sparse = tarHeader({ name: "gnu-sparse", type: "S", data: "map", magic: "ustar  \0" });
  sparse[482] = 1;
  const archive = await index(
    Buffer.concat([
      ...[
        { name: "link", type: "1", target: "../../etc/shadow", size: 512 },
        { name: "symlink", type: "2", target: "/etc/shadow" },
        { name: "device", type: "3" },
        { name: "fifo", type: "6" },
        { name: "directory", type: "5", size: 512 },
        { name: "unknown", type: "Z", data: "vendor's own" },
        pax({ "GNU.sparse.major": "1" }),
        { name: "pax-sparse", data: "map" },
      ].map(tarMember),
      withChecksum(sparse),
      Buffer.alloc(512),
      tarMember({ name: "unused", data: "map" }).subarray(512),
      tar({ name: "last", data: "found" }),
    ]),
  );
  assert.deepEqual(
    [...archive.members.values()].map(({ name, type }) => `${name} ${type}`),
    [
      "link link",
      "symlink symlink",
      "device other",
      "fifo other",
      "directory directory",
      "unknown other",
      "pax-sparse file",
      "gnu-sparse file",
      "last file",
    ],
  );
  for (const name of archive.members.keys()) {
    if (name !== "last") assert.throws(() => archive.open(name), { reason: "UnreadableMember" }, name);
  }
  assert.equal(await content(archive, "last"), "found");
});

test("of two members of one name the last counts, and it is reported", async () => {
  const archive = await index(tar({ name: "config.dump", data: "first" }, { name: "./config.dump", data: "second" }));
  assert.equal(await content(archive, "config.dump"), "second");
  assert.deepEqual(archive.problems, ["there is more than one member config.dump"]);
});

test("an archive that breaks off says how; what came before can be read", async () => {
  const whole = tar({ name: "a", data: "a".repeat(600) }, { name: "b", data: "b".repeat(600) });
  const cases: [cut: number, problem: string, complete: boolean][] = [
    [1536, "it ends without its closing zero blocks: it was cut off, or is still being written", false],
    [1700, "it is cut off in the middle of a header", false],
    [2500, "it is cut off in the middle of its last member", false],
    [3072, "it ends without its closing zero blocks: it was cut off, or is still being written", false],
    [3584, "it ends in one zero block instead of two", true],
  ];
  for (const [cut, problem, complete] of cases) {
    const archive = await index(whole.subarray(0, cut));
    assert.deepEqual([archive.problems, archive.complete], [[problem], complete], `cut at ${cut}`);
    assert.equal(await content(archive, "a"), "a".repeat(600));
  }
  const cut = await index(whole.subarray(0, 2500));
  assert.throws(() => cut.open("b"), { reason: "ArchiveTruncated", message: "b in test.tar is cut short" });
});

test("damage in the chain of headers ends it, and is named with its place", async () => {
  const good = tarMember({ name: "good", data: "1" });
  const bad = tarHeader({ name: "bad" });
  bad[0] = 0x42;
  const cases: [Buffer, RegExp][] = [
    [bad, /^the header at byte 1024 is damaged$/],
    [tarHeader({ name: "bad", size: "rubbish" }), /^the header at byte 1024 is damaged$/],
    [tarHeader({ name: "bad", size: 2n ** 63n }), /^the header at byte 1024 is damaged$/],
    [tarHeader({ name: "bad", size: 2 ** 52 }), /it is cut off in the middle of its last member$/],
    [tarHeader({ name: "bad", type: "x", size: 2 ** 40 }), /^the extended header at byte 1536 has 1099511627776 bytes$/],
    [tarMember({ name: "bad", type: "x", data: "99 path=x\n" }), /^the extended header at byte 1536 is malformed$/],
    [tarMember({ name: "bad", type: "x", data: "11 size=-1\n" }), /^the extended header at byte 1536 is malformed$/],
    [tarMember({ name: "bad", type: "x", data: "path=x\n" }), /^the extended header at byte 1536 is malformed$/],
    [Buffer.concat([Buffer.alloc(512), good]), /^a lone zero block at byte 1024 is in the middle of it$/],
  ];
  for (const [block, problem] of cases) {
    const archive = await index(Buffer.concat([good, block, TAR_END]));
    assert.deepEqual([...archive.members.keys()].slice(0, 1), ["good"]);
    assert.match(archive.problems.join(), problem);
    assert.equal(archive.complete, false);
  }
});

test("what is no tar archive at all is refused", async () => {
  for (const bytes of [Buffer.from("#!/bin/sh\n"), Buffer.alloc(5000, "x"), Buffer.alloc(3)]) {
    await assert.rejects(index(bytes), (error) => error instanceof UserError && error.reason === "NotAnArchive");
  }
  assert.equal((await index(TAR_END)).members.size, 0);
});

test("absurdly many headers are refused before they fill memory", async () => {
  const one = tarHeader({ name: "m" });
  const endless: Source = { size: Number.MAX_SAFE_INTEGER, read: async () => await Promise.resolve(one) };
  const budget = Budget.withoutClock();
  // Most of what may be kept: the rest is full sooner.
  budget.keep("other.tar", 230_000);
  await assert.rejects(indexTar(endless, { label: "endless.tar", budget }), { reason: "TooLarge" });
});
