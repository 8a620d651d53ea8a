// search --rules and report --rules, beside yara itself where it is installed.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { verb as extract } from "../../src/commands/extract.ts";
import { verb as report } from "../../src/commands/report.ts";
import { verb as search } from "../../src/commands/search.ts";
import { UserError } from "../../src/model/error.ts";
import type { Report } from "../../src/model/findings.ts";
import { ruleFiles } from "../../src/yara/files.ts";
import { Rules } from "../../src/yara/rules.ts";
import { tar } from "../archive/tars.ts";
import { runVerb } from "../commands/running.ts";
import { checkpoint } from "../criu/synthetic.ts";

const SUSPICIOUS = "test/data/archives/containerd-suspicious.tar.zst";
const RULES = "test/data/rules/suspicious.yar";
const NO_YARA = spawnSync("yara", ["--version"]).status === 0 ? false : "yara is not installed (apt-get install yara)";

const compare = (a = "", b = ""): number => (a < b ? -1 : Number(a > b));

interface Item {
  readonly rule: string;
  readonly tags: readonly string[];
  readonly meta: Record<string, unknown>;
  readonly in: string;
  readonly pid?: number;
  readonly path?: string;
  readonly region?: string;
  readonly strings: readonly {
    readonly identifier: string;
    readonly address?: string;
    readonly offset?: number;
    readonly length: number;
    readonly match: string;
  }[];
}

async function matches(rules: readonly string[], flags: Record<string, string | readonly string[]> = {}) {
  const { document, exitCode, lines } = await runVerb(search, [SUSPICIOUS], { rules, output: "json", ...flags });
  const { items, complete } = JSON.parse(JSON.stringify(document)) as { items: Item[]; complete: boolean };
  return { items, complete, exitCode, lines };
}

function written(text: string): string {
  const path = join(mkdtempSync(join(tmpdir(), "rules-")), "some.yar");
  writeFileSync(path, text);
  return path;
}

test("a rule's name, tags, metadata, place and strings", async () => {
  const { items, complete, exitCode } = await matches([RULES]);
  assert.deepEqual([complete, exitCode], [true, 0]);
  const stratum = items.find(({ rule, in: part }) => rule === "Stratum" && part === "memory");
  assert.deepEqual(
    [stratum?.tags, stratum?.meta, stratum?.region],
    [["miner"], { description: "the address of a mining pool", score: 80 }, "stack"],
  );
  const [string] = stratum?.strings ?? [];
  assert.deepEqual([string?.identifier, string?.match, string?.length], ["$a", "stratum+tcp://", 14]);
  // The address is that of the bytes in the process.
  const range = `${string?.address}-0x${(BigInt(string?.address ?? 0) + 14n).toString(16)}`;
  const to = join(mkdtempSync(join(tmpdir(), "range-")), "range.bin");
  await runVerb(extract, [SUSPICIOUS], { pid: String(stratum?.pid), range, to });
  assert.equal(readFileSync(to, "utf8"), "stratum+tcp://");
  const cron = items.find(({ rule }) => rule === "CronAsRoot");
  assert.deepEqual(
    [cron?.path, cron?.strings.map(({ identifier, offset }) => [identifier, offset])],
    [
      "/etc/cron.d/update",
      [
        ["$job", 0],
        ["$agent", 15],
      ],
    ],
  );
});

