// Runs on Linux and macOS only: names of any bytes are written.
// Archives that were read wrong once, each with what is right: every row stands for its kind.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { verb as diff } from "../../src/commands/diff.ts";
import { verb as extract } from "../../src/commands/extract.ts";
import { verb as image } from "../../src/commands/image.ts";
import { verb as inspect } from "../../src/commands/inspect.ts";
import { verb as search } from "../../src/commands/search.ts";
import { verb as show } from "../../src/commands/show.ts";
import { errorText } from "../../src/cli/errors.ts";
import { UserError } from "../../src/model/error.ts";
import type { FileItem, Inspection, ProcessItem, SocketItem } from "../../src/model/inspection.ts";
import { plain } from "../../src/model/phrase.ts";
import { runVerb } from "./running.ts";

const faulty = (name: string): string => join("test/data/faults", `${name}.tar.zst`);
const hostile = (name: string): string => faulty(`hostile/${name}`);

const scratch = mkdtempSync(join(tmpdir(), "faults-"));
after(() => rmSync(scratch, { recursive: true }));
const room = (): string => mkdtempSync(join(scratch, "to-"));

async function inspected(file: string, flags: Record<string, string | boolean> = { all: true }): Promise<Inspection & { exit: number }> {
  const { document, exitCode } = await runVerb(inspect, [file], { output: "json", ...flags });
  return { ...(document as Inspection), exit: exitCode };
}

async function found(file: string, pattern: string, flags: Record<string, string | boolean> = {}) {
  const { document, exitCode } = await runVerb(search, [file, pattern], { output: "json", ...flags });
  const { items, complete } = document as { items: Record<string, unknown>[]; complete: boolean };
  return { items, complete, exitCode };
}

/** What a file of the container, memory or a member has. */
async function extracted(file: string, words: readonly string[], flags: Record<string, string> = {}): Promise<Buffer> {
  const to = join(room(), "file");
  const { exitCode } = await runVerb(extract, [file, ...words], { to, ...flags });
  assert.equal(exitCode, 0);
  return readFileSync(to);
}

function process(pid: number, { processes }: Inspection): ProcessItem {
  const all = (items: readonly ProcessItem[]): ProcessItem[] => items.flatMap((item) => [item, ...all(item.children)]);
  const one = all(processes).find((item) => item.pid === pid);
  assert.ok(one !== undefined, `there is no process ${pid}`);
  return one;
}

function descriptor<T extends FileItem | SocketItem>(items: readonly T[] | undefined, fd: number): T {
  const one = items?.find((item) => item.fd === fd);
  assert.ok(one !== undefined, `there is no descriptor ${fd}`);
  return one;
}

test("memfd-exec: executables in a memfd and in a deleted file are found, extracted, and shown with who runs them", async () => {
  const file = faulty("memfd-exec");
  const { items, complete } = await found(file, "/proc/self/exe");
  assert.deepEqual([items.map(({ path }) => path), complete], [["/tmp/.gone (deleted)", "memfd:payload"], true]);
  const payload = await extracted(file, ["memfd:payload"]);
  assert.deepEqual([payload.length, payload.toString("latin1", 0, 4)], [13_024, "\x7fELF"]);
  assert.deepEqual(await extracted(file, [], { pid: "6", range: "0x402000-0x403000" }), payload.subarray(0x2000, 0x3000));
  assert.deepEqual(await extracted(file, ["/tmp/.gone"]), payload);
  const inspection = await inspected(file);
  assert.deepEqual(
    inspection.memfds?.map(({ name, bytes, runBy }) => [name, bytes, runBy]),
    [["memfd:payload", 13_024, [6]]],
  );
  assert.deepEqual(
    inspection.deletedFiles?.map(({ path, bytes, runBy }) => [path, bytes, runBy]),
    [["/tmp/.gone", 13_024, [7]]],
  );
});

