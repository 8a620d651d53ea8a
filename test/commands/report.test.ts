// report: what is on the screen, in the document, and never in either.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { zstdDecompressSync } from "node:zlib";
import { verb as report } from "../../src/commands/report.ts";
import { KINDS } from "../../src/findings/find.ts";
import { masked, maskedDocument, maskedWords } from "../../src/findings/secrets.ts";
import type { Report } from "../../src/model/findings.ts";
import { altered, without } from "./altered.ts";
import { REGISTRY, requestOf, runVerb } from "./running.ts";

const SUSPICIOUS = "test/data/archives/containerd-suspicious.tar.zst";
const COUNTER = "test/data/archives/containerd-2.1.9-criu4.2.1.tar";
const SECRETS = ["hunter2-miner", "db-s3cr3t-value", "AKIAIOSFODNN7EXAMPLE", "MIIEvQIBADAN"];

/** The archive of the suspicious pod as it was copied, with its record beside it. */
export function copied(): string {
  const file = join(mkdtempSync(join(tmpdir(), "report-")), "shop.tar");
  writeFileSync(file, zstdDecompressSync(readFileSync(SUSPICIOUS)), { mode: 0o600 });
  writeFileSync(`${file}.json`, readFileSync("test/data/archives/containerd-suspicious.tar.json"));
  return file;
}

test("words and flags become a request", () => {
  const request = { file: "a.tar", previous: undefined, registry: REGISTRY, rules: [], base: undefined, showSecrets: false, to: undefined };
  assert.deepEqual(requestOf(report, ["a.tar"]), { ...request, form: "screen" });
  assert.deepEqual(requestOf(report, ["a.tar"], { output: "json" }), { ...request, form: "document" });
  assert.deepEqual(requestOf(report, ["a.tar"], { "base-image": "" }), { ...request, form: "screen", base: "" });
  assert.deepEqual(requestOf(report, ["a.tar"], { to: "a.html" }), { ...request, form: "html", to: "a.html" });
  assert.deepEqual(requestOf(report, ["a.tar"], { to: "a", format: "html" }), { ...request, form: "html", to: "a" });
  assert.deepEqual(requestOf(report, ["a.tar"], { format: "timesketch" }), { ...request, form: "timesketch" });
  for (const [words, flags] of [
    [[], {}],
    [["a", "b"], {}],
    [["a"], { to: "" }],
    [["a"], { to: "a.pdf" }],
    [["a"], { format: "html" }],
    [["a"], { output: "json", to: "a.html" }],
    [["a"], { output: "json", format: "timesketch" }],
  ] as const)
    assert.throws(() => requestOf(report, [...words], flags), { reason: "Usage" });
});

test("the first screen has all that the intruder did, each with its reason and a command", async () => {
  const { lines, exitCode } = await runVerb(report, [SUSPICIOUS]);
  assert.equal(exitCode, 0);
  const from = lines.findIndex((line) => line.startsWith("Findings: "));
  const screen = lines.slice(from, from + 36).join("\n");
  for (const what of [
    /MemoryExecutable: .*memfd:payload/,
    /DeletedExecutable: .*xmrig/,
    /RemoteShell: .*sh -i/,
    /UndeclaredListener: .*31337/,
    /SetuidFile: \/usr\/bin\/\.ping/,
    /AuthorizedKeys: \/root/,
    /ScheduledJob: \/etc\/cron\.d/,
    /FalseName: .*\/usr\/sbin\/sshd/,
    /KernelThreadName/,
  ])
    assert.match(screen, what);
  assert.match(screen, /it has never been in a file; see kubectl checkpoint extract \S+ memfd:payload --to payload\.bin/);
  assert.ok(lines.length <= 75, `${lines.length} lines`);
});

test("secrets are masked on the screen and in the document, and shown where they are asked for", async () => {
  const screen = await runVerb(report, [SUSPICIOUS]);
  const document = await runVerb(report, [SUSPICIOUS], { output: "json" });
  const all = [screen.lines.join("\n"), JSON.stringify(document.document)];
  for (const secret of SECRETS) for (const text of all) assert.ok(!text.includes(secret), secret);
  assert.match(all[0] ?? "", /--password=<masked>/);
  const shown = await runVerb(report, [SUSPICIOUS], { "show-secrets": true });
  assert.match(shown.lines.join("\n"), /--password=hunter2-miner/);
});

