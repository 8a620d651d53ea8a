// Beside Go's archive/tar, which the engines use: no archive that is called sound here is read differently there.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { after, test } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import { Budget } from "../../src/archive/budget.ts";
import { bufferSource } from "../../src/archive/sources.ts";
import { indexTar } from "../../src/archive/tar/index.ts";
import { UserError } from "../../src/model/error.ts";
import { nameText } from "../../src/model/name.ts";
import { randomOf, type Random } from "../fuzz/random.ts";
import { goProgram } from "../tools/tool.ts";
import { gnuLongName, pax, tarHeader, tarMember, TAR_END, withChecksum } from "./tars.ts";

const COUNT = process.env["FULL"] === undefined ? 400 : 2000;
const SEED = 16;
const GO = goProgram();

const scratch = mkdtempSync(join(tmpdir(), "go-tar-"));
after(() => rmSync(scratch, { recursive: true }));

interface Reading {
  readonly members: readonly { readonly name: string; readonly type: string; readonly target: string; readonly sum: string }[];
  readonly error: string;
}

/** As Go reads each. */
function readByGo(archives: readonly Buffer[]): Reading[] {
  const reader = join(scratch, "reader");
  const env = { ...process.env, GO111MODULE: "off", GOTOOLCHAIN: "local", CGO_ENABLED: "0" };
  execFileSync(GO ?? "", ["build", "-o", reader, "main.go"], { cwd: join(import.meta.dirname, "go"), env });
  const input = archives.flatMap((bytes) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return [length, bytes];
  });
  const { stdout, status, stderr } = spawnSync(reader, { input: Buffer.concat(input), maxBuffer: 1 << 30, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Reading);
}

/** By name: type, target, and the content of files. */
type Files = Record<string, string>;

const TYPES: Readonly<Record<string, string>> = { "0": "file", "1": "link", "2": "symlink", "5": "directory" };

function filesOf({ members }: Reading): Files {
  const files: Files = {};
  for (const { name, type, target, sum } of members) {
    const key = posix.normalize(nameText(Buffer.from(name, "hex"))).replace(/\/$/, "");
    const kind = TYPES[type] ?? "other";
    files[key] = `${kind} ${kind === "file" ? sum : kind.endsWith("link") ? nameText(Buffer.from(target, "hex")) : ""}`;
  }
  delete files["."];
  return files;
}

/** What is read here; undefined where something about it is said to be wrong. */
async function readHere(bytes: Buffer): Promise<Files | undefined> {
  try {
    const archive = await indexTar(bufferSource(bytes), { label: "test.tar", budget: new Budget(), ofFiles: false });
    if (archive.problems.length + archive.hostile.length > 0 || !archive.complete) return undefined;
    const files: Files = {};
    for (const [name, { type, target }] of archive.members) {
      const source = type === "file" ? archive.open(name) : undefined;
      const sum =
        source &&
        createHash("sha256")
          .update(await source.read(0, source.size))
          .digest("hex");
      files[name] = `${type} ${sum ?? (type.endsWith("link") ? target : "")}`;
    }
    return files;
  } catch (error) {
    assert.ok(error instanceof UserError);
    return undefined;
  }
}

test(
  `${COUNT} generated archives and the hostile ones: what is sound here is the same to Go`,
  { skip: GO === undefined && "there is no Go here" },
  async (t) => {
    const hostile = "test/data/faults/hostile";
    const archives = [
      ...Array.from({ length: COUNT }, (_, index) => generated(randomOf(SEED, index))),
      ...readdirSync(hostile).flatMap((name) => (/^[asw]\d/.test(name) ? [zstdDecompressSync(readFileSync(join(hostile, name)))] : [])),
    ];
    const byGo = readByGo(archives);
    assert.equal(byGo.length, archives.length);
    let sound = 0;
    for (const [index, bytes] of archives.entries()) {
      const here = await readHere(bytes);
      if (here === undefined) continue;
      sound += 1;
      assert.equal(byGo[index]?.error, "", `archive ${index}`);
      assert.deepEqual(here, filesOf(byGo[index]), `archive ${index}`);
    }
    t.diagnostic(`${sound} of ${archives.length} are sound`);
    assert.ok(sound > COUNT / 5, `only ${sound} of ${archives.length} are sound`);
  },
);

