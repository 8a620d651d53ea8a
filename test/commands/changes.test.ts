// Changed files as inspect --changes and diff --changes show them.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { verb as diff } from "../../src/commands/diff.ts";
import { verb as inspect } from "../../src/commands/inspect.ts";
import type { Difference } from "../../src/model/difference.ts";
import type { ChangeItem, Inspection } from "../../src/model/inspection.ts";
import { pax, tar, type TarMember } from "../archive/tars.ts";
import { altered } from "./altered.ts";
import { runVerb } from "./running.ts";

const COUNTER = "test/data/archives/containerd-2.1.9-criu4.2.1.tar";
const CRIO = "test/data/runtimes/crio-1.36.3-runc-criu4.2.1.tar.zst";

const sha256 = (text: string | Buffer): string => createHash("sha256").update(text).digest("hex");

/** The archive of a counter whose root file system was changed like that. */
async function changedBy(...members: readonly TarMember[]): Promise<string> {
  return await altered(COUNTER, (files) => files.set("rootfs-diff.tar", tar(...members)));
}

async function changesIn(archive: string, exitCode = 0): Promise<readonly ChangeItem[]> {
  const ran = await runVerb(inspect, [archive], { changes: true, output: "json" });
  assert.equal(ran.exitCode, exitCode);
  return (JSON.parse(JSON.stringify(ran.document)) as Inspection).changes ?? [];
}

test("each changed file with its owner, mode, time, hash and what it is", async () => {
  const elf = Buffer.concat([Buffer.from("7f454c46", "hex"), Buffer.alloc(3 << 20, 7)]);
  const archive = await changedBy(
    { name: "tmp/", type: "5", mode: 0o1777 },
    { name: "tmp/su", data: elf, mode: 0o4755, uid: 0, gid: 42, modifiedAt: 1795486450 },
    { name: "tmp/run", data: "#!/bin/sh\nid\n", mode: 0o755, uid: 1000, gid: 1000 },
    pax({ uid: "2097152", gid: "2097153" }),
    { name: "tmp/key", data: "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", mode: 0o600 },
    { name: "tmp/keys", data: "ssh-ed25519 AAAAC3 me@here\n" },
    { name: "tmp/notes", data: "grüße\n" },
    { name: "tmp/pack", data: Buffer.from("1f8b0800", "hex") },
    { name: "tmp/noise", data: Buffer.from([1, 2, 3, 0, 255]) },
    { name: "tmp/link", type: "2", target: "/etc/passwd" },
    { name: "etc/.wh.shadow" },
  );
  const changes = (await changesIn(archive)).filter(({ member }) => member === "rootfs-diff.tar");
  const byPath = new Map(changes.map((item) => [item.path, item]));
  assert.deepEqual(byPath.get("/tmp/su"), {
    path: "/tmp/su",
    change: "added or changed",
    type: "file",
    content: "ELF",
    executable: true,
    setuid: true,
    mode: "04755",
    uid: 0,
    gid: 42,
    bytes: elf.length,
    modifiedAt: "2026-11-24T02:14:10.000Z",
    sha256: sha256(elf),
    member: "rootfs-diff.tar",
  });
  assert.deepEqual([byPath.get("/tmp/key")?.uid, byPath.get("/tmp/key")?.gid], [2097152, 2097153]);
  assert.deepEqual(
    changes.map(({ path, content, type }) => [path, content ?? type]),
    [
      ["/etc/shadow", "unknown"],
      ["/tmp", "directory"],
      ["/tmp/su", "ELF"],
      ["/tmp/run", "script"],
      ["/tmp/key", "private key"],
      ["/tmp/keys", "public key"],
      ["/tmp/notes", "text"],
      ["/tmp/pack", "archive"],
      ["/tmp/noise", "data"],
      ["/tmp/link", "symlink"],
    ],
  );
  assert.deepEqual(byPath.get("/etc/shadow"), { path: "/etc/shadow", change: "deleted", type: "unknown", member: "rootfs-diff.tar" });
  assert.equal(byPath.get("/tmp/link")?.target, "/etc/passwd");
});

test("people see changed files, not what the runtime makes in every container", async () => {
  const { lines } = await runVerb(inspect, [COUNTER], { changes: true });
  const from = lines.indexOf("Changed files");
  assert.deepEqual(lines.slice(from + 1, from + 4), [
    "CHANGE|TYPE|MODE|OWNER|SIZE|MODIFIED|SHA-256|PATH",
    "deleted|-|-|-|-|-|-|/etc/to-delete",
    `added or changed|text|0644|0:0|3 B|2026-11-24T02:15:04Z|${sha256("hi\n")}|/data/new`,
  ]);
  assert.match(lines[from + 4] ?? "", /^\d+ others: their directories, and what the runtime makes in every container/);
  assert.equal(lines.length, from + 5);
});

test("a device, a link or a file in the place of what the runtime makes is shown", async () => {
  const archive = await changedBy(
    { name: "dev/null", type: "3", mode: 0o660 },
    { name: "dev/sda", type: "4", mode: 0o666 },
    { name: "dev/stdin", type: "2", target: "/etc/shadow" },
    { name: "etc/hosts", data: "127.0.0.1 registry\n" },
  );
  const { lines } = await runVerb(inspect, [archive], { changes: true });
  for (const path of ["/dev/null", "/dev/sda", "/dev/stdin -> /etc/shadow", "/etc/hosts"])
    assert.ok(
      lines.some((line) => line.endsWith(`|${path}`)),
      path,
    );
});

test("tmpfs counts, and its archive names it", async () => {
  const changes = await changesIn(CRIO);
  assert.ok(changes.some(({ path, member }) => path === "/dev/null" && member.startsWith("checkpoint/tmpfs-dev-")));
});

test("what is cut short is said, and what was read is there", async () => {
  const whole = tar({ name: "a", data: "a" }, { name: "b", data: "b".repeat(5000) });
  const archive = await altered(COUNTER, (files) => files.set("rootfs-diff.tar", whole.subarray(0, 2048)));
  const changes = await changesIn(archive, 3);
  assert.equal(changes.find(({ path }) => path === "/a")?.sha256, sha256("a"));
  assert.equal(changes.find(({ path }) => path === "/b")?.sha256, undefined);
});

test("diff --changes compares nothing but changed files, with the same rows", async () => {
  const before = await changedBy({ name: "a", data: "1" }, { name: "b", data: "2", uid: 1 }, { name: "c", data: "3" });
  const after = await changedBy({ name: "a", data: "1", modifiedAt: 5 }, { name: "b", data: "2", uid: 2 }, { name: "d", data: "4" });
  const { document, exitCode, lines } = await runVerb(diff, [before, after], { changes: true, output: "json" });
  const { rootfs, processes, mounts } = JSON.parse(JSON.stringify(document)) as Difference;
  assert.equal(exitCode, 1);
  assert.deepEqual([processes.changed, mounts.added], [[], []]);
  assert.deepEqual(
    [rootfs.added, rootfs.removed].map((items) => items.map(({ path, sha256: hash }) => [path, hash])),
    [[["/d", sha256("4")]], [["/c", sha256("3")]]],
  );
  assert.deepEqual(
    rootfs.changed.map(({ from, to }) => [from.path, from.uid, to.uid, to.sha256]),
    [["/b", 1, 2, sha256("2")]],
  );
  assert.ok(lines.includes(`+ /d file 1 B 0644 text 0:0 1970-01-01T00:00:00.000Z ${sha256("4")}`), lines.join("\n"));
});
