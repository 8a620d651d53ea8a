// Runs on Linux only: the operations are this machine's shell, and /proc says where an open file is.
// Volumes of a pod, whose content is hostile: every name, nothing through a link, what changes is said.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { platform } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Budget } from "../../src/archive/budget.ts";
import { openBytes } from "../../src/archive/bytes.ts";
import { bufferSource } from "../../src/archive/sources.ts";
import { volumesTar } from "../../src/flows/collect/volumes/tar.ts";
import { walk, type LeftOut } from "../../src/flows/collect/volumes/walk.ts";
import type { Lease } from "../../src/helper/directory.ts";
import { OPERATIONS } from "../../src/helper/operations.ts";
import { ARCHIVES, VOLUMES, WORK } from "../../src/helper/paths.ts";
import { gathered, type Transport } from "../../src/helper/transport.ts";
import { PodVolumes } from "../../src/helper/volumes.ts";
import { nameText } from "../../src/model/name.ts";
import { temporaryDirectory } from "../e2e/harness.ts";

const skip = platform() === "linux" ? false : "only Linux has /proc/self/fd";

/** A volume called "data" below a directory of this machine, read as the helper pod reads it. `during` is run before each operation. */
async function volume(t: TestContext, during: (operation: readonly string[]) => void = () => {}) {
  const root = await temporaryDirectory(t);
  const data = join(root, "volumes", "data");
  mkdirSync(data, { recursive: true });
  mkdirSync(join(root, "work"));
  const script = join(root, "op");
  const own = OPERATIONS.replaceAll(`${VOLUMES}/`, `${join(root, "volumes")}/`)
    .replaceAll(ARCHIVES, join(root, "none"))
    .replaceAll(WORK, join(root, "work"));
  writeFileSync(script, own);
  const pour: Transport["pour"] = async (operation, sink) => {
    during(operation);
    await sink(execFileSync("sh", [script, ...operation], { maxBuffer: 1 << 28 }));
  };
  const { signal } = new AbortController();
  const transport: Transport = {
    kind: "exec",
    pour,
    ask: async (operation) => await gathered(async (sink, enough) => await pour(operation, sink, signal, enough)),
    close: async () => undefined,
  };
  const lease: Lease = {
    helper: async () => await Promise.resolve({ pod: { namespace: "", name: "", imageID: "" }, transport, tools: [], signal }),
    [Symbol.asyncDispose]: async () => undefined,
  };
  const volumes = new PodVolumes(lease);
  const read = async () => {
    const { found, leftOut } = await walk(volumes, ["data"], () => {});
    const pieces: Buffer[] = [];
    const leaveOut = (one: LeftOut): void => void leftOut.push(one);
    for await (const piece of volumesTar({ volumes, found, codec: "none", signal, leaveOut })) pieces.push(piece);
    const tar = Buffer.concat(pieces);
    const archive = await openBytes(bufferSource(tar), "volumes", { budget: new Budget(), ofFiles: true });
    const content = async (name: string): Promise<string> => {
      const source = archive.open(name);
      return (await source.read(0, source.size)).toString("latin1");
    };
    return { tar, archive, content, leftOut: leftOut.map(({ path, kind }) => `${kind} ${nameText(path)}`).toSorted() };
  };
  return { root, data, read };
}

test("names of any bytes, links as links, hard links, special files by kind; GNU tar reads it", { skip }, async (t) => {
  const { root, data, read } = await volume(t);
  const outside = join(root, "secret");
  writeFileSync(outside, "outside");
  const long = "x".repeat(200);
  mkdirSync(join(data, long, long, long), { recursive: true });
  const files: Record<string, string> = {
    plain: "a",
    "odd\nname": "b",
    "end\nno file\n": "c",
    "*": "d",
    "-n": "e",
    ".hidden": "f",
    "..two": "g",
    " lead and trail ": "h",
    "back\\slash": "i",
    ünï: "j",
    empty: "",
    [`${long}/${long}/${long}/deep`]: "k",
    "content that looks like the end": "\nend\n".repeat(5000),
  };
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(data, name), bytes);
  writeFileSync(Buffer.concat([Buffer.from(`${data}/`), Buffer.from([0x62, 0xff])]), "raw");
  linkSync(join(data, "plain"), join(data, "second name"));
  symlinkSync(outside, join(data, "out"));
  symlinkSync("../..", join(data, "up"));
  symlinkSync("to\ntwo\n", join(data, "odd link"));
  mkdirSync(join(data, "directory\nof two"));
  writeFileSync(join(data, "directory\nof two", "in it"), "in");
  execFileSync("mkfifo", [join(data, "fifo")]);
  const large = Buffer.alloc(3_000_001, "large");
  writeFileSync(join(data, "large"), large);
  chmodSync(join(data, "plain"), 0o640);
  const { tar, archive, content, leftOut } = await read();
  assert.deepEqual(archive.problems, []);
  assert.deepEqual(leftOut, ["fifo data/fifo"]);
  for (const [name, bytes] of Object.entries(files)) {
    const member = `data/${nameText(Buffer.from(name))}`;
    // Of two names of one file, one is a link to the other.
    if (name !== "plain") assert.equal(await content(member), Buffer.from(bytes).toString("latin1"), name);
  }
  assert.equal(await content("data/b\\xff"), "raw");
  assert.equal(await content("data/large"), large.toString("latin1"));
  assert.equal(await content("data/directory\\x0aof two/in it"), "in");
  assert.deepEqual(
    ["out", "up", "odd link"].map((name) => archive.members.get(`data/${name}`)?.target),
    [outside, "../..", "to\\x0atwo\\x0a"],
  );
  assert.ok(!tar.includes("outside"));
  const to = await temporaryDirectory(t);
  execFileSync("tar", ["-C", to, "-xf", "-"], { input: tar });
  assert.equal(readFileSync(join(to, "data", long, long, long, "deep"), "utf8"), "k");
  assert.equal(readFileSync(join(to, "data", "second name"), "utf8"), "a");
  assert.ok(existsSync(join(to, "data", "end\nno file\n")));
});

