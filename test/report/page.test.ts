// The report as a page and as lines for Timesketch. Runs everywhere; what a browser does with the page, where there is Chromium.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { verb as report } from "../../src/commands/report.ts";
import type { Report } from "../../src/model/findings.ts";
import type { ChangeItem, Inspection, ProcessItem } from "../../src/model/inspection.ts";
import { UserError } from "../../src/model/error.ts";
import { page, type PageInput } from "../../src/report/page.ts";
import { timesketchLines } from "../../src/report/timesketch.ts";
import { runVerb } from "../commands/running.ts";
import { Chromium, NO_CHROMIUM } from "./chromium.ts";

const SUSPICIOUS = "test/data/archives/containerd-suspicious.tar.zst";
const ELEMENTS = new Set(
  "html head meta title style body a header h1 p strong nav div input span button main details summary h2 dl dt dd b code table colgroup col thead tr th tbody td i svg rect script ul li".split(
    " ",
  ),
);

const CHOSEN = /nonutf8|argv|env-|link|sparse-name|locks|memfd/;

const folder = mkdtempSync(join(tmpdir(), "page-"));

const UNSEEN = ["\u202e", "\u0000", "\u001b", "\ud800"];

function saved(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return pathToFileURL(path).href;
}

/** What an attacker would like to be taken for something else. */
const HOSTILE = `</style></script></title></code>"><img src="http://attacker.example/x.png" onerror="alert(1)"><script>fetch('http://attacker.example')</script>' onmouseover='alert(2)\u202etxt.exe\u0000\u001b[2J\ud800`;

function process(pid: number, text: string, children: readonly ProcessItem[] = []): ProcessItem {
  const region = {
    start: `0x${pid.toString(16)}000`,
    end: `0x${pid.toString(16)}fff`,
    kind: "heap",
    access: "rwxp",
    name: text,
    offset: 0,
    mappedBytes: 4096,
    archivedBytes: 4096,
  };
  return {
    pid,
    ppid: 1,
    comm: text,
    state: "alive",
    args: [text, text],
    executable: text,
    threads: [],
    signals: { pending: [], blocked: [] },
    timers: [],
    subreaper: false,
    limits: {},
    sockets: [{ fd: 3, protocol: text, family: "inet", kind: "stream", state: text, local: text, remote: text }],
    memory: { mappedBytes: 4096, archivedBytes: 4096, elsewhereBytes: 0, kinds: [], regions: [region, { ...region, kind: text }] },
    children,
  };
}

function change(path: string): ChangeItem {
  return {
    path,
    change: "added or changed",
    type: "file",
    content: "text",
    mode: "0644",
    uid: 0,
    gid: 0,
    bytes: 5,
    modifiedAt: "2026-12-01T00:00:00.000Z",
    sha256: "a".repeat(64),
    member: "rootfs-diff.tar",
  };
}

function input(text: string, processes: readonly ProcessItem[], changes: readonly ChangeItem[]): PageInput {
  const made: Report = {
    apiVersion: "checkpoint.kubectl/v1",
    kind: "Report",
    container: {
      name: text,
      containerID: text,
      image: text,
      imageID: text,
      pod: text,
      namespace: text,
      engine: text,
      checkpointedAt: "2026-12-01T00:00:00.000Z",
      processes: processes.length,
      memoryBytes: 1,
    },
    evidence: { path: text, bytes: 1, sha256: text, checks: [{ check: "record", status: "wrong", message: text }] },
    findings: [{ id: "FalseName", severity: "high", title: text, detail: text, command: text, path: text }],
    timeline: changes.map(({ path }) => ({ time: "2026-12-01T00:00:00.000Z", what: text, message: path, path })),
    complete: false,
    problems: [text],
  };
  const inspection: Inspection = {
    apiVersion: made.apiVersion,
    kind: "Inspection",
    runtime: text,
    criu: { lsm: text, plugins: [], version: text, kernel: text, architecture: text },
    memoryBytes: 1,
    processes,
    problems: [],
  };
  return { report: made, inspection, changes, showsSecrets: false, version: "v0", now: "2026-12-01T00:00:00.000Z" };
}

