import assert from "node:assert/strict";
import { test } from "node:test";
import { RemapFilePathEntrySchema } from "../../src/criu/gen/deleted_pb.ts";
import { FdinfoEntrySchema, FileEntrySchema, MemfdInodeEntrySchema } from "../../src/criu/gen/files_pb.ts";
import { CoreEntrySchema, PstreeEntrySchema } from "../../src/criu/gen/process_pb.ts";
import { missingImages } from "../../src/criu/missing.ts";
import { checkpoint, image, MAGIC, memoryArchive, message, type Files } from "./synthetic.ts";

async function missing(files: Files): Promise<string[]> {
  const all: string[] = [];
  for await (const { message: text, certain } of missingImages(memoryArchive(files))) all.push(certain ? text : `perhaps: ${text}`);
  return all;
}

function without(files: Files, ...names: readonly string[]): Files {
  return Object.fromEntries(Object.entries(files).filter(([name]) => !names.includes(name.replace(/^checkpoint\/|\.img$/g, ""))));
}

const TWO = checkpoint({
  processes: [
    { pid: 1, threads: [1, 4] },
    { pid: 2, ppid: 1 },
  ],
});

const fdinfo = (...ids: readonly number[]): Buffer =>
  image(
    MAGIC.fdinfo,
    ids.map((id, fd) => message(FdinfoEntrySchema, { id, fd })),
  );

test("images of living processes and their threads", async () => {
  assert.deepEqual(await missing(TWO), []);
  assert.deepEqual(await missing(without(TWO, "core-4", "mm-2", "pagemap-2", "fs-2", "ids-1")), [
    "checkpoint/core-4.img is missing: the process tree has a task 4",
    "checkpoint/ids-1.img is missing: process 1 was alive",
    "checkpoint/mm-2.img is missing: process 2 was alive",
    "checkpoint/pagemap-2.img is missing: process 2 was alive",
    "checkpoint/fs-2.img is missing: process 2 was alive",
  ]);
  assert.deepEqual(await missing(without(TWO, "files")), ["checkpoint/files.img is missing: it tells what the processes had open"]);
  // As CRIU before 3.3 wrote them.
  assert.deepEqual(await missing({ ...without(TWO, "files"), "checkpoint/reg-files.img": image(0x50363636, []) }), []);
});

test("a process tree that has a process twice is damaged", async () => {
  const twice = image(
    MAGIC.pstree,
    [1, 1].map((pid) => message(PstreeEntrySchema, { pid, threads: [pid] })),
  );
  await assert.rejects(missing({ ...TWO, "checkpoint/pstree.img": twice }), {
    reason: "ImageDamaged",
    message: "checkpoint/pstree.img: two processes 1",
  });
});

test("a zombie has its core alone, and a thread of any number; ids can be in the core", async () => {
  const core = (taskState: number, ids?: object): Buffer =>
    image(MAGIC.core, [message(CoreEntrySchema, { tc: { taskState }, ...(ids === undefined ? {} : { ids }) })]);
  const zombie = {
    ...without(TWO, "mm-2", "pagemap-2", "fs-2", "ids-2", "fdinfo-2"),
    "checkpoint/core-2.img": core(6),
    "checkpoint/pstree.img": image(MAGIC.pstree, [
      message(PstreeEntrySchema, { pid: 1, threads: [1] }),
      message(PstreeEntrySchema, { pid: 2, ppid: 1, threads: [903_136_784] }),
    ]),
  };
  assert.deepEqual(await missing(zombie), []);
  assert.deepEqual(await missing(without(zombie, "core-2")), ["checkpoint/core-2.img is missing: the process tree has a task 2"]);
  assert.deepEqual(await missing({ ...without(TWO, "ids-1"), "checkpoint/core-1.img": core(1, { filesId: 1 }) }), []);
});

test("descriptors: CRIU writes none for a process that had nothing open", async () => {
  assert.deepEqual(await missing(without(TWO, "fdinfo-1")), ["checkpoint/fdinfo-1.img is missing: it tells what process 1 had open"]);
  assert.deepEqual(await missing(without(TWO, "fdinfo-2")), [
    "perhaps: checkpoint/fdinfo-2.img is missing: process 2 had nothing open, or it was lost",
  ]);
  const piped = {
    ...TWO,
    "checkpoint/files.img": image(MAGIC.files, [
      message(FileEntrySchema, { type: 1, id: 1, reg: { id: 1, name: "/" } }),
      message(FileEntrySchema, { type: 2, id: 7, pipe: { id: 7, pipeId: 3 } }),
    ]),
    "checkpoint/fdinfo-2.img": fdinfo(7),
  };
  assert.deepEqual(await missing(piped), []);
  assert.deepEqual(await missing(without(piped, "fdinfo-2")), ["checkpoint/fdinfo-2.img is missing: it tells what process 2 had open"]);
  assert.deepEqual(await missing({ ...piped, "checkpoint/fdinfo-1.img": fdinfo(1, 8, 9) }), [
    "checkpoint/files.img lacks 2 of the open files in checkpoint/fdinfo-1.img",
  ]);
});

test("memfds and deleted files", async () => {
  const files = {
    ...TWO,
    "checkpoint/files.img": image(MAGIC.files, [
      message(FileEntrySchema, { type: 18, id: 2, memfd: { id: 2, inodeId: 5 } }),
      message(FileEntrySchema, { type: 1, id: 3, reg: { id: 3, name: "/tmp/ghost" } }),
    ]),
    "checkpoint/memfd.img": image(MAGIC.memfd, [message(MemfdInodeEntrySchema, { inodeId: 5n, shmid: 9, name: "x" })]),
    "checkpoint/remap-fpath.img": image(MAGIC.remap, [message(RemapFilePathEntrySchema, { origId: 3, remapId: 10, remapType: 1 })]),
    "checkpoint/ghost-file-a.img": image(MAGIC.ghost, []),
  };
  assert.deepEqual(await missing(files), []);
  assert.deepEqual(await missing(without(files, "memfd")), ["checkpoint/memfd.img is missing: it tells of 1 memfds that were open"]);
  const other = image(MAGIC.memfd, [message(MemfdInodeEntrySchema, { inodeId: 6n, shmid: 9, name: "x" })]);
  assert.deepEqual(await missing({ ...files, "checkpoint/memfd.img": other }), [
    "checkpoint/memfd.img lacks 1 of the memfds in checkpoint/files.img",
  ]);
  assert.deepEqual(await missing(without(files, "ghost-file-a")), [
    "checkpoint/ghost-file-a.img is missing: it holds the deleted file /tmp/ghost",
  ]);
  assert.deepEqual(await missing(without(files, "remap-fpath")), [
    "checkpoint/remap-fpath.img is missing: it tells which deleted files are in the archive",
  ]);
});
