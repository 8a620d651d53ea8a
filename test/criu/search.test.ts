// Runs on Linux and macOS only: it reads /dev/zero.
import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { test } from "node:test";
import { fileSource } from "../../src/archive/file.ts";
import { processMemory } from "../../src/criu/memory.ts";
import { bytesMatcher, type Matcher } from "../../src/criu/search/matcher.ts";
import { LONGEST_MATCH, regexMatcher } from "../../src/criu/search/regex.ts";
import { Searcher } from "../../src/criu/search/search.ts";
import { wordsMatcher } from "../../src/criu/search/words.ts";
import { pageStretches, sourceStretches } from "../../src/criu/search/windows.ts";
import { checkpoint, memoryArchive, type Run } from "./synthetic.ts";

const PAGE = 4096;

/** Addresses and bytes of what is found in pages that hold `bytes`. */
async function search(matcher: Matcher, bytes: Buffer, runs: readonly Run[], around = 0) {
  const mappings = [{ start: 0x1000n, pages: 100_000 }];
  const memory = await processMemory(memoryArchive(checkpoint({ processes: [{ pid: 1, mappings, runs, bytes }] })), 1, PAGE, () => {});
  assert.ok(memory?.own);
  const found: string[] = [];
  const searcher = new Searcher(matcher, { around, signal: new AbortController().signal, progress: () => {} });
  for await (const match of searcher.search(pageStretches(memory.own.runs(), PAGE, () => undefined))) {
    const context = around === 0 ? "" : ` in "${String(match.before)}|${String(match.after)}"`;
    found.push(`0x${match.address.toString(16)} ${match.bytes.length > 40 ? match.bytes.length : String(match.bytes)}${context}`);
  }
  return found;
}

const literal = (text: string): Matcher => bytesMatcher(Buffer.from(text));

/** The same matchers with windows of a few pages, so that small memory has many of them. */
const small = (matcher: Matcher): Matcher => ({ ...matcher, chunk: 3 * PAGE });

function pagesWith(pages: number, ...texts: readonly (readonly [number, string])[]): Buffer {
  const bytes = Buffer.alloc(pages * PAGE, ".");
  for (const [at, text] of texts) bytes.write(text, at);
  return bytes;
}

const one = (pages: number): Run[] => [{ vaddr: 0x10000n, pages, flags: 4 }];

for (const [kind, needle] of [
  ["literal", literal("needle")],
  ["regular expression", regexMatcher("need[l]e")],
] as const) {
  test(`${kind}: across pages, entries and windows, each once`, async () => {
    const bytes = pagesWith(20, [4093, "needle"], [3 * PAGE - 2, "needle"], [9 * PAGE - 6, "needle"], [20 * PAGE - 6, "needle"]);
    const expected = ["0x10ffd needle", "0x12ffe needle", "0x18ffa needle", "0x23ffa needle"];
    const entries = Array.from({ length: 20 }, (_, index) => ({ vaddr: 0x10000n + BigInt(index * PAGE), pages: 1, flags: 4 }));
    for (const matcher of [needle, small(needle)]) {
      assert.deepEqual(await search(matcher, bytes, one(20)), expected);
      assert.deepEqual(await search(matcher, bytes, entries), expected);
    }
  });

  test(`${kind}: not across a gap between addresses`, async () => {
    const bytes = pagesWith(2, [4093, "needle"]);
    const apart = [
      { vaddr: 0x10000n, pages: 1, flags: 4 },
      { vaddr: 0x20000n, pages: 1, flags: 4 },
    ];
    assert.deepEqual(await search(needle, bytes, apart), []);
    const between = [
      { vaddr: 0x10000n, pages: 1, flags: 4 },
      { vaddr: 0x11000n, pages: 1, flags: 1 },
      { vaddr: 0x12000n, pages: 1, flags: 4 },
    ];
    assert.deepEqual(await search(needle, bytes, between), []);
  });

  test(`${kind}: addresses count present pages only`, async () => {
    const bytes = pagesWith(2, [5000, "needle"]);
    const runs = [
      { vaddr: 0x10000n, pages: 1, flags: 4 },
      { vaddr: 0x20000n, pages: 7, flags: 2 },
      { vaddr: 0x40000n, pages: 1, flags: 4 },
    ];
    assert.deepEqual(await search(needle, bytes, runs), ["0x40388 needle"]);
  });

  test(`${kind}: context, cut where the archive's memory ends`, async () => {
    const bytes = pagesWith(9, [0, "needle"], [3 * PAGE - 3, "<needle>"], [9 * PAGE - 7, ">needle"]);
    const expected = ['0x10000 needle in "|...."', '0x12ffe needle in "...<|>..."', '0x18ffa needle in "...>|"'];
    for (const matcher of [needle, small(needle)]) assert.deepEqual(await search(matcher, bytes, one(9), 4), expected);
  });
}

test("every match of a needle that overlaps itself, as grep -o counts", async () => {
  const bytes = pagesWith(9, [0, "aaaaa"], [3 * PAGE - 3, "aaaa"]);
  for (const matcher of [literal("aa"), small(literal("aa"))]) {
    assert.deepEqual(await search(matcher, bytes, one(9)), ["0x10000 aa", "0x10002 aa", "0x12ffd aa", "0x12fff aa"]);
  }
});

test("a regular expression sees bytes: zeros, bytes above 127, lines", async () => {
  const bytes = Buffer.alloc(PAGE);
  bytes.write("first line\nsecond\xff\xfe line\0end", 0, "latin1");
  const addresses = async (source: string) => (await search(regexMatcher(source), bytes, one(1))).map((found) => found.split(" ")[0]);
  assert.deepEqual(await addresses("^second"), ["0x1000b"]);
  assert.deepEqual(await addresses("\\xff\\xfe"), ["0x10011"]);
  assert.deepEqual(await addresses("line\\x00end"), ["0x10014"]);
  assert.deepEqual(await addresses("(?i:FIRST|END)"), ["0x10000", "0x10019"]);
  assert.deepEqual(await addresses("\\bline"), ["0x10006", "0x10014"]);
  assert.deepEqual(await addresses("x*nothing|^$"), []);
});

