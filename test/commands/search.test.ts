// Runs on Linux and macOS only: it pipes through a shell.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { verb as search } from "../../src/commands/search.ts";
import { escapeBytes } from "../../src/commands/search/matches.ts";
import { tar } from "../archive/tars.ts";
import { checkpoint, type CheckpointSpec } from "../criu/synthetic.ts";
import { without } from "./altered.ts";
import { REGISTRY, requestOf, runVerb } from "./running.ts";

const ARCHIVES = "test/data/archives";
const ZOO = `${ARCHIVES}/containerd-zoo.tar.gz`;
const OLD = `${ARCHIVES}/podman-5.4.2-criu4.1.1-oldpagemap.tar.gz`;
const REDIS = `${ARCHIVES}/containerd-2.1.9-criu4.2.1-k8s-redis.tar`;

const folder = mkdtempSync(join(tmpdir(), "search-"));
after(() => rmSync(folder, { recursive: true }));

function made(name: string, spec: CheckpointSpec): string {
  const path = join(folder, name);
  const files = { ...checkpoint(spec), "config.dump": Buffer.from("{}") };
  writeFileSync(path, tar(...Object.entries(files).map(([member, data]) => ({ name: member, data }))));
  return path;
}

interface Item {
  readonly in: string;
  readonly pid?: number;
  readonly process?: string;
  readonly address?: string;
  readonly region?: string;
  readonly path?: string;
  readonly member?: string;
  readonly pids?: number[];
  readonly queue?: string;
  readonly heldBy?: { pid: number; fd: number }[];
  readonly offset: number;
  readonly match: string;
  readonly context: string;
  readonly mapped?: boolean;
}

async function matches(words: string[], flags: Record<string, string | boolean | string[]> = {}) {
  const { document, exitCode, errors } = await runVerb(search, words, { output: "json", ...flags });
  const { items, complete } = document as { items: Item[]; complete: boolean };
  return { items, complete, exitCode, errors: errors.map(({ message }) => message) };
}

const request = (words: string[], flags: Record<string, string | boolean | string[]> = {}) => requestOf(search, words, flags);

test("words and flags become a request", () => {
  assert.deepEqual(request(["a.tar", "né"]), {
    file: "a.tar",
    previous: undefined,
    registry: REGISTRY,
    pattern: { kind: "bytes", forms: [Buffer.from("né")] },
    scopes: ["memory", "files", "queues"],
    pid: undefined,
    around: 32,
    max: 1000,
    document: false,
  });
  assert.deepEqual(request(["a.tar", "0xDE ad:be ef"], { hex: true, pid: "3", around: "0", max: "0", in: ["files", "queues"] }), {
    file: "a.tar",
    previous: undefined,
    registry: REGISTRY,
    pattern: { kind: "bytes", forms: [Buffer.from("deadbeef", "hex")] },
    scopes: ["files", "queues"],
    pid: 3,
    around: 0,
    max: 0,
    document: false,
  });
  // A character beyond ASCII stands for its bytes.
  assert.deepEqual(request(["a", "é+"], { regex: true }).pattern, { kind: "regex", source: "Ã©+" });
  const wrong = [
    [["a"], {}],
    [["a", ""], {}],
    [["a", "b", "c"], {}],
    [["a", "("], { regex: true }],
    [["a", "abc"], { hex: true }],
    [["a", "ab"], { hex: true, regex: true }],
    [["a", "ab"], { hex: true, utf16: true }],
    [["a", "ab"], { in: ["memory", "disk"] }],
  ] as const;
  for (const [words, flags] of wrong)
    assert.throws(() => request([...words], flags as Record<string, boolean>), { reason: "Usage", exitCode: 2 });
  assert.throws(() => request(["a", "b"], { around: "70000" }), { reason: "Usage" });
});

test("the known secrets, on all three engines", async () => {
  for (const name of [
    "containerd-2.1.9-criu4.2.1.tar",
    "containerd-a.tar",
    "crio-1.34.11-criu4.2.1.tar",
    "podman-zstd.tar.zst",
    "podman-5.4.2-criu4.1.1-oldpagemap.tar.gz",
  ]) {
    const { items, exitCode, complete } = await matches([`${ARCHIVES}/${name}`, "SECRET_TOKEN=s3cr3t-value-123"]);
    assert.equal(exitCode, 0, name);
    assert.ok(complete);
    assert.ok(
      items.some(({ process, region }) => process === "sh" && region === "stack"),
      name,
    );
  }
  const { items } = await matches([REDIS, "secret-cookie"]);
  assert.ok(items.some(({ process, region }) => process === "redis-server" && region === "anonymous"));
  assert.equal((await matches([REDIS, "session:42"])).exitCode, 0);
});

