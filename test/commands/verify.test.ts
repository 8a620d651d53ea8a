import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { verb as inspect } from "../../src/commands/inspect.ts";
import { verb as search } from "../../src/commands/search.ts";
import { verb as show } from "../../src/commands/show.ts";
import { verb as verify } from "../../src/commands/verify.ts";
import { TAR_END, tar, tarMember, withChecksum } from "../archive/tars.ts";
import { runVerb } from "./running.ts";

const ARCHIVES = "test/data/archives";
const RUNTIMES = "test/data/runtimes";
const FAULTS = "test/data/faults";
const CONTAINERD = join(ARCHIVES, "containerd-a.tar");
const OLD_PAGEMAP = join(ARCHIVES, "podman-5.4.2-criu4.1.1-oldpagemap.tar.gz");

const ZOO = join(ARCHIVES, "containerd-zoo.tar.gz");
const ZSTD = join(ARCHIVES, "podman-zstd.tar.zst");
const LEFT_OVER =
  "left over from an earlier checkpoint: " +
  ["core-5", "core-9", "fs-5", "fs-9", "ids-5", "ids-9", "mm-5", "mm-9", "pagemap-5", "pagemap-9"]
    .map((name) => `checkpoint/${name}.img`)
    .join(", ");

const NOTES: Readonly<Record<string, string[]>> = {
  [ZSTD]: [LEFT_OVER],
  // containerd wrote it over an older one of the same second.
  [join(ARCHIVES, "containerd-counter-before.tar.gz")]: [
    "2048 bytes follow its end: left of a longer archive that it was written over, or not part of it",
  ],
};

/** A copy of an archive under a name of its own, changed. */
function changed(bytes: Buffer, name = "changed.tar"): string {
  const path = join(mkdtempSync(join(tmpdir(), "verify-")), name);
  writeFileSync(path, bytes);
  return path;
}

async function problems(path: string): Promise<string[]> {
  const { lines, exitCode, document } = await runVerb(verify, [path]);
  const [item] = (document as { items: { ok: boolean; problems: string[] }[] }).items;
  assert.ok(item !== undefined);
  assert.equal(item.ok, item.problems.length === 0);
  assert.equal(exitCode, item.ok ? 0 : 1);
  assert.deepEqual(lines, item.ok ? [`${path}: OK`] : item.problems.map((problem) => `${path}: ${problem}`));
  return item.problems;
}

/** The members of a plain archive as [name, header and data]. */
function blocks(bytes: Buffer): [name: string, block: Buffer][] {
  const all: [string, Buffer][] = [];
  for (let at = 0; bytes[at] !== 0;) {
    const size = Number.parseInt(bytes.toString("latin1", at + 124, at + 135), 8);
    const end = at + 512 + Math.ceil(size / 512) * 512;
    all.push([bytes.toString("utf8", at, bytes.indexOf(0, at)), Buffer.from(bytes.subarray(at, end))]);
    at = end;
  }
  return all;
}

/** The archive with what `change` makes of each member's header and data: undefined leaves it out. */
function rewritten(path: string, change: (name: string, block: Buffer) => Buffer | undefined): string {
  const plain = path.endsWith(".gz") ? gunzipSync(readFileSync(path)) : readFileSync(path);
  return changed(Buffer.concat([...blocks(plain).flatMap(([name, block]) => change(name, block) ?? []), TAR_END]));
}

function without(...names: readonly string[]) {
  return (name: string, block: Buffer) => (names.includes(name) ? undefined : block);
}

/** What each check says of a sound archive that lies there without a record. */
const SOUND = {
  archive: "it is complete, and all tar readers read it the same way",
  members: "all that its engine and CRIU always write is there",
  nested: "the archives inside it are complete, and all tar readers read them the same way",
  images: "every image of CRIU can be read",
  references: "every image that another one refers to is there",
  memory: "pages, pagemaps and statistics fit together",
};
const CHECKS = [
  ...Object.entries(SOUND).map(([check, message]) => ({ check, status: "ok", message })),
  { check: "record", status: "missing", message: "there is no record beside it" },
  { check: "signature", status: "missing", message: "no signature lies beside it" },
  { check: "time", status: "missing", message: "without a signature there is no signed time" },
  { check: "custody", status: "missing", message: "no custody.jsonl lies beside it" },
];