test("the document has the container, evidence by the record, findings and a timeline in order", async () => {
  const { document, exitCode } = await runVerb(report, [copied()], { output: "json" });
  const { container, evidence, findings, timeline, complete } = JSON.parse(JSON.stringify(document)) as Report;
  assert.deepEqual([exitCode, complete, container.pod, container.name, container.processes], [0, true, "shop", "web", 10]);
  assert.deepEqual(
    evidence.checks.map(({ check, status }) => [check, status]),
    [
      ["record", "ok"],
      ["signature", "missing"],
      ["time", "missing"],
    ],
  );
  assert.match(evidence.sha256 ?? "", /^[0-9a-f]{64}$/);
  for (const { id, severity, title, detail, command } of findings)
    for (const text of [id, severity, title, detail, command]) assert.ok(typeof text === "string" && text !== "");
  const times = timeline.map(({ time }) => time);
  assert.deepEqual(times, times.toSorted());
  const kinds = new Set(timeline.map(({ what }) => what));
  for (const what of ["container started", "container frozen", "content modification", "log line", "Kubernetes event", "transfer"])
    assert.ok(kinds.has(what), what);
});

test("what cannot be read is said, and the rest is there", async () => {
  const broken = await altered(SUSPICIOUS, (files) => files.set("checkpoint/files.img", Buffer.from("broken")));
  for (const archive of [broken, await without(SUSPICIOUS, "rootfs-diff.tar", "spec.dump")]) {
    const { exitCode, document } = await runVerb(report, [archive], { output: "json" });
    const { findings, problems, complete } = JSON.parse(JSON.stringify(document)) as Report;
    assert.ok(findings.length > 0);
    if (archive === broken) assert.deepEqual([exitCode, complete, problems.length > 0], [3, false, true]);
  }
});

test("secrets are told by their names and forms", () => {
  assert.deepEqual(
    maskedWords(["app", "--password", "x", "--token=abc", "-u", "me", "postgres://me:pw@db/x", "-H", "Authorization: Bearer abcdef.ghi"]),
    [
      "app",
      "--password",
      "<masked>",
      "--token=<masked>",
      "-u",
      "me",
      "postgres://me:<masked>@db/x",
      "-H",
      "Authorization: Bearer <masked>",
    ],
  );
  assert.equal(masked('{"api_key": "abc", "user": "me"}'), '{"api_key": "<masked>", "user": "me"}');
  assert.equal(masked("key ghp_0123456789abcdefghijABCDEFGHIJ0123456789 end"), "key <masked> end");
  assert.equal(masked("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N"), "<masked>");
  assert.equal(
    masked("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIB\n-----END PRIVATE KEY-----"),
    "<masked>",
  );
  for (const harmless of [
    "/var/run/secrets/kubernetes.io/serviceaccount",
    "PWD=/data",
    "-c 'echo hi'",
    "token",
    "keyboard=us",
    "bypass the cache",
  ])
    assert.equal(masked(harmless), harmless);
  assert.deepEqual(
    maskedDocument({
      env: [{ name: "DB_PASSWORD", value: "x" }, { name: "PWD", value: "/" }, { name: "EMPTY" }],
      args: ["a", "--secret", "b"],
    }),
    {
      env: [{ name: "DB_PASSWORD", value: "<masked>" }, { name: "PWD", value: "/" }, { name: "EMPTY" }],
      args: ["a", "--secret", "<masked>"],
    },
  );
});

test("masking takes no longer than the text is long", () => {
  for (const text of [
    "a.".repeat(200_000),
    "-----BEGIN PRIVATE KEY-----\n".repeat(5000),
    "://a:".repeat(100_000),
    "_".repeat(400_000),
    "eyJhbGci".repeat(50_000),
  ]) {
    const started = performance.now();
    masked(text);
    assert.ok(performance.now() - started < 5000, `${text.slice(0, 20)}: ${performance.now() - started} ms`);
  }
});

test("the documentation has every kind of finding", () => {
  const text = readFileSync("docs/report.md", "utf8");
  for (const { id, about } of KINDS) {
    assert.ok(text.includes(`| ${id} `), id);
    assert.ok(text.includes(about), `${id}: ${about}`);
  }
});

test("a report of what changed nothing has no findings of files", async () => {
  const { lines } = await runVerb(report, [COUNTER]);
  assert.ok(!lines.some((line) => /SetuidFile|ScheduledJob|CredentialsChanged/.test(line)));
});