test("lines and words do not begin where a window does", async () => {
  const bytes = Buffer.alloc(30 * PAGE, "a");
  assert.deepEqual(await search({ ...regexMatcher("^a|\\ba"), chunk: 6 * PAGE }, bytes, one(30)), ["0x10000 a"]);
});

test("a lookbehind sees as far back in each window as a match is long", async () => {
  const bytes = Buffer.alloc(60 * PAGE, `KEY=${"x".repeat(60)}TARGET;`);
  const count = bytes.toString("latin1").match(/KEY=x{60}TARGET/g)?.length;
  for (const source of ["(?<=KEY=x{60})TARGET", "(?<!KEY=x{59})TARGET"]) {
    const found = await search({ ...regexMatcher(source), chunk: 6 * PAGE }, bytes, one(60));
    assert.equal(found.length, count, source);
  }
  const far = pagesWith(30, [8 * PAGE - 4000, `<${"x".repeat(4000)}needle`]);
  assert.equal((await search({ ...regexMatcher("(?<=<x+)needle"), chunk: 8 * PAGE }, far, one(30))).length, 1);
});

test("longer matches of a regular expression are cut, and found once", async () => {
  const bytes = pagesWith(30, [100, "x".repeat(50_000)]);
  assert.deepEqual(await search(regexMatcher("x+"), bytes, one(30)), [`0x10064 ${LONGEST_MATCH}`]);
});

test("an expression that matches everywhere finds no more at once than somebody has asked for", () => {
  let turns = 0;
  const matcher = regexMatcher("x|y", (work) => {
    turns += 1;
    return work();
  });
  const parts = [0, 30_000].map((from) => ({ bytes: Buffer.alloc(40_000, "xy"), address: BigInt(from), from, to: 40_000 }));
  const hits = matcher.hits(parts)[Symbol.iterator]();
  const starts = [hits.next().value?.start];
  assert.equal(turns, 1);
  for (let next = hits.next(); next.done !== true; next = hits.next()) starts.push(next.value.start);
  const [first = [], second = []] = [parts[0], parts[1]].map((part) =>
    Array.from({ length: 40_000 - (part?.from ?? 0) }, (_, at) => at + (part?.from ?? 0)),
  );
  assert.deepEqual(starts, [...first, ...second]);
  assert.ok(turns > 5 && turns < 10, `${turns} turns`);
});

test("an expression that backtracks without end is stopped", { timeout: 120_000 }, async () => {
  const bytes = Buffer.alloc(100 * PAGE, "a");
  // What V8's linear engine knows is found in time; what it does not is refused.
  assert.deepEqual(await search(regexMatcher("(a+)+b"), bytes, one(100)), []);
  assert.deepEqual(await search(regexMatcher(".*needle"), pagesWith(100, [300_000, "needle"]), one(100)), [`0x10000 ${LONGEST_MATCH}`]);
  await assert.rejects(search(regexMatcher("(?=(a+)+b)"), bytes, one(100)), { reason: "RegexTooSlow", message: /at 0x10000/ });
});

test("words that stand in what is shown of the one before are found too, also where windows meet", async () => {
  const places = Array.from({ length: 800 }, (_, index) => index * 101);
  const bytes = pagesWith(20, ...places.map((at): [number, string] => [at, "AKIA"]));
  const found = await search(small(wordsMatcher([Buffer.from("AKIA")], 512)), bytes, one(20));
  assert.deepEqual(
    found.map((line) => Number(line.split(" ", 1)[0]) - 0x10000),
    places,
  );
});

test("addresses beyond what a double can hold", async () => {
  const memory = [{ vaddr: 0xffffffffff600000n, pages: 1, flags: 4 }];
  assert.deepEqual(await search(literal("needle"), pagesWith(1, [1, "needle"]), memory), ["0xffffffffff600001 needle"]);
});

test("a search that finds nothing can be interrupted", { timeout: 120_000 }, async () => {
  const fd = openSync("/dev/zero", "r");
  const controller = new AbortController();
  async function* stretches() {
    yield* sourceStretches(fileSource(fd, 2 ** 33), undefined);
  }
  const options = { around: 32, signal: controller.signal, progress: () => {} };
  setTimeout(() => controller.abort(new Error("interrupted")), 20);
  const running = new Searcher(literal("needle"), options).search(stretches()).next();
  await assert.rejects(running, { message: "interrupted" });
  closeSync(fd);
});

test("a search that finds much can be interrupted", async () => {
  const memory = await processMemory(
    memoryArchive(
      checkpoint({
        processes: [{ pid: 1, mappings: [{ start: 0x1000n, pages: 1000 }], runs: one(50), bytes: Buffer.alloc(50 * PAGE, "x") }],
      }),
    ),
    1,
    PAGE,
    () => {},
  );
  assert.ok(memory?.own);
  const controller = new AbortController();
  const searcher = new Searcher(literal("x"), { around: 0, signal: controller.signal, progress: () => {} });
  setImmediate(() => controller.abort(new Error("interrupted")));
  let count = 0;
  const all = async () => {
    for await (const _ of searcher.search(pageStretches(memory.own.runs(), PAGE, () => undefined))) count += 1;
  };
  await assert.rejects(all(), { message: "interrupted" });
  assert.ok(count > 0 && count < 50 * PAGE, `${count} matches`);
});
