import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { openArchive } from "../../src/archive/open.ts";
import { checkImages, unknownImages } from "../../src/criu/check.ts";
import { GhostChunkEntrySchema, GhostFileEntrySchema } from "../../src/criu/gen/deleted_pb.ts";
import { IpcMsgEntrySchema, IpcMsgSchema, IpcSemEntrySchema, IpcShmEntrySchema } from "../../src/criu/gen/ipc_pb.ts";
import { CoreEntrySchema } from "../../src/criu/gen/process_pb.ts";
import { BpfmapDataEntrySchema, TcpStreamEntrySchema } from "../../src/criu/gen/queues_pb.ts";
import { checkpoint, image, MAGIC, memoryArchive, message, type Files } from "./synthetic.ts";

const ARCHIVES = "test/data/archives";

async function findings(files: Files): Promise<string[]> {
  const all: string[] = [];
  for await (const { image: name, kind, message: text } of checkImages(memoryArchive(files))) all.push(`${kind} ${name}: ${text}`);
  return all;
}

for (const name of readdirSync(ARCHIVES).filter((file) => /\.tar(\.gz|\.zst)?$/.test(file))) {
  test(`every image of ${name} decodes`, async () => {
    await using archive = await openArchive(`${ARCHIVES}/${name}`);
    const odd: string[] = [];
    for await (const { image: file, kind } of checkImages(archive)) odd.push(`${kind} ${file}`);
    // Podman left images of processes that had ended before.
    const stale = ["core", "fs", "ids", "mm", "pagemap"].flatMap((kind) => [5, 9].map((pid) => `stale checkpoint/${kind}-${pid}.img`));
    assert.deepEqual(odd.sort(), name === "podman-zstd.tar.zst" ? stale.sort() : []);
    assert.deepEqual(await unknownImages(archive), []);
  });
}

test("data after messages of every kind", async () => {
  const data = (bytes: number): Buffer => Buffer.alloc(bytes, 0xfe);
  const files = {
    "checkpoint/ipcns-sem-1.img": image(0x59573019, [[message(IpcSemEntrySchema, { nsems: 3 }), data(8)]]),
    "checkpoint/ipcns-shm-1.img": image(0x46283044, [
      [message(IpcShmEntrySchema, { size: 10n }), data(12)],
      [message(IpcShmEntrySchema, { size: 10n, inPagemaps: true }), data(0)],
    ]),
    "checkpoint/ipcns-msg-1.img": image(0x55453737, [
      message(IpcMsgEntrySchema, { qnum: 2 }),
      [message(IpcMsgSchema, { msize: 3 }), data(8)],
      [message(IpcMsgSchema, { msize: 8 }), data(8)],
      message(IpcMsgEntrySchema, { qbytes: 16384, qnum: 0 }),
    ]),
    "checkpoint/bpfmap-data.img": image(0x64324033, [[message(BpfmapDataEntrySchema, { keysBytes: 4, valuesBytes: 16 }), data(20)]]),
    "checkpoint/tcp-stream-1f.img": image(0x51465506, [[message(TcpStreamEntrySchema, { inqLen: 5, outqLen: 6 }), data(11)]]),
    "checkpoint/ghost-file-1.img": image(MAGIC.ghost, [[message(GhostFileEntrySchema, { mode: 0o100600 }), data(999)]]),
    "checkpoint/ghost-file-2.img": image(MAGIC.ghost, [
      message(GhostFileEntrySchema, { chunks: true, size: 9000n }),
      [message(GhostChunkEntrySchema, { off: 0n, len: 100n }), data(100)],
      [message(GhostChunkEntrySchema, { off: 8192n, len: 8n }), data(8)],
    ]),
  };
  assert.deepEqual(await findings({ ...checkpoint({ processes: [{ pid: 1 }] }), ...files }), []);
});

test("unknown kinds, damaged and stale images are told; raw ones are none", async () => {
  const files = {
    ...checkpoint({ processes: [{ pid: 1 }] }),
    "checkpoint/future-1.img": image(0x12345678, [Buffer.from("?")]),
    "checkpoint/core-99.img": image(MAGIC.core, [message(CoreEntrySchema, { mtype: 1 })]),
    "checkpoint/files.img": image(MAGIC.files, [Buffer.from([0xff])]),
    "checkpoint/fs-1.img": Buffer.from("no image"),
    "checkpoint/pages-1.img": Buffer.from("raw"),
    "checkpoint/iptables-1.img": Buffer.from("raw"),
    "checkpoint/route6-10.img": Buffer.from("raw"),
    "checkpoint/tmpfs-dev-1.tar.gz.img": Buffer.from("raw"),
  };
  assert.deepEqual((await findings(files)).sort(), [
    "damaged checkpoint/files.img: an entry ends in the middle of a number",
    "damaged checkpoint/fs-1.img: it does not begin as an image of CRIU does",
    "stale checkpoint/core-99.img: the process tree has no task 99: it is left over from an earlier checkpoint",
    "unknown checkpoint/future-1.img: its kind, 0x12345678, is not known to this version",
  ]);
});
