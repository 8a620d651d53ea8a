// Runs on Linux and macOS only: it looks at file modes.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, test } from "node:test";
import { verb as extract } from "../../src/commands/extract.ts";
import { verb as inspect } from "../../src/commands/inspect.ts";
import type { Inspection, ProcessItem } from "../../src/model/inspection.ts";
import { tar } from "../archive/tars.ts";
import { AARCH64, checkpoint, type CheckpointSpec } from "../criu/synthetic.ts";
import { program } from "../tools/tool.ts";
import { requestOf, runVerb } from "./running.ts";

const GLIBC = resolve("test/data/threads/glibc-2.42.tar.zst");
const folder = mkdtempSync(join(tmpdir(), "core-"));
after(() => rmSync(folder, { recursive: true }));
let made = 0;

interface Note {
  readonly owner: string;
  readonly type: number;
  readonly content: Buffer;
}

interface Load {
  readonly address: bigint;
  readonly offset: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
  readonly flags: number;
}

/** As a debugger reads it. */
function read(path: string): { machine: number; notes: Note[]; loads: Load[]; bytes: Buffer } {
  const bytes = readFileSync(path);
  assert.equal(bytes.toString("latin1", 0, 4), "\x7fELF");
  assert.equal(bytes.readUInt16LE(16), 4);
  const first = Number(bytes.readBigUInt64LE(32));
  const short = bytes.readUInt16LE(56);
  const count = short === 0xffff ? bytes.readUInt32LE(Number(bytes.readBigUInt64LE(40)) + 44) : short;
  const headers = Array.from({ length: count }, (_, index) => bytes.subarray(first + index * 56));
  const of = (header: Buffer, at: number): number => Number(header.readBigUInt64LE(at));
  const loads = headers
    .filter((header) => header.readUInt32LE(0) === 1)
    .map((header) => ({
      address: header.readBigUInt64LE(16),
      offset: of(header, 8),
      fileBytes: of(header, 32),
      memoryBytes: of(header, 40),
      flags: header.readUInt32LE(4),
    }));
  const [noteHeader] = headers;
  assert.equal(noteHeader?.readUInt32LE(0), 4);
  const notes: Note[] = [];
  const end = of(noteHeader, 8) + of(noteHeader, 32);
  for (let at = of(noteHeader, 8); at < end;) {
    const [nameBytes, length, type] = [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4), bytes.readUInt32LE(at + 8)];
    assert.equal(nameBytes, bytes.indexOf(0, at + 12) - at - 11);
    notes.push({ owner: bytes.toString("latin1", at + 12, at + 11 + nameBytes), type, content: bytes.subarray(at + 20, at + 20 + length) });
    at += 20 + Math.ceil(length / 4) * 4;
  }
  return { machine: bytes.readUInt16LE(18), notes, loads, bytes };
}

/** The one core of a process, and what the command said. */
async function coreOf(archive: string, pid: number) {
  const path = join(folder, `core-${(made += 1)}`);
  const ran = await runVerb(extract, [archive], { core: true, pid: String(pid), to: path });
  return { ran, path, ...read(path) };
}

function archiveOf(spec: CheckpointSpec): string {
  const path = join(folder, `${(made += 1)}.tar`);
  const files = Object.entries(checkpoint(spec)).map(([name, data]) => ({ name, data }));
  writeFileSync(path, tar({ name: "config.dump", data: "{}" }, ...files));
  return path;
}

test("words and flags become a request; a core is neither a range nor for standard output", () => {
  assert.deepEqual(requestOf(extract, ["a.tar"], { core: true }).what, { kind: "core", pid: undefined });
  assert.deepEqual(requestOf(extract, ["a.tar"], { core: true, pid: "7" }).what, { kind: "core", pid: 7 });
  for (const flags of [{ to: "-" }, { pid: "1", range: "0x1000-0x2000" }])
    assert.throws(() => requestOf(extract, ["a.tar"], { core: true, ...flags }));
  assert.throws(() => requestOf(extract, ["a.tar", "/etc"], { core: true }));
});

test("notes are those of the kernel, in its order and sizes; the names of threads are commands for gdb", async () => {
  const { ran, path, machine, notes, bytes } = await coreOf(GLIBC, 8);
  assert.deepEqual([ran.exitCode, ran.errors], [0, []]);
  assert.equal(machine, 62);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.ok(bytes.length < 300_000);
  const thread = [
    ["CORE", 1, 336],
    ["CORE", 2, 512],
    ["LINUX", 0x202, 832],
  ];
  const [status, floating, extended] = thread;
  const files = notes.find(({ type }) => type === 0x46494c45)?.content ?? Buffer.alloc(0);
  assert.deepEqual(
    notes.map(({ owner, type, content }) => [owner, type, content.length]),
    [
      status,
      ["CORE", 3, 136],
      ["CORE", 6, notes[2]?.content.length],
      ["CORE", 0x46494c45, files.length],
      floating,
      extended,
      ...thread,
      ...thread,
      ...thread,
    ],
  );
  assert.deepEqual(
    notes.filter(({ type }) => type === 1).map(({ content }) => content.readUInt32LE(32)),
    [8, 11, 12, 13],
  );
  const info = notes[1]?.content ?? Buffer.alloc(0);
  assert.equal(info.toString("latin1", 40, 44), "prog");
  assert.match(info.toString("latin1", 56), /^\/w\/prog \/tmp\/ready\0/);
  const names = files
    .subarray(16 + Number(files.readBigUInt64LE(0)) * 24)
    .toString()
    .split("\0")
    .slice(0, -1);
  assert.equal(names.length, Number(files.readBigUInt64LE(0)));
  assert.ok(names.includes("/w/prog") && names.some((name) => name.endsWith("/libc.so.6")));
  assert.match(readFileSync(`${path}.gdb`, "utf8"), /\nthread apply 4 -q thread name recursive\n$/);
  assert.ok(ran.lines.some((line) => line.startsWith("  gdb -iex 'set sysroot ROOT' -x ") && line.endsWith(path)));
});

