import assert from "node:assert/strict";
import { test } from "node:test";
import { PagemapEntrySchema, PagemapHeadSchema } from "../../src/criu/gen/memory_pb.ts";
import { processPagemap } from "../../src/criu/pagemap.ts";
import { pageSize } from "../../src/criu/pagesize.ts";
import { checkpoint, image, MAGIC, memoryArchive, message, pagemapImage, type Run } from "./synthetic.ts";

async function runs(bytes: Buffer) {
  const map = await processPagemap(memoryArchive({ "checkpoint/pagemap-1.img": bytes }), 1, 4096);
  const all: [string, number, string, number][] = [];
  for await (const batch of map?.runs() ?? []) {
    for (const { address, pages, content, offset } of batch) all.push([`0x${address.toString(16)}`, pages, content, offset / 4096]);
  }
  return { pagesName: map?.pagesName, all };
}

const RUNS: Run[] = [
  { vaddr: 0x1000n, pages: 2, flags: 4 },
  { vaddr: 0x4000n, pages: 3, flags: 1 },
  { vaddr: 0x8000n, pages: 1, flags: 2 },
  { vaddr: 0x9000n, pages: 4, flags: 4 | 2 },
  { vaddr: 0xf000n, pages: 1, flags: 0 },
  { vaddr: 0xffffffffff600000n, pages: 1, flags: 4 },
];

test("both generations of pagemaps: only present pages are in the file", async () => {
  for (const oldPagemap of [false, true]) {
    assert.deepEqual(await runs(pagemapImage(3, RUNS, { oldPagemap })), {
      pagesName: "checkpoint/pages-3.img",
      all: [
        ["0x1000", 2, "present", 0],
        ["0x4000", 3, "parent", 0],
        ["0x8000", 1, "lazy", 0],
        ["0x9000", 4, "present", 2],
        ["0xf000", 1, "none", 0],
        ["0xffffffffff600000", 1, "present", 6],
      ],
    });
  }
});

test("entries without flags are present, or in the parent where they say so", async () => {
  const { all } = await runs(
    pagemapImage(1, [
      { vaddr: 0x1000n, pages: 1 },
      { vaddr: 0x2000n, pages: 1, inParent: true },
    ]),
  );
  assert.deepEqual(
    all.map(([, , content]) => content),
    ["present", "parent"],
  );
});

test("an entry with a field or flag of a version to come is refused", async () => {
  const head = message(PagemapHeadSchema, { pagesId: 1 });
  const entry = message(PagemapEntrySchema, { vaddr: 0x1000n, nrPages: 1n, flags: 4 });
  const field = image(MAGIC.pagemap, [head, Buffer.concat([entry, Buffer.from([0x40, 0x05])])]);
  for (const bytes of [field, pagemapImage(1, [{ vaddr: 0x1000n, pages: 1, flags: 4 | 16 }])])
    await assert.rejects(runs(bytes), { reason: "PagesUnknown" });
});

test("entries out of order, of no pages or of too many are refused", async () => {
  const backwards = [
    { vaddr: 0x9000n, pages: 1, flags: 4 },
    { vaddr: 0x1000n, pages: 1, flags: 4 },
  ];
  await assert.rejects(runs(pagemapImage(1, backwards)), { reason: "ImageDamaged", message: /0x1000 are out of order/ });
  const over = [
    { vaddr: 0x1000n, pages: 3, flags: 4 },
    { vaddr: 0x3000n, pages: 1, flags: 4 },
  ];
  await assert.rejects(runs(pagemapImage(1, over)), { reason: "ImageDamaged", message: /0x3000 are out of order, or lie over others/ });
  await assert.rejects(runs(pagemapImage(1, [{ vaddr: 0x1001n, pages: 1, flags: 4 }])), {
    reason: "ImageDamaged",
    message: /0x1001, where none begins/,
  });
  await assert.rejects(runs(pagemapImage(1, [{ vaddr: 0n, pages: 0, flags: 4 }])), { message: /an entry of 0 pages/ });
  const endless = message(PagemapEntrySchema, { vaddr: 0n, nrPages: 2n ** 63n, flags: 4 });
  await assert.rejects(runs(image(MAGIC.pagemap, [message(PagemapHeadSchema, { pagesId: 1 }), endless])), { reason: "ImageDamaged" });
  await assert.rejects(runs(image(MAGIC.pagemap, [])), { message: /it is empty/ });
});

test("the page size is that of the archive's machine", async () => {
  for (const size of [4096, 16_384, 65_536]) {
    const files = checkpoint({
      pageSize: size,
      processes: [
        {
          pid: 1,
          mappings: [{ start: 0x100000n, pages: 8 }],
          runs: [{ vaddr: 0x100000n, pages: 3, flags: 4 }],
          bytes: Buffer.alloc(3 * size),
        },
      ],
    });
    assert.equal(await pageSize(memoryArchive(files)), size);
    // Without a page in the archive the kernel's word to the process counts.
    const { "checkpoint/pages-1.img": _, ...told } = files;
    assert.equal(await pageSize(memoryArchive(told)), size);
  }
  assert.equal(await pageSize(memoryArchive(checkpoint({ processes: [] }))), undefined);
});

test("a file of pages that fits no page size is said so, unless another tells the size", async () => {
  const process = (pid: number, bytes: number) => ({
    pid,
    mappings: [{ start: 0x1000n, pages: 2 }],
    runs: [{ vaddr: 0x1000n, pages: 2, flags: 4 }],
    bytes: Buffer.alloc(bytes),
  });
  await assert.rejects(pageSize(memoryArchive(checkpoint({ processes: [process(1, 5000)] }))), {
    reason: "ImageDamaged",
    message: "checkpoint/pages-1.img: it has 5000 bytes, which is no whole page size for the 2 pages of checkpoint/pagemap-1.img",
  });
  assert.equal(await pageSize(memoryArchive(checkpoint({ processes: [process(1, 5000), process(2, 8192)] }))), 4096);
});
