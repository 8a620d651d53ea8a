// Runs on Linux and macOS only: it looks at links and file modes.
// What is written on this machine goes to the directory that was opened, and nobody else's files are written, followed or replaced.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { link, mkdir, rename, symlink, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { openDestination } from "../../src/local/destination.ts";
import { Directory, type DirectoryOptions } from "../../src/local/directory.ts";
import { Part } from "../../src/local/part.ts";
import { temporaryFile } from "../../src/local/temporary.ts";
import { temporaryDirectory } from "../e2e/harness.ts";
import { ALICE, as, MALLORY, ONE_USER } from "./users.ts";

const SOURCE = { node: "n", name: "a.tar", bytes: 10, identity: "10 1 2" };
/** Through the open directory, and as on systems that cannot. */
const WAYS: readonly [string, DirectoryOptions][] = [
  ["through the open directory", {}],
  ["by its path, looked at before and after", { openFiles: "/nonexistent" }],
];

async function put(directory: Directory, name: string, text: string): Promise<void> {
  const file = await directory.create(name);
  await file.writeFile(text);
  await file.close();
}

async function published(directory: Directory, name: string, text: string, replace = false): Promise<void> {
  const file = await directory.create(`${name}.part`);
  try {
    await file.writeFile(text);
    await directory.publish({ name: `${name}.part`, file }, name, replace);
  } finally {
    await file.close();
  }
}

for (const [way, options] of WAYS) {
  test(`new files are of mode 0600, published at once, and replace only what they are to replace: ${way}`, async (t) => {
    const path = await temporaryDirectory(t);
    await using directory = await Directory.open(path, options);
    await published(directory, "a", "one");
    assert.deepEqual([readdirSync(path), statSync(join(path, "a")).mode & 0o777], [["a"], 0o600]);
    await assert.rejects(published(directory, "a", "two"), { reason: "AlreadyExists" });
    assert.equal(readFileSync(join(path, "a"), "utf8"), "one");
    await directory.remove("a.part");
    await published(directory, "a", "two", true);
    assert.equal(readFileSync(join(path, "a"), "utf8"), "two");
    await directory.replace("a", "three");
    assert.deepEqual([readdirSync(path), readFileSync(join(path, "a"), "utf8")], [["a"], "three"]);
    assert.deepEqual(await directory.look("a"), { kind: "file", bytes: 5 });
    assert.equal(await directory.look("b"), undefined);
    for (const name of ["", ".", "..", "a/b", "../a", "a\0b"])
      await assert.rejects(directory.create(name), /is not the name of a file/, name);
  });

  test(`a directory that is replaced meanwhile gets nothing, and nothing gets a final name: ${way}`, async (t) => {
    const path = join(await temporaryDirectory(t), "evidence");
    mkdirSync(path);
    await using directory = await Directory.open(path, options);
    const file = await directory.create("a.part");
    renameSync(path, `${path}.old`);
    mkdirSync(path);
    await assert.rejects(directory.publish({ name: "a.part", file }, "a", false), { reason: "DestinationReplaced" });
    await file.close();
    if (options.openFiles === undefined) await put(directory, "b", "where it was");
    else await assert.rejects(directory.create("b"), { reason: "DestinationReplaced" });
    assert.deepEqual(readdirSync(path), []);
    assert.equal(readdirSync(`${path}.old`).includes("a"), false);
  });

  test(`a file that is put in the place of the part is not published: ${way}`, async (t) => {
    const path = await temporaryDirectory(t);
    await using directory = await Directory.open(path, options);
    for (const replace of [false, true]) {
      const file = await directory.create("a.part");
      await unlink(join(path, "a.part"));
      await writeFile(join(path, "a.part"), "forged");
      await assert.rejects(directory.publish({ name: "a.part", file }, "a", replace), { reason: "DestinationReplaced" });
      await file.close();
      assert.deepEqual(readdirSync(path), ["a.part"]);
      await unlink(join(path, "a.part"));
    }
  });
}

test("what is no directory, and what is none any more", async (t) => {
  const path = await temporaryDirectory(t);
  await writeFile(join(path, "file"), "");
  await assert.rejects(Directory.open(join(path, "none")), {
    reason: "DestinationUnusable",
    exitCode: 2,
    fix: `mkdir ${join(path, "none")}`,
  });
  await assert.rejects(Directory.open(join(path, "file")), { reason: "DestinationUnusable", message: /is not a directory/ });
  await using above = await Directory.open(path);
  symlinkSync(path, join(path, "link"));
  await assert.rejects(above.enter("link"), { reason: "DestinationUnusable", message: /link is not a directory/ });
});

test("DEST: a directory, a file's name, what ends like a directory", async (t) => {
  const path = await temporaryDirectory(t);
  const at = async (given: string, several = false): Promise<string> => {
    await using destination = await openDestination(given, several);
    return destination.directory.pathOf(destination.nameFor("x.tar"));
  };
  assert.equal(await at(path), join(path, "x.tar"));
  assert.equal(await at(`${path}/`), join(path, "x.tar"));
  assert.equal(await at(join(path, "y.tar")), join(path, "y.tar"));
  for (const [given, several] of [
    [join(path, "none/"), false],
    [join(path, "none"), true],
    [join(path, "none/y.tar"), false],
  ] as const)
    await assert.rejects(at(given, several), { reason: "DestinationUnusable", exitCode: 2 }, given);
});