test("memory is that of the archive; what is not known has no segment, what was never written to reads as zeros", async () => {
  const { loads, bytes } = await coreOf(GLIBC, 8);
  const whole = join(folder, "memory");
  await runVerb(extract, [GLIBC], { pid: "8", to: whole });
  let compared = 0;
  for (const name of readdirSync(whole)) {
    const [start = "", kind = ""] = name.split(".");
    const piece = readFileSync(join(whole, name));
    for (const { address, offset, fileBytes } of loads) {
      const at = Number(address - BigInt(`0x${start}`));
      if (at < 0 || at >= piece.length || fileBytes === 0) continue;
      assert.deepEqual(bytes.subarray(offset, offset + fileBytes), piece.subarray(at, at + fileBytes), `${kind} ${address.toString(16)}`);
      compared += fileBytes;
    }
  }
  assert.equal(
    compared,
    loads.reduce((sum, { fileBytes }) => sum + fileBytes, 0),
  );
  // Stacks of threads, nearly all of which nobody touched.
  assert.ok(loads.filter(({ fileBytes, memoryBytes }) => fileBytes === 0 && memoryBytes > 8_000_000).length >= 3);
});

test("pages of an earlier checkpoint and those left on the node have no segment", async () => {
  const at = 0x7f0000000000n;
  const runs = [
    { vaddr: at, pages: 1, flags: 4 },
    { vaddr: at + 0x1000n, pages: 1, flags: 1 },
    { vaddr: at + 0x2000n, pages: 1, flags: 2 },
  ];
  const registers = () => ({ gpregs: { ip: 1n, mode: 1 } });
  const archive = archiveOf({
    processes: [{ pid: 1, mappings: [{ start: at, pages: 4 }], runs, bytes: Buffer.alloc(4096, 7), registers }],
  });
  const { loads } = await coreOf(archive, 1);
  assert.deepEqual(
    loads.map(({ address, fileBytes, memoryBytes }) => [address - at, fileBytes, memoryBytes]),
    [
      [0n, 4096, 4096],
      [0x3000n, 0, 4096],
    ],
  );
});

test("more segments than an ELF header can count", async () => {
  const count = 65_600;
  const at = 0x100000n;
  const place = (index: number): bigint => at + BigInt(index) * 0x2000n;
  // Each mapping is a segment; of most nothing was ever written.
  const written = [0, 1, 65_534, 65_535, count - 1];
  const runs = written.map((index) => ({ vaddr: place(index), pages: 1, flags: 4 }));
  const bytes = Buffer.concat(written.map((index) => Buffer.alloc(4096, `${index} `)));
  const mappings = Array.from({ length: count }, (_, index) => ({ start: place(index), pages: 1 }));
  const registers = () => ({ gpregs: { ip: 1n, mode: 1 } });
  const core = await coreOf(archiveOf({ processes: [{ pid: 1, mappings, runs, bytes, registers }] }), 1);
  assert.equal(core.loads.length, count);
  for (const [index, { address, fileBytes, memoryBytes }] of core.loads.entries())
    if (address !== place(index) || memoryBytes !== 4096 || fileBytes !== (written.includes(index) ? 4096 : 0))
      assert.fail(`segment ${index}`);
  for (const index of written)
    assert.match(
      core.bytes.toString("latin1", core.loads[index]?.offset ?? 0, (core.loads[index]?.offset ?? 0) + 16),
      new RegExp(`^${index} ${index} `),
    );
});