/** What is said besides of an archive with nothing but its record. */
const UNSIGNED = [
  "  signature missing: no signature lies beside it",
  "  time missing: without a signature there is no signed time",
  "  custody missing: no custody.jsonl lies beside it",
];

test("the real archives are sound, on all engines; -o name lists them", async () => {
  const files = [ARCHIVES, RUNTIMES].flatMap((directory) =>
    readdirSync(directory)
      .filter((name) => /\.tar(\.gz|\.zst)?$/.test(name))
      .map((name) => join(directory, name)),
  );
  const { lines, exitCode, document, pieces } = await runVerb(verify, files);
  assert.deepEqual(
    lines,
    files.map((path) => `${path}: OK`),
  );
  assert.equal(exitCode, 0);
  assert.deepEqual(document, {
    apiVersion: "checkpoint.kubectl/v1",
    kind: "VerificationList",
    items: files.map((path) => ({ path, ok: true, problems: [], notes: NOTES[path] ?? [], checks: CHECKS })),
  });
  assert.deepEqual(
    pieces.map(({ name }) => name),
    files,
  );
});

test("an archive that is cut off anywhere is never sound", async () => {
  const whole = readFileSync(CONTAINERD);
  for (let cut = whole.length - 512; cut > 600; cut -= 17_000) {
    assert.notDeepEqual(await problems(changed(whole.subarray(0, cut))), [], `cut at ${cut}`);
  }
  assert.deepEqual(await problems(changed(readFileSync(OLD_PAGEMAP).subarray(0, 92_000))).then((all) => all.length > 0), true);
});

test("what the engine would have written and is missing, by engine", async () => {
  assert.deepEqual(await problems(rewritten(CONTAINERD, without("status", "spec.dump"))), ["spec.dump is missing", "status is missing"]);
  // As containerd 2.0 writes it.
  const old = rewritten(CONTAINERD, without("status", "status.dump", "stats-dump", "container.log", "dump.log"));
  assert.deepEqual(await problems(old), []);
  assert.deepEqual(await problems(rewritten(OLD_PAGEMAP, without("network.status"))), ["network.status is missing"]);
  const crio = join(ARCHIVES, "crio-1.34.11-criu4.2.1.tar");
  assert.deepEqual(await problems(rewritten(crio, without("stats-dump", "bind.mounts", "deleted.files"))), ["stats-dump is missing"]);
});

test("images sent elsewhere by images-dir: no process tree", async () => {
  const all = await problems(rewritten(CONTAINERD, (name, block) => (/^checkpoint\/.*img$/.test(name) ? undefined : block)));
  assert.ok(all.includes("checkpoint/inventory.img is missing"));
  assert.ok(all.includes("checkpoint/pstree.img is missing"));
});