test("a directory or a file that becomes a link between two looks: nothing of where it leads is read", { skip }, async (t) => {
  let swapped = 0;
  const { root, data, read } = await volume(t, (operation) => {
    // The directory has been listed, and is a link when its files are read.
    if (operation[0] !== "volume-read" || swapped > 0) return;
    swapped = 1;
    renameSync(join(data, "d"), join(data, "before"));
    symlinkSync(root + "/outside", join(data, "d"));
    unlinkSync(join(data, "f"));
    symlinkSync(root + "/outside/f", join(data, "f"));
  });
  mkdirSync(join(root, "outside"));
  mkdirSync(join(data, "d"));
  for (const place of ["outside", "volumes/data", "volumes/data/d"])
    writeFileSync(join(root, place, "f"), place === "outside" ? "SECRET" : "inside");
  writeFileSync(join(root, "outside", "large"), Buffer.alloc(2_000_000, "SECRET"));
  writeFileSync(join(data, "d", "large"), Buffer.alloc(2_000_000, "x"));
  const { tar, leftOut } = await read();
  assert.equal(swapped, 1);
  assert.ok(!tar.includes("SECRET"));
  assert.deepEqual(leftOut, ["changed data/d/f", "changed data/d/large", "changed data/f"]);
});

test("a directory that is swapped for a link before it is listed", { skip }, async (t) => {
  let lists = 0;
  const { root, data, read } = await volume(t, (operation) => {
    if (operation[0] !== "volume-list" || (lists += 1) !== 2) return;
    rmSync(join(data, "d"), { recursive: true });
    symlinkSync(root + "/outside", join(data, "d"));
  });
  mkdirSync(join(root, "outside"));
  writeFileSync(join(root, "outside", "name of a secret"), "SECRET");
  mkdirSync(join(data, "d"));
  const { tar, leftOut } = await read();
  assert.deepEqual([tar.includes("name of a secret"), tar.includes("SECRET"), leftOut], [false, false, ["unreadable data/d"]]);
});

test("swapped all the time by somebody else: never a byte of outside", { skip }, async (t) => {
  const { root, data, read } = await volume(t);
  mkdirSync(join(root, "outside"));
  mkdirSync(join(data, "d"));
  for (let n = 0; n < 30; n += 1) {
    writeFileSync(join(root, "outside", `f${n}`), "SECRET".repeat(100));
    writeFileSync(join(data, "d", `f${n}`), "inside".repeat(100));
  }
  symlinkSync(root + "/outside", join(data, "link"));
  const swap = "const {renameSync:r}=require('fs');for(;;){try{r('d','x');r('link','d');r('d','link');r('x','d')}catch{}}";
  const child = spawn(process.execPath, ["-e", swap], { cwd: data, stdio: "ignore" });
  try {
    const rounds = process.env["FULL"] === undefined ? 8 : 200;
    for (let round = 0; round < rounds; round += 1) assert.ok(!(await read()).tar.includes("SECRET"));
  } finally {
    child.kill("SIGKILL");
  }
});

test("files that grow, shrink, vanish or are written to while they are read are said, and spoil nothing else", { skip }, async (t) => {
  let done = false;
  const { data, read } = await volume(t, (operation) => {
    if (operation[0] !== "volume-read" || done) return;
    done = true;
    appendFileSync(join(data, "grows"), "more");
    truncateSync(join(data, "shrinks"), 2);
    rmSync(join(data, "vanishes"));
    truncateSync(join(data, "large"), 1_500_000);
  });
  for (const name of ["a", "grows", "shrinks", "vanishes", "z"]) writeFileSync(join(data, name), "123456");
  writeFileSync(join(data, "large"), Buffer.alloc(2_000_000, "x"));
  const { archive, content, leftOut } = await read();
  assert.deepEqual(archive.problems, []);
  assert.deepEqual(leftOut, ["changed data/grows", "changed data/large", "changed data/shrinks", "changed data/vanishes"]);
  assert.deepEqual(
    [await content("data/a"), await content("data/grows"), await content("data/shrinks"), await content("data/z")],
    ["123456", "123456", "12", "123456"],
  );
  assert.equal(archive.members.has("data/vanishes"), false);
  assert.equal(await content("data/large"), "x".repeat(1_500_000) + "\0".repeat(500_000));
});

test("thousands of files in one directory come in pages", { skip }, async (t) => {
  const { data, read } = await volume(t);
  for (let n = 0; n < 2100; n += 1) writeFileSync(join(data, `file-${n}`), n % 1000 === 0 ? String(n) : "");
  for (let n = 0; n < 270; n += 1) symlinkSync("x".repeat(1000), join(data, `link-${n}`));
  const { archive, content, leftOut } = await read();
  assert.deepEqual([archive.members.size, leftOut], [2370, []]);
  assert.equal(await content("data/file-2000"), "2000");
});