test("the page is a new file of mode 0600, says what it holds, and has no secret", async () => {
  const to = join(folder, "report.html");
  const { lines, exitCode } = await runVerb(report, [SUSPICIOUS], { to });
  assert.equal(exitCode, 0);
  assert.match(lines.join("\n"), /report\.html written: .*, \d+ findings\. It holds parts of a memory dump/);
  if (globalThis.process.platform !== "win32") assert.equal(statSync(to).mode & 0o777, 0o600);
  const text = readFileSync(to, "utf8");
  assert.match(text, /This page holds parts of a memory dump/);
  for (const secret of ["hunter2-miner", "db-s3cr3t-value", "AKIAIOSFODNN7EXAMPLE"]) assert.ok(!text.includes(secret), secret);
  for (const wanted of ["memfd:payload", "/etc/cron.d/update", "203.0.113.7:53", "Timeline", "<svg"])
    assert.ok(text.includes(wanted), wanted);
  assert.doesNotMatch(text, /\b(src|href)="(?!#)|\bstyle=|https?:\/\/(?!www\.w3)/);
  await assert.rejects(
    async () => await runVerb(report, [SUSPICIOUS], { to }),
    (error) => error instanceof UserError && error.reason === "AlreadyExists",
  );
});

test("every text is escaped, also what is not seen", () => {
  const text = [...page(input(HOSTILE, [process(7, HOSTILE)], [change(HOSTILE)]))].join("");
  const harmless = [...page(input("x", [process(7, "x")], [change("x")]))].join("");
  const tags = (of: string): string[] => [...of.matchAll(/<\/?([a-zA-Z][a-zA-Z0-9]*)/g)].map(([, name = ""]) => name);
  assert.deepEqual(tags(text), tags(harmless));
  for (const one of UNSEEN) assert.ok(!text.includes(one), JSON.stringify(one));
  assert.match(text, /\\u\{202e\}txt\.exe\\u\{0\}\\u\{1b\}\[2J\ufffd/);
});

test("lines for Timesketch are JSON of a line each, masked", async () => {
  const to = join(folder, "report.jsonl");
  await runVerb(report, [SUSPICIOUS], { to, format: "timesketch" });
  const text = readFileSync(to, "utf8");
  const events = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  for (const { message, datetime, timestamp, timestamp_desc: what } of events) {
    assert.ok(typeof message === "string" && typeof what === "string");
    assert.equal(Date.parse(String(datetime)) * 1000, timestamp);
  }
  assert.ok(events.some(({ timestamp_desc: what, filename }) => what === "content modification" && filename === "/etc/cron.d/update"));
  assert.ok(!text.includes("hunter2-miner"));
  const hostile = [...timesketchLines(input(HOSTILE, [], [change(HOSTILE)]).report)];
  for (const line of hostile) {
    assert.equal(line.indexOf("\n"), line.length - 1);
    for (const one of UNSEEN.slice(0, 3)) assert.ok(!line.includes(one), JSON.stringify(one));
    assert.equal((JSON.parse(line) as { pod: string }).pod, HOSTILE.replace("\ud800", "\ud800"));
  }
});

test(
  "in Chromium: nothing is loaded, hostile texts make no element, filter and fold work, all is readable without script",
  { skip: NO_CHROMIUM ?? false },
  async () => {
    await using chromium = await Chromium.start();
    const names = "JSON.stringify([...new Set([...document.querySelectorAll('*')].map((one) => one.localName))])";
    const to = join(folder, "again.html");
    await runVerb(report, [SUSPICIOUS], { to });
    const hostile = [...page(input(HOSTILE, [process(7, HOSTILE)], [change(HOSTILE)]))].join("");
    for (const url of [pathToFileURL(to).href, saved("hostile.html", hostile)]) {
      await chromium.open(url);
      assert.deepEqual([chromium.requests, chromium.console], [[url], []]);
      for (const name of JSON.parse(await chromium.evaluate<string>(names)) as string[]) assert.ok(ELEMENTS.has(name), name);
      assert.equal(
        await chromium.evaluate(
          "[...document.querySelectorAll('*')].filter((one) => one.getAttributeNames().some((name) => /^(on|style|src)/.test(name))).length",
        ),
        0,
      );
      assert.equal(await chromium.evaluate("document.title.startsWith('Report on')"), true);
    }
    await chromium.open(pathToFileURL(to).href);
    const visible = "[...document.querySelectorAll('[data-row]')].filter((row) => row.checkVisibility()).length";
    const all = await chromium.evaluate<number>(visible);
    const type = async (text: string): Promise<number> => {
      await chromium.evaluate(
        `(() => { const field = document.getElementById("filter"); field.value = ${JSON.stringify(text)}; field.dispatchEvent(new Event("input")); return new Promise((done) => setTimeout(done, 250)); })()`,
      );
      return await chromium.evaluate<number>(visible);
    };
    const some = await type("xmrig");
    assert.ok(some > 0 && some < all, `${some} of ${all}`);
    assert.match(await chromium.evaluate<string>("document.getElementById('count').textContent"), /^\d+ of \d+ rows$/);
    assert.equal(await type("no such words"), 0);
    assert.equal(await type(""), all);
    await chromium.evaluate("document.getElementById('fold').click()");
    assert.equal(await chromium.evaluate(visible), 0);
    // By keyboard alone: a link leads to its section and unfolds it.
    await chromium.evaluate("document.querySelector('nav a[href=\"#findings\"]').focus()");
    await chromium.send("Input.dispatchKeyEvent", { type: "keyDown", key: "Enter", code: "Enter", windowsVirtualKeyCode: 13, text: "\r" });
    await chromium.send("Input.dispatchKeyEvent", { type: "keyUp", key: "Enter", code: "Enter", windowsVirtualKeyCode: 13 });
    assert.equal(await chromium.evaluate("document.getElementById('findings').open"), true);
    await chromium.evaluate("document.getElementById('unfold').click()");
    assert.equal(await chromium.evaluate(visible), all);
    for (const width of [390, 1280]) {
      await chromium.send("Emulation.setDeviceMetricsOverride", { width, height: 900, deviceScaleFactor: 1, mobile: false });
      assert.ok(await chromium.evaluate("document.documentElement.scrollWidth <= innerWidth"), `wider than ${width}`);
    }
    assert.deepEqual(chromium.console, []);
    await chromium.open(pathToFileURL(to).href, { script: false });
    await chromium.send("Emulation.setScriptExecutionDisabled", { value: false });
    assert.equal(await chromium.evaluate(visible), all);
    assert.equal(await chromium.evaluate("document.querySelector('.tools').checkVisibility()"), false);
  },
);

test("in Chromium: 10,000 files and 1,000 processes are there within 3 s", { skip: NO_CHROMIUM ?? false }, async () => {
  const processes = Array.from({ length: 1000 }, (_, index) => process(index + 2, `worker-${index}`));
  const changes = Array.from({ length: 10_000 }, (_, index) => change(`/data/some/directory/file-${index}`));
  const url = saved("large.html", [...page(input("large", [process(1, "init", processes)], changes))].join(""));
  await using chromium = await Chromium.start();
  // Processor time: how long it takes on a busy machine says nothing of the page.
  await chromium.send("Performance.setTimeDomain", { timeDomain: "threadTicks" });
  await chromium.send("Performance.enable");
  const spent = async (): Promise<number> => {
    const { metrics } = await chromium.send("Performance.getMetrics");
    return (metrics as { name: string; value: number }[]).find(({ name }) => name === "TaskDuration")?.value ?? Number.NaN;
  };
  let seconds = Number.POSITIVE_INFINITY;
  // Others on the same core make it slower: the least of three says what the page takes.
  for (let round = 0; round < 3 && !(seconds < 3); round += 1) {
    const before = await spent();
    await chromium.open(url);
    seconds = Math.min(seconds, (await spent()) - before);
  }
  assert.ok(seconds < 3, `${seconds} s`);
  assert.deepEqual(chromium.console, []);
});

test("in Chromium: archives that were made to harm put nothing into the page", { skip: NO_CHROMIUM ?? false }, async () => {
  await using chromium = await Chromium.start();
  for (const name of ["", "hostile"].flatMap((below) => readdirSync(join("test/data/faults", below)).map((file) => join(below, file)))) {
    // All of them take a minute: those with names, arguments and variables that somebody chose.
    if (!name.endsWith(".tar.zst") || (globalThis.process.env["FULL"] === undefined && !CHOSEN.test(name))) continue;
    const to = join(folder, `${name.replaceAll(/[/\\]/g, "-")}.html`);
    try {
      await runVerb(report, [join("test/data/faults", name)], { to });
    } catch (error) {
      assert.ok(error instanceof UserError, name);
      continue;
    }
    const url = pathToFileURL(to).href;
    await chromium.open(url);
    assert.deepEqual([chromium.requests, chromium.console], [[url], []], name);
    const names = JSON.parse(
      await chromium.evaluate<string>("JSON.stringify([...new Set([...document.querySelectorAll('*')].map((one) => one.localName))])"),
    ) as string[];
    assert.deepEqual(
      names.filter((one) => !ELEMENTS.has(one)),
      [],
      name,
    );
  }
});