test("nonutf8-names: two names stay two, in text and JSON, and can be given back", async () => {
  const file = faulty("nonutf8-names");
  const to = room();
  const { exitCode } = await runVerb(extract, [file, "/"], { to: `${to}/` });
  assert.equal(exitCode, 0);
  const names = [String.raw`evil\xfe.sh`, String.raw`evil\xff.sh`, "fine.sh"];
  assert.deepEqual(readdirSync(join(to, "rootfs/tmp")).sort(), names);
  assert.equal((await extracted(file, [String.raw`/tmp/evil\xff.sh`])).toString(), "EVIL");
  const { files } = process(1, await inspected(file));
  assert.deepEqual([descriptor(files, 3).name, descriptor(files, 4).name], [String.raw`/tmp/evil\xff.sh`, String.raw`/tmp/evil\xfe.sh`]);
});

test("append-size: the size of a file that was open for appending alone is unknown", async () => {
  const log = descriptor(process(1, await inspected(faulty("append-size"))).files, 3);
  assert.deepEqual([log.position, log.size, log.mode], [10, undefined, "w,append"]);
  const { lines } = await runVerb(inspect, [faulty("append-size")], { files: true });
  assert.ok(lines.some((line) => /access\.log.*at 10, size unknown/.test(line)));
});

test("udp-peer, backlog-peer: the other end is in the container, or waits to be accepted", async () => {
  const { sockets } = process(1, await inspected(faulty("udp-peer")));
  assert.deepEqual(
    [4, 6].map((fd) => descriptor(sockets, fd).peers),
    [[{ pid: 1, fd: 3 }], [{ pid: 1, fd: 5 }]],
  );
  const waiting = descriptor(process(1, await inspected(faulty("backlog-peer"))).sockets, 4);
  assert.deepEqual(waiting.peers, [{ pid: 1, fd: 3, backlog: true }]);
});

test("userns: root in the container is user 100000 on the node", async () => {
  const inspection = await inspected(faulty("userns"));
  const { credentials } = process(1, inspection).threads[0] ?? {};
  assert.deepEqual([credentials?.uid.effective, credentials?.uid.outside, credentials?.gid.outside], [0, 100_000, 100_000]);
  const users = inspection.namespaces?.find(({ type }) => type === "user");
  assert.deepEqual(users?.uidMap, [{ inside: 0, outside: 100_000, count: 65_536 }]);
});

test("sysv-ipc: segments, semaphores and queues, and what is in them", async () => {
  const { ipc } = await inspected(faulty("sysv-ipc"));
  assert.deepEqual(
    ipc?.segments.map(({ key, mappedBy }) => [key, mappedBy]),
    [["0x1234", []]],
  );
  assert.deepEqual(
    ipc?.semaphores.map(({ key, values }) => [key, values.length]),
    [["0x77", 3]],
  );
  assert.deepEqual(
    ipc?.queues.map(({ key, messages }) => [key, messages.length]),
    [["0x88", 1]],
  );
  const { items } = await found(faulty("sysv-ipc"), "SUGUGEN2", { in: "queues" as never });
  assert.match(JSON.stringify(items), /message queue 0x88 type 1/);
});

test("devshm-mapped: what lies in /dev/shm is searched, with who maps it", async () => {
  const { items, complete } = await found(faulty("devshm-mapped"), "DEVSHM");
  assert.deepEqual(
    items.map(({ path, offset, pids, users }) => [path, offset, pids ?? users]),
    [["/dev/shm/seg", 0, [1]]],
  );
  assert.equal(complete, true);
});

test("locks: of both kinds, with their ranges", async () => {
  const { locks } = await inspected(faulty("locks"));
  assert.deepEqual(
    locks?.map(({ kind, mode, pid, fd, start, length, path }) => [kind, mode, pid, fd, start, length, path]),
    [
      ["flock", "write", 1, 3, 0, 0, "/tmp/lock"],
      ["posix", "write", 1, 3, 5, 10, "/tmp/lock"],
    ],
  );
});

test("env-duplicates: every variable in its order", async () => {
  assert.deepEqual(process(1, await inspected(faulty("env-duplicates"))).env, [
    { name: "D", value: "1" },
    { name: "PATH", value: "/usr/bin" },
    { name: "LD_PRELOAD", value: "/tmp/evil.so" },
    { name: "LD_PRELOAD", value: "/lib/ok.so" },
    { name: "NOEQ" },
  ]);
});