test("aarch64: gdb shows the stacks of a dump of qemu's, through return addresses that are signed", async (t) => {
  const archive = resolve("test/data/threads/aarch64-glibc-2.36-static.tar.zst");
  const inspected = await runVerb(inspect, [archive], { ps: true, output: "json" });
  const all = (items: readonly ProcessItem[]): ProcessItem[] => items.flatMap((item) => [item, ...all(item.children)]);
  const pid = all((inspected.document as Inspection).processes).find(({ comm }) => comm === "cycle")?.pid ?? 0;
  const { path, machine, notes } = await coreOf(archive, pid);
  assert.equal(machine, 183);
  // Of an address space of 48 bits: bits 48 to 54.
  for (const { content } of notes.filter(({ type }) => type === 0x406))
    assert.deepEqual([content.readBigUInt64LE(0), content.readBigUInt64LE(8)], [0x7fn << 48n, 0x7fn << 48n]);
  assert.equal(notes.filter(({ type }) => type === 0x406).length, 3);
  const root = join(folder, "root");
  await runVerb(extract, [archive, "/"], { to: root });
  const gdb = program("gdb-multiarch");
  if (gdb === undefined) return t.skip("gdb-multiarch is not installed: apt-get install gdb-multiarch");
  const [debuggerPath, ...before] = gdb;
  const shown = execFileSync(
    debuggerPath,
    [...before, "-nx", "-q", "-batch", join(root, "bin/locks-static"), path, "-ex", "thread apply all bt"],
    {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    },
  );
  const stacks = shown.split(/^Thread \d+ /m).slice(1);
  assert.equal(stacks.length, 3);
  for (const stack of stacks.slice(0, 2))
    assert.match(
      stack,
      /__lll_lock_wait \(\)[^]* lock_two \(argument=0x\w+ <(ab|ba)>\) at [^\n]*locks\.c:53\n[^]* start_thread \(\)\n[^]* thread_start \(\)/,
    );
  assert.match(stacks[2] ?? "", / pause \(\)\n[^]* main \(count=2, words=/);
  assert.match(shown, /\[PAC\] in start_thread/);
  if (process.env["FULL"] === undefined) return;
  const lldb = program("lldb") ?? program("lldb-14");
  if (lldb === undefined) return t.skip("lldb is not installed: apt-get install lldb");
  const [lldbPath, ...first] = lldb;
  const lines = execFileSync(
    lldbPath,
    [...first, "--batch", "-o", `target create --core ${path} ${join(root, "bin/locks-static")}`, "-o", "thread backtrace all"],
    { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
  );
  const frames = [
    ...lines.matchAll(/`lock_two\(argument=0x[0-9a-f]+\) at locks\.c:53:3\n +frame #\d+: 0x[0-9a-f]+ locks-static`start_thread/g),
  ];
  assert.equal(frames.length, 2, lines);
});

test("aarch64: its registers, vectors and thread pointer, on any machine", async () => {
  const regs = Array.from({ length: 31 }, (_, index) => BigInt(index + 100));
  const vregs = Array.from({ length: 64 }, (_, index) => BigInt(index + 1000));
  const registers = () => ({
    tls: 0x1234n,
    gpregs: { regs, sp: 0x7000n, pc: 0x4000n, pstate: 0x60000000n },
    fpsimd: { vregs, fpsr: 3, fpcr: 4 },
  });
  const at = 0x7000n;
  const archive = archiveOf({
    machine: AARCH64,
    processes: [
      { pid: 1, mappings: [{ start: at, pages: 1 }], runs: [{ vaddr: at, pages: 1, flags: 4 }], bytes: Buffer.alloc(4096), registers },
    ],
  });
  const { machine, notes, ran } = await coreOf(archive, 1);
  assert.equal(machine, 183);
  const [status, , , , floating, tls] = notes;
  assert.deepEqual([status?.content.length, floating?.content.length, tls?.type], [392, 528, 0x401]);
  assert.equal(status?.content.readBigUInt64LE(112 + 30 * 8), 130n);
  assert.equal(status.content.readBigUInt64LE(112 + 32 * 8), 0x4000n);
  assert.equal(floating?.content.readBigUInt64LE(63 * 8), 1063n);
  assert.equal(floating.content.readUInt32LE(516), 4);
  assert.equal(tls?.content.readBigUInt64LE(0), 0x1234n);
  assert.ok(ran.lines.some((line) => line.startsWith("  gdb-multiarch ")));
});

test("a core of each process that lives goes into a new directory; one that is a zombie or a 32-bit program has none", async () => {
  const directory = join(folder, "all");
  const { exitCode, document } = await runVerb(extract, [resolve("test/data/archives/containerd-zoo.tar.gz")], {
    core: true,
    to: directory,
  });
  assert.equal(exitCode, 0);
  assert.equal((document as { items: unknown[] }).items.length, 4);
  assert.equal(readdirSync(directory).filter((name) => /^core\.\d+$/.test(name)).length, 4);
  await assert.rejects(runVerb(extract, [resolve("test/data/archives/containerd-zoo.tar.gz")], { core: true, pid: "11" }), {
    message: /zombie/,
  });
  await assert.rejects(runVerb(extract, [GLIBC], { core: true, pid: "999" }), { reason: "NoSuchProcess" });
  const registers = () => ({ gpregs: { ip: 1n, mode: 2 } });
  const compat = archiveOf({ processes: [{ pid: 1, mappings: [{ start: 0x1000n, pages: 1 }], registers }] });
  await assert.rejects(runVerb(extract, [compat], { core: true, pid: "1", to: join(folder, "compat") }), { reason: "CoreNotPossible" });
});