test("the same rules match in the same files as with yara", { skip: NO_YARA }, async () => {
  const to = mkdtempSync(join(tmpdir(), "yara-"));
  await runVerb(extract, [SUSPICIOUS, "/"], { to: join(to, "files") });
  const { stdout, status, stderr } = spawnSync("yara", ["-r", RULES, join(to, "files")], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  const theirs = stdout
    .trimEnd()
    .split("\n")
    .map((line) => line.replace(join(to, "files"), ""));
  const { items } = await matches([RULES], { in: ["files"] });
  const ours = items
    .filter(({ path = "" }) => path.startsWith("/") && !path.endsWith("(deleted)"))
    .map(({ rule, path }) => `${rule} ${path}`);
  assert.deepEqual(ours.toSorted(compare), theirs.toSorted(compare));
  assert.ok(ours.length >= 4);
});

test("the same rules match in each region as with yara on its bytes", { skip: NO_YARA }, async () => {
  const to = mkdtempSync(join(tmpdir(), "yara-"));
  const pid = 14;
  await runVerb(extract, [SUSPICIOUS], { pid: String(pid), to: join(to, "memory") });
  const { stdout } = spawnSync("yara", ["-r", RULES, join(to, "memory")], { encoding: "utf8" });
  const theirs = new Set(
    stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split(" ", 1)[0]),
  );
  const { items } = await matches([RULES], { in: ["memory"], pid: String(pid) });
  const ours = new Set(items.map(({ rule }) => rule));
  // Of what a file has, a region has its changed pages only: those that yara finds by the size of a piece are not compared.
  for (const names of [ours, theirs]) for (const name of ["SmallProgram", "Busy"]) names.delete(name);
  assert.deepEqual([...ours].toSorted(compare), [...theirs].toSorted(compare));
});

test("the same rules match in the memory of each process as with yara on its core", { skip: NO_YARA }, async () => {
  const to = mkdtempSync(join(tmpdir(), "yara-"));
  await runVerb(extract, [SUSPICIOUS], { core: true, to: join(to, "cores") });
  const { items } = await matches([RULES], { in: ["memory"] });
  const { stdout, stderr } = spawnSync("yara", ["-r", RULES, join(to, "cores")], { encoding: "utf8" });
  const theirs = stdout
    .trimEnd()
    .split("\n")
    .map((line) => /^(\w+) .*core\.(\d+)$/.exec(line))
    .flatMap((found) => (found === null ? [] : [`${found[1]} ${found[2]}`]));
  const ours = items.map(({ rule, pid }) => `${rule} ${pid}`);
  // A core is one file: what a rule says of the size of a whole region is another matter there.
  const compared = (all: readonly string[]): string[] =>
    [...new Set(all)].filter((one) => !/^(SmallProgram|Busy) /.test(one)).toSorted(compare);
  assert.deepEqual(compared(ours), compared(theirs), stderr);
  assert.ok(compared(ours).length > 0);
});

test("modules work on whole files: elf, hash, math", async () => {
  const { items } = await matches([RULES], { in: ["files"] });
  assert.ok(items.some(({ rule, path }) => rule === "SmallProgram" && path === "memfd:payload"));
  assert.ok(items.some(({ rule, path }) => rule === "SmallProgram" && path?.startsWith("/tmp/.cache/xmrig")));
  assert.ok(!items.some(({ rule }) => rule === "Known"));
});

test("of one process; nothing found is 1", async () => {
  assert.deepEqual([...new Set((await matches([RULES], { pid: "14" })).items.map(({ rule }) => rule))].toSorted(compare), [
    "SmallProgram",
    "Stratum",
  ]);
  const none = await matches([written('rule nowhere { strings: $a = "never in it" condition: $a }')]);
  assert.deepEqual([none.items, none.exitCode], [[], 1]);
});

test("errors name the file, the line and what is wrong; files may have rules of the same names", async () => {
  const path = written("rule fine { condition: false }\nrule wrong {\n  condition:\n    $b\n}\n");
  await assert.rejects(
    async () => await matches([path]),
    (error) =>
      error instanceof UserError &&
      error.reason === "InvalidRules" &&
      error.message === `${path}:4:5: unknown pattern \`$b\`` &&
      error.exitCode === 2,
  );
  for (const rules of ["/nowhere.yar", mkdtempSync(join(tmpdir(), "empty-")), written("// rule none { condition: true }\n")])
    await assert.rejects(
      async () => await matches([rules]),
      (error) => error instanceof UserError && error.exitCode === 2,
    );
  const one = written("rule same { condition: false }");
  const other = written('rule same { strings: $a = "stratum" condition: $a }');
  assert.ok((await matches([one, other])).items.length > 0);
  for (const [words, flags] of [
    [[SUSPICIOUS, "pattern"], { rules: [RULES] }],
    [[SUSPICIOUS], { rules: [RULES], regex: true }],
    [[SUSPICIOUS], { rules: [RULES], in: ["queues"] }],
  ] as const)
    await assert.rejects(async () => await runVerb(search, [...words], flags as Record<string, string | boolean | readonly string[]>), {
      reason: "Usage",
    });
});