test("link-remap: a file that had lost its name is there under CRIU's", async () => {
  const to = room();
  await runVerb(extract, [faulty("link-remap"), "/tmp/hl1"], { to: `${to}/` });
  const written = readdirSync(join(to, "hl1")).map((name) => readFileSync(join(to, "hl1", name), "utf8"));
  assert.deepEqual(written.length, 2);
  assert.ok(written.every((text) => text.length === 17 && text === written[0]));
  const { renamedFiles } = await inspected(faulty("link-remap"));
  assert.deepEqual(
    renamedFiles?.map(({ path, renamedTo }) => [path, renamedTo]),
    [
      ["/tmp/hl1", "/tmp/link_remap.40"],
      ["/tmp/hl1", "/tmp/link_remap.42"],
    ],
  );
});

test("scm: a descriptor on its way is named", async () => {
  const inspection = await inspected(faulty("scm"));
  assert.deepEqual(descriptor(process(1, inspection).sockets, 31).inFlight, [{ type: "file", name: "/etc/passwd" }]);
  const marked = process(1, inspection).sockets?.find(({ fd }) => fd === 16);
  assert.equal(marked?.["mark"], "0x1234");
});

test("nested-mntns: mounts by namespace", async () => {
  const inspection = await inspected(faulty("nested-mntns"));
  const of = (pid: number): string[] =>
    (inspection.mounts ?? []).filter(({ namespace }) => namespace === process(pid, inspection).namespaces?.["mnt"]).map(({ path }) => path);
  assert.notEqual(process(1, inspection).namespaces?.["mnt"], process(7, inspection).namespaces?.["mnt"]);
  assert.deepEqual([of(1).includes("/tmp/sec"), of(7).includes("/tmp/sec"), of(1).includes("/proc")], [false, true, true]);
});

test("no-mm: memory of which the mappings are unknown is memory", async () => {
  const file = faulty("no-mm");
  const { items, complete, exitCode } = await found(file, "C2-SERVER");
  assert.ok(items.some(({ pid, address, region }) => pid === 6 && address === "0x403000" && region === "unknown"));
  assert.deepEqual([complete, exitCode], [false, 2]);
  const to = room();
  assert.equal((await runVerb(extract, [file], { pid: "6", to: `${to}/` })).exitCode, 3);
  assert.ok(readFileSync(join(to, "pid-6/403000.unknown.bin")).includes("C2-SERVER"));
});

test("no-pstree: processes are those that the other images name", async () => {
  const inspection = await inspected(faulty("no-pstree"), { stats: true });
  assert.deepEqual([inspection.processes.map(({ pid }) => pid), inspection.exit], [[1, 6, 7], 3]);
  assert.equal(inspection.stats?.pagesWritten, 32);
  const { items, complete } = await found(faulty("no-pstree"), "C2-SERVER");
  assert.deepEqual([items.length > 0, complete], [true, false]);
});