function generated(random: Random): Buffer {
  const blocks: Buffer[] = [];
  const odd = random.oneIn(2);
  for (let count = 1 + random.below(6); count > 0; count -= 1) {
    if (odd && random.oneIn(3)) blocks.push(strange(random));
    blocks.push(ordinary(random));
  }
  if (!random.oneIn(30)) blocks.push(random.oneIn(20) ? Buffer.alloc(512) : TAR_END);
  const bytes = Buffer.concat(blocks);
  if (odd && random.oneIn(4)) bytes[random.below(bytes.length)] = random.below(256);
  return bytes;
}

const NAMES = ["a", "b", "dir/c", "dir", "./d", "dir/", "x/../y", "tab\there", "config.dump", "e\u0301", "back\\slash", "x".repeat(100)];

function name(random: Random): string {
  return random.oneIn(10) ? `long/${"n".repeat(random.below(250))}` : `${random.pick(NAMES)}${random.oneIn(2) ? random.below(1000) : ""}`;
}

function ordinary(random: Random): Buffer {
  const data = random.bytes(random.below(3) * random.below(600));
  switch (random.below(7)) {
    case 0:
      return tarMember({ name: `${name(random).slice(0, 90).replace(/\/$/, "")}/`, type: "5" });
    case 1:
      return tarMember({ name: name(random).slice(0, 100), type: random.pick(["1", "2"]), target: name(random).slice(0, 100) });
    case 2:
      return Buffer.concat([tarMember(pax({ path: name(random), mtime: "1795486450.25" })), tarMember({ name: "short", data })]);
    case 3:
      return Buffer.concat([tarMember(gnuLongName(name(random))), tarMember({ name: "short", magic: "ustar  \0", data })]);
    case 4:
      return tarMember({ name: "in-prefix", prefix: name(random).slice(0, 150), data });
    case 5:
      return tarMember({ name: name(random).slice(0, 100), type: random.pick(["3", "4", "6"]) });
    default:
      return tarMember({ name: name(random).slice(0, 100), data });
  }
}

function strange(random: Random): Buffer {
  const data = random.bytes(random.below(700));
  const header = (change: (block: Buffer) => void): Buffer => {
    const block = tarHeader({ name: name(random).slice(0, 100), data: "" });
    change(block);
    return withChecksum(block);
  };
  const record = (): Record<string, string> => ({
    [random.pick(["path", "size", "linkpath", "GNU.sparse.name", "GNU.sparse.major", "hdrcharset", "SCHILY.realsize", "uid", "comment"])]:
      random.pick(["", "1", "0", "x", "../y", "9007199254740993", name(random)]),
  });
  switch (random.below(10)) {
    case 0:
      return tarMember(pax(record()));
    case 1:
      return tarMember({ ...pax(record()), type: "g" });
    case 2:
      return tarMember({ name: name(random).slice(0, 100), type: random.pick("\u0000789ADKLMNSVXZxg".split("")), data });
    case 3:
      return header((block) => block.writeUIntBE(0x8000000000, random.pick([108, 116, 136]), 5));
    case 4:
      return header((block) => block.write("tar\0", 508));
    case 5:
      return header((block) => block.fill(random.below(256), 257, 265));
    case 6:
      return tarMember({ name: name(random).slice(0, 100), data, size: random.pick([0, 1, 511, 513, 2 ** 33, " 12", "7 ", "0x1"]) });
    case 7:
      return tarMember({ name: Buffer.from([0x66, 0xff, random.below(256)]), data });
    case 8:
      return header((block) => block.fill(0x80 | random.below(128), 124, 125));
    default:
      return Buffer.alloc(512 * random.below(3));
  }
}
