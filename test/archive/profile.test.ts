// What engines write is read without a word; what two readers of tar could take differently is named.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Budget } from "../../src/archive/budget.ts";
import { bufferSource } from "../../src/archive/sources.ts";
import { indexTar } from "../../src/archive/tar/index.ts";
import { gnuLongName, pax, tar, tarHeader, tarMember, TAR_END, withChecksum, type TarMember } from "./tars.ts";

async function index(bytes: Buffer, ofFiles = false) {
  return await indexTar(bufferSource(bytes), { label: "test.tar", budget: new Budget(), ofFiles });
}

async function problemsOf(...members: readonly (TarMember | Buffer)[]): Promise<string> {
  const blocks = members.map((member) => (Buffer.isBuffer(member) ? member : tarMember(member)));
  return (await index(Buffer.concat([...blocks, TAR_END]))).problems.join("; ");
}

const FILE: TarMember = { name: "config.dump", data: "{}" };

test("what engines and GNU tar write has no problem", async () => {
  const long = `${"directory/".repeat(30)}file`;
  assert.equal(
    await problemsOf(
      { name: "checkpoint/", type: "5" },
      pax({ path: long, mtime: "1795486450.25", "SCHILY.xattr.user.x": "\0\n=", uid: "4294967294", comment: "none" }),
      { name: "short" },
      gnuLongName(`${long}2`),
      { name: "short", magic: "ustar  \0" },
      { name: "link", type: "2", target: "/etc" },
      FILE,
    ),
    "",
  );
});

test("what readers take differently is a problem, with the member's name", async () => {
  const header = (change: (block: Buffer) => void, member: Partial<TarMember> = {}): Buffer => {
    const block = tarHeader({ ...FILE, data: "", ...member });
    change(block);
    return withChecksum(block);
  };
  const cases: readonly [expected: string, ...members: (TarMember | Buffer)[]][] = [
    ["several extended headers", pax({ path: "a" }), pax({ path: "b" }), FILE],
    ["several extended headers", gnuLongName("a"), gnuLongName("b"), FILE],
    ["a long name and an extended header with another", pax({ path: "a" }), gnuLongName("b"), FILE],
    ["a long name and an extended header with another", gnuLongName("b"), pax({ path: "a" }), FILE],
    ["an empty long name", gnuLongName(""), FILE],
    ["an empty record path in its extended header", pax({ path: "" }), FILE],
    ["two records path in its extended header", { name: "x", type: "x", data: "9 path=a\n9 path=b\n" }, FILE],
    ["a size in its extended header", pax({ size: "2" }), FILE],
    ["the records of a sparse file", pax({ "GNU.sparse.name": "config.dump" }), { name: "x" }],
    ["the records of a sparse file", pax({ "SCHILY.realsize": "5" }), FILE],
    ['a record "hdrcharset" in its extended header', pax({ hdrcharset: "BINARY" }), FILE],
    ["a sparse file", header(() => {}, { type: "S", magic: "ustar  \0" })],
    ["the type of the oldest archives", { ...FILE, type: "\0" }],
    ['the type "7"', { ...FILE, type: "7" }],
    ['the type "D"', { ...FILE, type: "D" }],
    ["a size where none has a meaning", header(() => {}, { type: "5", size: 512 })],
    ["a size where none has a meaning", header(() => {}, { type: "1", size: 512, target: "x" })],
    ["a number in base-256", header((block) => block.writeUIntBE(0x8000000000, 108, 5))],
    ["a header in the format of V7", { ...FILE, magic: "\0" }],
    ["a header in the format of V7", { ...FILE, magic: "ustar 00" }],
    ["a header in the format of star", header((block) => block.write("tar\0", 508))],
    ["a header of an unknown version", header((block) => block.write("99", 263))],
    ["a header with the times of GNU tar", header((block) => block.write("prefix", 345), { magic: "ustar  \0" })],
    ["a name that ends with a slash, though it is no directory", { name: "config.dump/" }],
  ];
  for (const [expected, ...members] of cases) {
    const said = await problemsOf(...members);
    assert.match(said, /^(config\.dump|x|a|b): not all readers take it alike \(.*\)$/, expected);
    assert.ok(said.endsWith(`(${expected})`), `${said} instead of ${expected}`);
  }
});