test("network-gateway: the network by its name, with its gateway", async () => {
  const expected = {
    name: "podman",
    interface: "eth0",
    addresses: ["10.88.0.9/16"],
    gateways: ["10.88.0.1"],
    mac: "f2:99:8d:fb:5a:57",
  };
  assert.deepEqual((await inspected(faulty("network-gateway"))).networks, [expected]);
  const { document } = await runVerb(show, [faulty("network-gateway")], { output: "json" });
  assert.match(JSON.stringify(document), /10\.88\.0\.1"/);
});

test("binary-argv: bytes that are no text keep their values", async () => {
  const inspection = await inspected(faulty("binary-argv"));
  const texts = JSON.stringify(inspection);
  assert.ok(!texts.includes("\ufffd"), "there is a replacement character");
  const all = (items: readonly ProcessItem[]): ProcessItem[] => items.flatMap((item) => [item, ...all(item.children)]);
  const odd = all(inspection.processes).find(({ comm }) => comm.startsWith("ex\\x0a"));
  assert.deepEqual(
    [odd?.comm, odd?.executable, odd?.cwd],
    [String.raw`ex\x0ae\xfd`, String.raw`/tmp/d\x0a\x1b[31m\xff/ex\x0ae\xfd`, String.raw`/tmp/d\x0a\x1b[31m\xff`],
  );
});

test("w1, w2, w5: every verb names what readers of tar take differently", async () => {
  for (const name of ["w1-sparse-name", "w2-x-then-x", "w5-global-size"]) {
    const file = hostile(name);
    const said = /not all readers|more than one member/;
    const exits = [
      [await runVerb(show, [file], {}), 3],
      [await runVerb(inspect, [file], {}), 3],
      [await runVerb(search, [file, "no such text"], {}), 2],
      [await runVerb(diff, [file, faulty("locks")], {}), 2],
      [await runVerb(extract, [file, "config.dump"], { to: join(room(), "c") }), 3],
      [await runVerb(image, [file, "example.com/a:1"], { to: `oci-archive:${join(room(), "i.tar")}` }), 0],
    ] as const;
    for (const [{ exitCode, errors, events }, expected] of exits) {
      const texts = [
        ...errors.map(({ message }) => message),
        ...events.flatMap((event) => (event.kind === "warning" ? plain(event.text) : [])),
      ];
      assert.match(texts.join("\n"), said, name);
      assert.equal(exitCode, expected, name);
    }
  }
});

test("h1: names that cannot be shown, and one that looks like a whiteout, are files", async () => {
  const file = hostile("h1-crio-hidden");
  const to = room();
  await runVerb(extract, [file, "/"], { to: `${to}/` });
  const written = readdirSync(join(to, "rootfs"), { recursive: true, encoding: "utf8" });
  for (const name of [String.raw`opt/mal\x01ware`, String.raw`opt/\xff\xfemal`, ".wh.malware"]) assert.ok(written.includes(name), name);
  const { document } = await runVerb(diff, ["test/data/archives/crio-1.34.11-criu4.2.1.tar", file], { output: "json" });
  assert.doesNotMatch(JSON.stringify((document as { rootfs: unknown }).rootfs), /"\/malware"/);
});

test("a7c: pages that lie over each other are damage; a range is as long as it was asked for, or an error", async () => {
  const to = join(room(), "range");
  await assert.rejects(runVerb(extract, [hostile("a7c-overlap-present")], { pid: "1", range: "0x400000-0x404000", to }), {
    message: /lie over others/,
  });
  assert.deepEqual(readdirSync(join(to, "..")), []);
});

test("z9, s2: what is pasted is quoted, and a text of an archive makes no line of its own", async () => {
  const file = hostile("z9-nested-window-inject");
  const { errors } = await runVerb(search, [file, "x"], {});
  const texts = errors.map((error) => errorText(error, (label) => label));
  const fix = texts.find((text) => text.includes("PWNED"));
  assert.ok(fix !== undefined, texts.join("\n"));
  for (const line of fix.split("\n").filter((one) => one.trim().startsWith("fix:"))) {
    for (const at of line.matchAll(/volumes\/\$\(/g)) assert.equal(line[at.index - 1], "'", line);
  }
  try {
    const { lines, events } = await runVerb(extract, [hostile("s2-linknl"), "/"], { to: `${room()}/` });
    for (const text of [...lines, ...events.flatMap((event) => ("text" in event ? plain(event.text) : []))]) {
      assert.doesNotMatch(text, /^\s*(fix|error|why):/m);
    }
  } catch (error) {
    assert.ok(error instanceof UserError);
  }
});

const RUNTIMES = "test/data/runtimes";

for (const name of readdirSync(RUNTIMES)) {
  test(`${name}: a shell that counts, a file made, a file deleted`, async () => {
    const file = join(RUNTIMES, name);
    const inspection = await inspected(file);
    assert.deepEqual([inspection.exit, inspection.problems], [0, []]);
    assert.equal(inspection.engine, name.startsWith("crio") ? "cri-o" : "containerd");
    const [shell] = inspection.processes;
    assert.deepEqual([shell?.pid, shell?.args?.slice(0, 2), shell?.children.map(({ comm }) => comm)], [1, ["sh", "-c"], ["sleep"]]);
    assert.equal((await extracted(file, ["/data/made"])).toString(), "made\n");
    const { document } = await runVerb(diff, [file, file], { output: "json" });
    assert.equal((document as { same: boolean }).same, true);
    const { items, complete } = await found(file, "made >/data/made");
    assert.deepEqual([items.some(({ pid }) => pid === 1), complete], [true, true]);
  });
}
