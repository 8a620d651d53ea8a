import assert from "node:assert/strict";
import { test } from "node:test";
import { openArchive } from "../../src/archive/open.ts";
import type { Archive } from "../../src/archive/archive.ts";
import { fileTable } from "../../src/criu/files/table.ts";
import { GhostChunkEntrySchema, GhostFileEntrySchema, RemapFilePathEntrySchema } from "../../src/criu/gen/deleted_pb.ts";
import { FileEntrySchema } from "../../src/criu/gen/files_pb.ts";
import { ghostFiles, ghostSource } from "../../src/criu/ghosts.ts";
import { extentsOf } from "../../src/archive/sparse.ts";
import type { UserError } from "../../src/model/error.ts";
import { image, MAGIC, memoryArchive, message } from "./synthetic.ts";

async function contents(archive: Archive): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  const thrown = (problem: UserError): never => {
    throw problem;
  };
  for (const ghost of await ghostFiles(archive, await fileTable(archive), thrown)) {
    const source = await ghostSource(archive, ghost);
    const pieces: string[] = [];
    for (const { offset, length } of extentsOf(source))
      pieces.push(`${offset}: ${JSON.stringify(String(await source.read(offset, length)))}`);
    all[`${ghost.path} ${ghost.size}`] = pieces.join(" ");
  }
  return all;
}

test("the deleted file of a real archive, by its path", async () => {
  await using archive = await openArchive("test/data/archives/podman-5.4.2-criu4.1.1-oldpagemap.tar.gz");
  assert.deepEqual(await contents(archive), { "/tmp/ghost 12": '0: "ghost-bytes\\n"' });
});

const ghost = (entries: Parameters<typeof image>[1], name = "/tmp/big") =>
  memoryArchive({
    "checkpoint/files.img": image(MAGIC.files, [message(FileEntrySchema, { type: 1, id: 3, reg: { id: 3, name } })]),
    "checkpoint/remap-fpath.img": image(MAGIC.remap, [message(RemapFilePathEntrySchema, { origId: 3, remapId: 27, remapType: 1 })]),
    "checkpoint/ghost-file-1b.img": image(MAGIC.ghost, entries),
  });
const chunk = (off: bigint, text: string) =>
  [message(GhostChunkEntrySchema, { off, len: BigInt(text.length) }), Buffer.from(text)] as const;

test("a sparse one comes in pieces, with its holes", async () => {
  const head = message(GhostFileEntrySchema, { chunks: true, size: 10_000n });
  assert.deepEqual(await contents(ghost([head, chunk(0n, "begin"), chunk(8192n, "end")])), { "/tmp/big 10000": '0: "begin" 8192: "end"' });
  assert.deepEqual(await contents(ghost([head])), { "/tmp/big 10000": "" });
});

test("chunks out of order or beyond the file are refused", async () => {
  const head = message(GhostFileEntrySchema, { chunks: true, size: 100n });
  for (const chunks of [[chunk(50n, "b"), chunk(10n, "a")], [chunk(99n, "too long")]]) {
    await assert.rejects(contents(ghost([head, ...chunks])), {
      reason: "ImageDamaged",
      message: /ghost-file-1b\.img: a chunk at \d+ is out of order/,
    });
  }
  const lie = [message(GhostChunkEntrySchema, { off: 0n, len: 2n ** 40n }), Buffer.from("x")] as const;
  await assert.rejects(contents(ghost([message(GhostFileEntrySchema, { chunks: true, size: 2n ** 41n }), lie])), {
    reason: "ImageDamaged",
  });
});

test("a ghost without its image is named by its path", async () => {
  const archive = ghost([]);
  const without = { ...archive, members: new Map([...archive.members].filter(([name]) => !name.includes("ghost-file"))) };
  await assert.rejects(contents(without), { reason: "NotInArchive", why: "it has the deleted file /tmp/big" });
});