test("report --rules has them as findings, the first of all", async () => {
  const { document } = await runVerb(report, [SUSPICIOUS], { rules: [RULES], output: "json" });
  const { findings } = document as Report;
  assert.equal(findings[0]?.id, "RuleMatch");
  assert.ok(findings.some(({ id, title }) => id === "RuleMatch" && /^rule Stratum matches in process 14 \(xmrig\), stack$/.test(title)));
});

test("report --rules scans volumes that were copied with the archive", async () => {
  const directory = mkdtempSync(join(tmpdir(), "rules-"));
  const archive = join(directory, "zoo.tar");
  copyFileSync("test/data/archives/containerd-2.1.9-criu4.2.1.tar", archive);
  const volumes = tar({ name: "data/sub/drop.sh", data: "connect stratum+tcp://pool.example:3333" });
  writeFileSync(join(directory, "zoo.volumes.tar"), volumes);
  const sha256 = createHash("sha256").update(volumes).digest("hex");
  const item = {
    container: "c",
    copy: { path: archive },
    volumes: {
      path: join(directory, "zoo.volumes.tar"),
      bytes: volumes.length,
      sha256,
      mounts: [{ container: "c", volume: "data", path: "/data" }],
    },
  };
  writeFileSync(`${archive}.json`, JSON.stringify({ items: [item] }));
  const { document } = await runVerb(report, [archive], { rules: [RULES], output: "json" });
  const { findings } = document as Report;
  assert.ok(findings.some(({ id, title }) => id === "RuleMatch" && title.includes("rule Stratum matches in /data/sub/drop.sh")));
});

const FULL = process.env["FULL"] === undefined ? "FULL is not set: it takes 2 GB of memory" : false;

test("a region of 300 MiB: a match where two pieces meet is found once; rules on all of it are not decided", { skip: FULL }, async () => {
  const bytes = Buffer.alloc(300 << 20, "x");
  const border = 256 << 20;
  bytes.write("at-the-border", border - 6);
  bytes.write("near-the-begin", 100);
  bytes.write("near-the-end", bytes.length - 100);
  const start = 0x7f0000000000n;
  const pages = bytes.length / 4096;
  const files = checkpoint({ processes: [{ pid: 1, mappings: [{ start, pages }], runs: [{ vaddr: start, pages, flags: 4 }], bytes }] });
  const archive = join(mkdtempSync(join(tmpdir(), "large-")), "large.tar");
  writeFileSync(archive, tar({ name: "config.dump", data: "{}" }, ...Object.entries(files).map(([name, data]) => ({ name, data }))));
  const rules = written(`
    rule border { strings: $a = "at-the-border" condition: $a }
    rule either { strings: $a = "near-the-end" $b = "never-there" condition: any of them }
    rule both { strings: $a = "near-the-begin" $b = "near-the-end" condition: all of them }
    rule size { condition: filesize > 280MB }
  `);
  const { document, exitCode } = await runVerb(search, [archive], { rules: [rules], output: "json", in: ["memory"] });
  const { items, complete, notSearched } = JSON.parse(JSON.stringify(document)) as {
    items: Item[];
    complete: boolean;
    notSearched: unknown;
  };
  assert.deepEqual(
    items.map(({ rule, strings }) => [rule, strings.map(({ address }) => BigInt(address ?? 0) - start)]),
    [
      ["border", [BigInt(border - 6)]],
      ["either", [BigInt(bytes.length - 100)]],
    ],
  );
  assert.deepEqual([complete, exitCode], [false, 2]);
  assert.match(JSON.stringify(notSearched), /not decided in process 1 test anonymous: rules both, size/);
  rmSync(archive);
});