test("files of pages that do not match their pagemaps", async () => {
  const shorter = rewritten(CONTAINERD, (name, block) => {
    if (name !== "checkpoint/pages-2.img") return block;
    block.write((61_440 - 4096).toString(8).padStart(11, "0"), 124);
    return Buffer.concat([withChecksum(block.subarray(0, 512)), block.subarray(512, 512 + 61_440 - 4096)]);
  });
  const found = await problems(shorter);
  assert.ok(found.includes("checkpoint/pages-2.img has 57344 bytes, but pagemaps count 15 pages of 4096 bytes"), found.join("\n"));
  assert.ok(
    (await problems(rewritten(CONTAINERD, without("checkpoint/pages-2.img")))).includes(
      "checkpoint/pages-2.img is missing: 15 pages of memory",
    ),
  );
  const orphaned = await problems(rewritten(CONTAINERD, without("checkpoint/pagemap-22.img")));
  assert.ok(orphaned.some((problem) => /^checkpoint\/pages-\d\.img belongs to no pagemap$/.test(problem)));
  assert.ok(orphaned.some((problem) => /^pagemaps count \d+ pages, CRIU's statistics 49$/.test(problem)));
});

test("every image of CRIU is looked into: a broken one is named", async () => {
  const damage = (member: string) => (name: string, block: Buffer) => {
    if (name === member) block.fill(0xff, 520, 540);
    return block;
  };
  for (const member of [
    "inventory",
    "pstree",
    "core-8",
    "mm-8",
    "pagemap-8",
    "files",
    "fdinfo-2",
    "ids-8",
    "fs-8",
    "mountpoints-13",
    "utsns-12",
    "cgroup",
  ]) {
    const found = await problems(rewritten(CONTAINERD, damage(`checkpoint/${member}.img`)));
    assert.ok(
      found.some((problem) => problem.includes(`checkpoint/${member}.img`)),
      `${member}: ${found.join("\n")}`,
    );
  }
  const stats = await problems(rewritten(CONTAINERD, damage("stats-dump")));
  assert.ok(stats.some((problem) => problem.includes("stats-dump")));
});

test("images that CRIU always writes, and are missing, or end after their words", async () => {
  const lost = "core-1 core-12 mm-9 pagemap-9 fs-9 ids-9 files fdinfo-2 memfd remap-fpath ghost-file-1".split(" ");
  for (const name of lost) {
    const [first] = await problems(rewritten(ZOO, without(`checkpoint/${name}.img`)));
    assert.ok(first?.startsWith(`checkpoint/${name}.img is missing: `), `${name}: ${first}`);
  }
  const cut = (member: string, size: number) => (name: string, block: Buffer) =>
    name === member ? tarMember({ name, data: block.subarray(512, 512 + size) }) : block;
  const empty = ["checkpoint/inventory.img", "checkpoint/pstree.img", "checkpoint/core-1.img", "checkpoint/mm-1.img"];
  for (const name of [...empty, "checkpoint/files.img", "checkpoint/fs-1.img", "checkpoint/ids-1.img", "stats-dump"]) {
    const found = await problems(rewritten(ZOO, cut(name, name.includes("inventory") ? 4 : 8)));
    assert.deepEqual(
      found.filter((problem) => problem.startsWith(name)),
      [`${name}: it is empty`],
      found.join("\n"),
    );
  }
});

test("a process that may have had nothing open is worth a note", async () => {
  const path = rewritten(CONTAINERD, without("checkpoint/fdinfo-4.img"));
  assert.deepEqual(await problems(path), []);
  const { events } = await runVerb(verify, [path]);
  assert.match(JSON.stringify(events), /fdinfo-4\.img is missing: process \d+ had nothing open, or it was lost/);
});

test("what engines always write has its content", async () => {
  const replaced =
    (data: string, ...names: readonly string[]) =>
    (name: string, block: Buffer) =>
      names.includes(name) ? tarMember({ name, data }) : block;
  assert.deepEqual(await problems(rewritten(CONTAINERD, replaced("", "rootfs-diff.tar"))), ["rootfs-diff.tar is empty"]);
  const json = rewritten(CONTAINERD, replaced("{}", "config.dump", "spec.dump", "status.dump"));
  assert.deepEqual(await problems(json), [
    "config.dump does not say the container's id and name",
    "spec.dump does not say the container's process",
    "status.dump does not say the container's id and metadata",
  ]);
});

test("archives inside it, and JSON, are looked into", async () => {
  const broken = await problems(
    rewritten(CONTAINERD, (name, block) =>
      name === "rootfs-diff.tar" ? tarMember({ name, data: gzipSync(tar({ name: "../x" }).subarray(0, 600)) }) : block,
    ),
  );
  assert.deepEqual(broken, ["rootfs-diff.tar: it is cut off in the middle of a header", 'rootfs-diff.tar: the name ../x has ".." in it']);
  const rubbish = await problems(
    rewritten(CONTAINERD, (name, block) => (name === "rootfs-diff.tar" ? tarMember({ name, data: "rubbish" }) : block)),
  );
  assert.deepEqual(rubbish, ["rootfs-diff.tar is not a tar archive"]);
  const json = await problems(rewritten(CONTAINERD, (name, block) => (name === "status" ? tarMember({ name, data: "{" }) : block)));
  assert.deepEqual(json, ["status is not JSON"]);
});

test("hostile names and duplicates are problems", async () => {
  const members = blocks(readFileSync(CONTAINERD)).map(([, block]) => block);
  const path = changed(
    Buffer.concat([
      ...members,
      tarMember({ name: "../../evil" }),
      tarMember({ name: "bell\u0007" }),
      tarMember({ name: "status", data: "{}" }),
      TAR_END,
    ]),
  );
  assert.deepEqual(await problems(path), [
    "there is more than one member status",
    'a member\'s name, ../../evil, has ".." in it',
    String.raw`a member's name, bell\x07, has characters in it that no engine writes`,
  ]);
});

test("pages that are in an earlier checkpoint: where it is, and that it is not here", async () => {
  // An entry of pagemap-8 becomes in_parent: its flags (field 4) from 4, present, to 1.
  const path = rewritten(CONTAINERD, (name, block) => {
    if (name === "checkpoint/pagemap-8.img") block[block.indexOf(Buffer.from([0x20, 4, 0x28])) + 1] = 1;
    return block;
  });
  const found = await problems(path);
  assert.ok(
    found.includes("1 pages are in an earlier checkpoint, and checkpoint/parent, which would say in which, is missing"),
    found.join("\n"),
  );
});

test("the record beside it: size and hash", async () => {
  const bytes = readFileSync(CONTAINERD);
  const copy = { path: "/elsewhere/changed.tar", bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
  const recorded = (record: unknown): string => {
    const path = changed(bytes);
    writeFileSync(`${path}.json`, typeof record === "string" ? record : JSON.stringify(record));
    return path;
  };
  const good = recorded({
    kind: "CheckpointList",
    items: [{ copy: { ...copy, path: "/other.tar", sha256: "0".repeat(64) } }, { copy }],
    cluster: "…",
  });
  const { lines, exitCode } = await runVerb(verify, [good]);
  assert.deepEqual([lines, exitCode], [[`${good}: OK, matches its record`, ...UNSIGNED], 0]);

  const cases: [unknown, RegExp][] = [
    [{ items: [{ copy: { ...copy, bytes: 1 } }] }, /^it has 346112 bytes; its record says 1$/],
    [{ items: [{ copy: { ...copy, sha256: "0".repeat(64) } }] }, /^its SHA-256 is [0-9a-f]{64}; its record says 0{64}$/],
    [{ items: [{ copy: {} }] }, /has no size and hash to compare with$/],
    [{ items: [{ pod: "x" }] }, /does not mention this archive$/],
    ["{", /is not JSON$/],
  ];
  for (const [record, problem] of cases) {
    const found = await problems(recorded(record));
    assert.equal(found.length, 1);
    assert.match(found[0] ?? "", problem);
  }
});

test("files that cannot be read are errors, not verdicts; exit 3 where some are sound", async () => {
  const { errors, exitCode, document } = await runVerb(verify, ["/nonexistent.tar", CONTAINERD]);
  assert.deepEqual(
    errors.map(({ reason }) => reason),
    ["NoSuchFile"],
  );
  assert.equal(exitCode, 3);
  assert.deepEqual((document as { items: unknown[] }).items, [
    { path: "/nonexistent.tar", ok: false, problems: ["there is no file /nonexistent.tar"], notes: [], checks: [] },
    { path: CONTAINERD, ok: true, problems: [], notes: [], checks: CHECKS },
  ]);
  assert.deepEqual(await problems("package.json"), ["package.json is not a tar archive"]);
  await assert.rejects(runVerb(verify, []), { reason: "Usage" });
});

test("what readers of tar take differently, and what follows compressed data: problems", async () => {
  const cases: Readonly<Record<string, RegExp>> = {
    "w1-sparse-name": /^GNUSparseFile\.0\/x: not all readers take it alike \(the records of a sparse file\)$/,
    "w2-x-then-x": /^config\.dump: not all readers take it alike \(several extended headers\);there is more than one member config\.dump$/,
    "w5-global-size":
      /^there is more than one member config\.dump;there is a global extended header at byte 6565376, which not all readers apply$/,
    "z4d-zst-trailing-garbage": /^700 bytes follow the compressed data, which not all programs pass over$/,
    "z9-nested-window-inject":
      /^volumes\/\$\(touch \/tmp\/h-sec\/PWNED\)\.tar takes more memory to expand than this plugin gives, 128 MiB$/,
  };
  for (const [name, expected] of Object.entries(cases)) {
    assert.match((await problems(join(FAULTS, "hostile", `${name}.tar.zst`))).join(";"), expected, name);
  }
});

test("names that cannot be shown, and files named as whiteouts where there are none: said, and no problem", async () => {
  const cases: Readonly<Record<string, readonly string[]>> = {
    "nonutf8-names": [String.raw`rootfs-diff.tar: 2 names (tmp/evil\xff.sh, tmp/evil\xfe.sh) with bytes that cannot be shown`],
    "hostile/h1-crio-hidden": [
      String.raw`rootfs-diff.tar: 2 names (opt/mal\x01ware, opt/\xff\xfemal) with bytes that cannot be shown`,
      "rootfs-diff.tar: 1 file (.wh.malware) named like a whiteout, which none of them is",
    ],
  };
  for (const [name, expected] of Object.entries(cases)) {
    const { document, events } = await runVerb(verify, [join(FAULTS, `${name}.tar.zst`)]);
    const [item] = (document as { items: { ok: boolean; notes: string[] }[] }).items;
    assert.deepEqual([item?.ok, item?.notes], [true, expected]);
    assert.equal(events.filter(({ kind }) => kind === "hint").length, expected.length);
  }
});

test("archives that lack images: what is missing", async () => {
  assert.deepEqual(await problems(join(FAULTS, "no-mm.tar.zst")), ["checkpoint/mm-6.img is missing: process 6 was alive"]);
  assert.match((await problems(join(FAULTS, "no-pstree.tar.zst"))).join(), /checkpoint\/pstree\.img is missing/);
});

test("members with the name of a file that are none: what they would say is missing, for every verb", async () => {
  for (const [type, what] of [
    ["5", "directory"],
    ["2", "symbolic link"],
    ["1", "hard link"],
    ["6", "fifo"],
  ] as const) {
    for (const member of type === "2" ? ["checkpoint/files.img", "rootfs-diff.tar", "dump.log"] : ["checkpoint/core-8.img"]) {
      const path = rewritten(CONTAINERD, (name, block) => (name === member ? tarMember({ name, type, target: "config.dump" }) : block));
      const message = `${member} is not a file, but a ${what}`;
      assert.ok((await problems(path)).includes(message), `${message}: verify`);
      assert.equal((await runVerb(show, [path])).exitCode, 3, `${message}: show`);
      const { exitCode, errors } = await runVerb(search, [path, "nowhere-to-be-found"]);
      assert.equal(exitCode, 2, `${message}: search`);
      assert.ok(errors.some((error) => error.message === `${path}: ${message}`));
    }
  }
});

test("what CRIU always writes of namespaces and of a tmpfs", async () => {
  for (const [member, why] of [
    ["checkpoint/mountpoints-13.img", "processes were in that namespace"],
    ["checkpoint/utsns-12.img", "processes were in that namespace"],
    ["checkpoint/ipcns-var-11.img", "processes were in that namespace"],
    ["checkpoint/tmpfs-dev-62.tar.gz.img", "it holds the files of the tmpfs at /dev"],
  ] as const) {
    const path = rewritten(CONTAINERD, without(member));
    assert.deepEqual(await problems(path), [`${member} is missing: ${why}`]);
    if (!/mount|tmpfs/.test(member)) continue;
    assert.equal((await runVerb(search, [path, "nowhere-to-be-found"])).exitCode, 2, "the search is not complete");
    assert.equal((await runVerb(inspect, [path], { mounts: true })).exitCode, 3, "the table of mounts is not all");
  }
});

test("memory where its process has no mapping is of another process, or another time", async () => {
  const other = new Map(blocks(readFileSync(join(ARCHIVES, "crio-1.34.11-criu4.2.1.tar")))).get("checkpoint/mm-1.img");
  const path = rewritten(CONTAINERD, (name, block) =>
    name === "checkpoint/mm-8.img" && other !== undefined ? renamed(other, name) : block,
  );
  assert.deepEqual(await problems(path), [
    "checkpoint/pagemap-8.img has 9 pages, the first at 0x28258000, where checkpoint/mm-8.img has no mapping",
  ]);
});

/** A member under another name. */
function renamed(block: Buffer, name: string): Buffer {
  const copy = Buffer.from(block);
  copy.fill(0, 0, 100).write(name);
  return Buffer.concat([withChecksum(copy.subarray(0, 512)), copy.subarray(512)]);
}

test("a record beside an archive is a check like the others", async () => {
  const sha256 = createHash("sha256").update(readFileSync(CONTAINERD)).digest("hex");
  const path = changed(readFileSync(CONTAINERD));
  writeFileSync(`${path}.json`, JSON.stringify({ items: [{ copy: { path, bytes: readFileSync(path).length, sha256 } }] }));
  const { lines, document } = await runVerb(verify, [path]);
  assert.deepEqual(lines, [`${path}: OK, matches its record`, ...UNSIGNED]);
  const [item] = (document as { items: { checks: object[] }[] }).items;
  assert.deepEqual(item?.checks.at(-4), {
    check: "record",
    status: "ok",
    message: "size and SHA-256 are those of the record beside it",
  });
});