test("awk's needle in its heap, with old pagemaps; the child's secret", async () => {
  const { items } = await matches([OLD, "needle-in-heap-789"], { pid: "4" });
  const heap = items.filter(({ region }) => region === "heap");
  assert.ok(heap.length >= 2);
  assert.ok(items.every(({ pid, process }) => pid === 4 && process === "awk"));
  assert.ok(items.every((one) => one.in === "memory"));
  assert.ok(items.some(({ region }) => region === "anonymous"));
  assert.equal((await matches([OLD, "CHILD_SECRET=child-s3cr3t-456"], { pid: "3" })).exitCode, 0);
});

test("every kind of memory: where the match is, shared memory once in each process", async () => {
  const { items } = await matches([ZOO, "needle-[a-z-]+"], { regex: true });
  const ofRoot = items
    .filter(({ pid }) => pid === 1)
    .map(({ region, match, mapped }) => `${region} ${match}${mapped === false ? " not mapped" : ""}`);
  assert.deepEqual(ofRoot.sort(), [
    "/data/log.txt needle-in-private-file-page",
    "anonymous needle-across-pages",
    "heap needle-in-the-zoo-heap",
    "memfd:/dev/zero needle-in-shared-memory",
    "memfd:zoo-memfd needle-in-mapped-memfd",
    "sysvipc needle-in-sysv-shm",
  ]);
  assert.equal(items.filter(({ match }) => match === "needle-in-mapped-memfd").length, 4);
  const across = items.find(({ pid, match }) => pid === 1 && match === "needle-across-pages");
  assert.equal(across?.address, "0x7faa96f1fffa");
  assert.equal(across?.offset, 0xffa);
  const elsewhere = items
    .filter((one) => one.in !== "memory")
    .map((one) => `${one.path ?? one.queue} ${one.match} ${JSON.stringify(one.pids ?? one.heldBy)}`);
  assert.deepEqual(elsewhere, ["memfd:zoo-unmapped needle-in-unmapped-memfd [1,9,10,12]"]);
});

test("shared memory whose images are missing is said not to have been searched", async () => {
  for (const [image, told] of [
    ["memfd.img", /^the shared memory that process 1 has at 0x[\da-f]+ is unknown$/],
    ["pagemap-shmem-245.img", /^checkpoint\/pagemap-shmem-245\.img is not in the archive$/],
  ] as const) {
    const { errors, exitCode, complete } = await matches([await without(ZOO, `checkpoint/${image}`), "certainly not there"]);
    assert.deepEqual([exitCode, complete], [2, false], image);
    assert.ok(
      errors.some((error) => told.test(error)),
      errors.join(),
    );
  }
});

test("exit status as grep's: nothing found is 1, trouble 2", async () => {
  const nothing = await matches([ZOO, "certainly not there"]);
  assert.deepEqual([nothing.items, nothing.exitCode, nothing.complete], [[], 1, true]);
  await assert.rejects(matches([ZOO, "x"], { pid: "99" }), { reason: "NoSuchProcess" });
  await assert.rejects(matches([join(folder, "absent.tar"), "x"]), { reason: "NoSuchFile" });
  assert.equal(search.failureStatus, 2);
});

test("--max stops, and says that there is more", async () => {
  const { items, complete, exitCode } = await matches([ZOO, "needle"], { max: "3" });
  assert.deepEqual([items.length, complete, exitCode], [3, false, 0]);
  assert.ok((await matches([ZOO, "needle"], { max: "0" })).complete);
});

test("a document holds only so much, and says that there is more; text has no such end", async () => {
  const bytes = Buffer.alloc(128 * 4096);
  for (let at = 0; at < bytes.length; at += 1024) bytes.write("needle", at);
  const process = { pid: 1, mappings: [{ start: 0x10000n, pages: 128 }], runs: [{ vaddr: 0x10000n, pages: 128, flags: 4 }], bytes };
  const path = made("much.tar", { processes: [process] });
  const { items, exitCode, complete, errors } = await matches([path, "needle"], { around: "65536" });
  assert.ok(items.length > 50 && items.length < 128, `${items.length} matches`);
  assert.ok(items.reduce((sum, { context }) => sum + context.length, 0) <= 32 << 20);
  assert.deepEqual([exitCode, complete, errors], [2, false, [`the document contains only the first ${items.length} matches`]]);
  const people = await runVerb(search, [path, "needle"], { around: "65536", max: "128" });
  assert.deepEqual([people.lines.length, people.exitCode], [128, 0]);
});