test("a file of pages that is given to many processes is scanned once, and that is said", async () => {
  const start = 0x7f0000000000n;
  const runs = [{ vaddr: start, pages: 1, flags: 4 }];
  const bytes = Buffer.alloc(4096, "at-the-border ");
  const processes = Array.from({ length: 50 }, (_, at) => ({ pid: at + 1, mappings: [{ start, pages: 1 }], runs, bytes }));
  const files = checkpoint({ processes });
  for (let pid = 3; pid <= 50; pid += 1) files[`checkpoint/pagemap-${pid}.img`] = files["checkpoint/pagemap-2.img"] ?? Buffer.alloc(0);
  const archive = join(mkdtempSync(join(tmpdir(), "shared-")), "shared.tar");
  writeFileSync(archive, tar({ name: "config.dump", data: "{}" }, ...Object.entries(files).map(([name, data]) => ({ name, data }))));
  const rules = written(`rule border { strings: $a = "at-the-border" condition: $a }`);
  const { document, exitCode, errors } = await runVerb(search, [archive], { rules: [rules], output: "json", in: ["memory"] });
  const { items, complete } = JSON.parse(JSON.stringify(document)) as { items: Item[]; complete: boolean };
  assert.deepEqual([items.map(({ pid }) => pid), complete, exitCode], [[1, 2], false, 2]);
  assert.equal(
    errors[0]?.message,
    "checkpoint/pagemap-3.img: its pages, checkpoint/pages-2.img, are those of checkpoint/pagemap-2.img: they are scanned once",
  );
});

/** The rules of which any string is enough. */
function decided(...texts: readonly string[]): string[] {
  using rules = new Rules(texts.map((text, index) => ({ path: `${index}.yar`, text })));
  return [...rules.anyString].sort();
}

test("which rules a piece decides: by all rules of that name, none beside a global one, and a regular expression is no comment", () => {
  const any = 'rule same { strings: $a = "q1q1" condition: any of them }';
  const all = 'rule same { strings: $a = "q1q1" $b = "q2q2" condition: all of them }';
  assert.deepEqual([decided(any), decided(any, all)], [["same"], []]);
  assert.deepEqual(decided(`global rule g { condition: filesize < 10 } ${any}`), []);
  const first = 'rule first { strings: $u = /https?:\\/*foo/ $v = "zzzz" condition: all of them }';
  assert.deepEqual(decided(`${first}\nrule/**/second { strings: $x = /foo.*/ condition: any of them }`), ["second"]);
});

test(
  "in a directory of rules a pipe is not waited for; Latin-1 may be in comments alone",
  { skip: process.platform === "win32" ? "it has no mkfifo" : false },
  async () => {
    const dir = mkdtempSync(join(tmpdir(), "rules-"));
    const file = join(dir, "a.yar");
    mkdirSync(join(dir, "d.yar"));
    writeFileSync(file, Buffer.from("// Ren\xe9\nrule a { condition: true }", "latin1"));
    assert.equal((await ruleFiles([dir])).length, 1);
    writeFileSync(file, Buffer.from('rule a { strings: $a = "caf\xe9" condition: $a }', "latin1"));
    await assert.rejects(async () => await ruleFiles([dir]), { reason: "CannotReadRules" });
    rmSync(file);
    assert.equal(spawnSync("mkfifo", [file]).status, 0);
    await assert.rejects(async () => await ruleFiles([dir]), { reason: "CannotReadRules" });
    rmSync(dir, { recursive: true });
  },
);