test("a checksum of signed bytes, a global header, one without a member, a folder that is none", async () => {
  const block = tarHeader({ name: "f", target: "\u00ff" });
  const bytes = block.filter((byte) => byte > 127).length;
  const sum = Number.parseInt(block.toString("latin1", 148, 154), 8) - 256 * bytes;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  assert.equal(await problemsOf(block), "f: not all readers take it alike (a checksum of signed bytes)");
  const global = { ...pax({ path: "x" }), type: "g" };
  assert.equal(await problemsOf(global, FILE), "there is a global extended header at byte 0, which not all readers apply");
  assert.equal(await problemsOf(FILE, pax({ path: "x" })), "the extended header before byte 2048 belongs to no member");
  const below = await problemsOf({ name: "checkpoint", type: "2", target: "/tmp" }, { name: "checkpoint/a" });
  assert.equal(below, "checkpoint is no directory, but members lie below it");
});

test("of repeated headers that one counts which Go takes: the last, and a long name before any record", async () => {
  const names = async (...members: readonly TarMember[]): Promise<string[]> => [...(await index(tar(...members))).members.keys()];
  assert.deepEqual(await names(pax({ path: "a", linkpath: "l" }), pax({ mtime: "5" }), FILE), ["config.dump"]);
  assert.deepEqual(await names(gnuLongName("long"), pax({ path: "a" }), FILE), ["long"]);
  assert.deepEqual(await names(pax({ path: "" }), FILE), ["config.dump"]);
  assert.deepEqual(await names({ ...pax({ path: "global" }), type: "g" }, FILE), ["config.dump"]);
});

test("records that Go refuses end the archive here too", async () => {
  for (const data of [
    "14 path=a\0b.c\n",
    "9 uid=x1\n",
    "11 mtime=1x\n",
    "24 mtime=99999999999999999\n",
    "6 =a1\n",
    "9 a\0b=12\n",
    "10 size=-1\n",
    "08 path=a\n",
  ]) {
    const { complete, problems } = await index(tar({ name: "x", type: "x", data }, FILE));
    assert.deepEqual([complete, problems], [false, ["the extended header at byte 512 is malformed"]], data);
  }
});

test("files of a container: hard links are names of files, sparse files are read with their holes", async () => {
  const sparse = tarHeader({ name: "sparse", type: "S", size: 1024, magic: "ustar  \0" });
  const octal = (value: number): string => `${value.toString(8).padStart(11, "0")}\0`;
  sparse.write(octal(1000) + octal(512) + octal(5000) + octal(512), 386, "latin1");
  sparse.write(octal(6000), 483, "latin1");
  const archive = await index(
    Buffer.concat([
      withChecksum(sparse),
      Buffer.alloc(512, "a"),
      Buffer.alloc(512, "b"),
      tarMember({ name: "file", data: "content" }),
      tarMember({ name: "./other", type: "1", target: "./file" }),
      tarMember({ name: "third", type: "1", target: "other" }),
      tarMember({ name: "outside", type: "1", target: "../../etc/shadow" }),
      TAR_END,
    ]),
    true,
  );
  assert.deepEqual(archive.problems, []);
  for (const name of ["other", "third"]) {
    assert.equal(archive.members.get(name)?.type, "file");
    assert.equal((await archive.open(name).read(0, 7)).toString(), "content");
  }
  assert.equal(archive.members.get("outside")?.type, "link");
  const file = archive.open("sparse");
  assert.equal(file.size, 6000);
  const expected = Buffer.alloc(6000);
  expected.fill("a", 1000, 1512);
  expected.fill("b", 5000, 5512);
  assert.deepEqual(await file.read(0, 6000), expected);
  assert.deepEqual(await file.read(1500, 3600), expected.subarray(1500, 5100));
  assert.deepEqual(await file.read(2000, 10), Buffer.alloc(10));
});

test("sparse maps that do not fit are not read", async () => {
  const octal = (value: number): string => `${value.toString(8).padStart(11, "0")}\0`;
  for (const [map, real] of [
    [[0, 512, 256, 512], 4096],
    [[0, 1024], 512],
    [[0, 512], 4096],
  ] as const) {
    const block = tarHeader({ name: "sparse", type: "S", size: 1024, magic: "ustar  \0" });
    block.write(map.map(octal).join(""), 386, "latin1");
    block.write(octal(real), 483, "latin1");
    const archive = await index(Buffer.concat([withChecksum(block), Buffer.alloc(1024, "x"), TAR_END]), true);
    assert.throws(() => archive.open("sparse"), { reason: "UnreadableMember" });
    assert.match(archive.problems.join(), /a sparse file/);
  }
});