test("a full disk and a directory that cannot be written are known beforehand", { skip: ONE_USER }, async (t) => {
  const path = await temporaryDirectory(t);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=100k", "tmpfs", path]);
  try {
    await using directory = await Directory.open(path);
    await directory.ensureRoom("a", 50_000);
    await assert.rejects(directory.ensureRoom("a", 200_000), { reason: "LocalDiskFull", why: /^it needs 195 KiB; 100 KiB are free$/ });
    execFileSync("mount", ["-o", "remount,ro", path]);
    await assert.rejects(directory.ensureWritable(), { reason: "DestinationUnusable", why: "read-only file system" });
  } finally {
    execFileSync("umount", [path]);
  }
});

/** As /tmp is, or as `mode` says. */
async function shared(t: TestContext, mode = 0o1777): Promise<string> {
  const above = await temporaryDirectory(t);
  chmodSync(above, 0o755);
  const path = join(above, "shared");
  mkdirSync(path);
  chmodSync(path, mode);
  return path;
}

test("two users: where anybody can replace files, none is written; a sticky directory keeps them apart", { skip: ONE_USER }, async (t) => {
  const open = await shared(t, 0o777);
  await as(ALICE, async () => {
    await assert.rejects(openDestination(join(open, "x.tar")), { reason: "DestinationUnsafe", fix: /chmod \+t/ });
    assert.deepEqual(readdirSync(open), []);
  });
  const sticky = await shared(t);
  await as(ALICE, async () => {
    await using destination = await openDestination(join(sticky, "x.tar"));
    await published(destination.directory, "x.tar", "evidence");
  });
  await as(MALLORY, async () => await assert.rejects(rename(join(sticky, "x.tar"), join(sticky, "y")), { code: "EPERM" }));
  const ofAGroup = await shared(t, 0o775);
  await (await Directory.open(ofAGroup))[Symbol.asyncDispose]();
});

test("two users: what the other one has put where the part goes is not written to", { skip: ONE_USER }, async (t) => {
  const path = await shared(t);
  const precious = join(path, "precious");
  await as(ALICE, async () => await writeFile(precious, "mine", { mode: 0o600 }));
  const traps: Record<string, (at: string) => Promise<void>> = {
    "a file that the other one can read": async (at) => await writeFile(at, "", { mode: 0o666 }),
    "a link to a file of the user's": async (at) => await symlink(precious, at),
    "a directory": async (at) => await mkdir(at),
    "a named pipe": async (at) => void execFileSync("mkfifo", ["-m", "666", at]),
  };
  for (const [trap, lay] of Object.entries(traps)) {
    for (const name of ["x.tar.part", "x.tar.part.json"]) {
      await as(MALLORY, async () => await lay(join(path, name)));
      await as(ALICE, async () => {
        await using directory = await Directory.open(path);
        await assert.rejects(Part.open(directory, "x.tar", SOURCE), { reason: "DestinationUnusable" }, `${trap} ${name}`);
      });
      execFileSync("rm", ["-rf", ...["x.tar.part", "x.tar.part.json"].map((one) => join(path, one))]);
    }
  }
  // The kernel may forbid this one to others (fs.protected_hardlinks): root does it in their place.
  linkSync(precious, join(path, "x.tar.part"));
  await as(ALICE, async () => {
    await using directory = await Directory.open(path);
    await assert.rejects(Part.open(directory, "x.tar", SOURCE), { reason: "DestinationUnusable", why: /more than one name/ });
  });
  assert.equal(readFileSync(precious, "utf8"), "mine");
});

test(
  "two users: what the other one has put under the final name, or where a record is written, stays and is said",
  { skip: ONE_USER },
  async (t) => {
    const path = await shared(t);
    await as(MALLORY, async () => {
      await writeFile(join(path, "x.tar"), "forged");
      await symlink("/etc/passwd", join(path, "y.json"));
      await writeFile(join(path, "z.json.new"), "forged");
    });
    await as(ALICE, async () => {
      await using directory = await Directory.open(path);
      await assert.rejects(published(directory, "x.tar", "evidence"), { reason: "AlreadyExists" });
      // A sticky directory does not let go of the other one's.
      for (const name of ["y.json", "z.json"]) await assert.rejects(directory.replace(name, "{}"), { reason: "DestinationUnusable" }, name);
    });
    assert.equal(readFileSync(join(path, "x.tar"), "utf8"), "forged");
  },
);

test("two users: a part that was moved away and replaced while it arrived is not published", { skip: ONE_USER }, async (t) => {
  const path = await shared(t, 0o775);
  chownSync(path, MALLORY, MALLORY);
  const mine = join(path, "x.tar.part");
  await as(0, async () => {
    await using directory = await Directory.open(path);
    const part = await Part.open(directory, "x.tar", SOURCE);
    await part.file.write(Buffer.from("0123456789"), 0, 10, 0);
    await as(MALLORY, async () => {
      await rename(mine, join(path, "stolen"));
      await writeFile(mine, "forged bytes");
    });
    await assert.rejects(part.publish("x.tar", false), { reason: "DestinationReplaced" });
    await part.close();
  });
  assert.equal(existsSync(join(path, "x.tar")), false);
  assert.equal(statSync(join(path, "stolen")).mode & 0o777, 0o600);
  await as(MALLORY, async () => await link(mine, join(path, "other")));
});

test("temporary files have no name", async (t) => {
  const path = await temporaryDirectory(t);
  const before = process.env["TMPDIR"];
  process.env["TMPDIR"] = path;
  t.after(() => {
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
  });
  await using temporary = await temporaryFile();
  assert.deepEqual(readdirSync(path), []);
  assert.equal((await temporary.file.stat()).mode & 0o777, 0o600);
});