const mapping = { start: 0x10000n, pages: 4 };
const runs = [
  { vaddr: 0x10000n, pages: 1, flags: 4 },
  { vaddr: 0x11000n, pages: 2, flags: 1 },
];

test("memory that is not in the archive makes the answer incomplete, whatever was found", async () => {
  const path = made("parent.tar", { processes: [{ pid: 1, comm: "a", mappings: [mapping], runs, bytes: Buffer.alloc(4096, "needle") }] });
  const { items, exitCode, complete, errors } = await matches([path, "needleneedle"], { max: "1" });
  assert.deepEqual([items.length, exitCode, complete, errors.length], [1, 2, false, 1]);
  const all = await matches([path, "needleneedle"]);
  assert.deepEqual(
    [all.exitCode, all.complete, all.errors],
    [2, false, ["2 pages of process 1 were not searched: they are not in the archive"]],
  );
});

test("one process that cannot be read does not hide the others", async () => {
  const good = { pid: 2, ppid: 1, comm: "good", mappings: [mapping], runs: runs.slice(0, 1), bytes: Buffer.alloc(4096, "needle") };
  const path = made("short.tar", { processes: [{ ...good, pid: 1, ppid: 0, comm: "bad", bytes: Buffer.alloc(100) }, good] });
  const { items, exitCode, errors } = await matches([path, "needleneedle"]);
  assert.equal(exitCode, 2);
  assert.ok(items.length > 0 && items.filter((one) => one.in === "memory").every(({ process }) => process === "good"));
  assert.match(errors[0] ?? "", /checkpoint\/pages-1\.img: it has 100 bytes, fewer than the pages/);
});

test("a living process without its memory images is told", async () => {
  for (const missing of ["mm-1.img", "pagemap-1.img"]) {
    const files: Record<string, Buffer> = {
      ...checkpoint({ processes: [{ pid: 1 }, { pid: 2, ppid: 1 }] }),
      "config.dump": Buffer.from("{}"),
    };
    const path = join(folder, `without-${missing}.tar`);
    const members = Object.entries(files).filter(([name]) => name !== `checkpoint/${missing}`);
    writeFileSync(path, tar(...members.map(([name, data]) => ({ name, data }))));
    const { exitCode, errors } = await matches([path, "x"]);
    assert.equal(exitCode, 2);
    assert.match(errors.join(), new RegExp(`^checkpoint/${missing} is not in the archive`));
  }
});

test("16 KiB pages and the other byte order", async () => {
  for (const [name, options] of [
    ["arm", { pageSize: 16_384, machine: 3 }],
    ["s390x", { bigEndian: true, machine: 5 }],
  ] as const) {
    const size = "pageSize" in options ? options.pageSize : 4096;
    const bytes = Buffer.alloc(2 * size, 0);
    bytes.write("needle", size - 3);
    const spec = {
      pid: 1,
      mappings: [{ start: 0x100000n, pages: 8 }],
      runs: [{ vaddr: 0x100000n + BigInt(size), pages: 2, flags: 4 }],
      bytes,
    };
    const { items } = await matches([made(`${name}.tar`, { processes: [spec], ...options }), "needle"]);
    assert.deepEqual(
      items.map(({ address }) => address),
      [`0x${(0x100000 + 2 * size - 3).toString(16)}`],
    );
  }
});

test("people see a line a match: where, then what is around it, zeros shortened", async () => {
  const { lines } = await runVerb(search, [ZOO, "needle-in-the-zoo"], { pid: "1", around: "8" });
  assert.deepEqual(lines, ["1 zoo 0x260c1a60 heap: \\x00…needle-in-the-zoo-heap\\x00…".replace("-heap\\x00…", "-heap\\x00\\x00\\x00")]);
});

test("bytes as text that says which they are", () => {
  assert.equal(escapeBytes(Buffer.from("a\\b\n\t\0\x1b[31m\u00e9€\u202e")), "a\\\\b\\n\\t\\x00\\x1b[31mé€\\xe2\\x80\\xae");
  assert.equal(escapeBytes(Buffer.from([0xff, 0xc3, 0x28, 0xe2, 0x82])), "\\xff\\xc3(\\xe2\\x82");
  assert.equal(escapeBytes(Buffer.from([0, 0x7f, 0x41, 0x42, 0xff])), "\\x00\\x7fAB\\xff");
  assert.equal(escapeBytes(Buffer.alloc(0)), "");
});
