// Runs on Linux and macOS only: it runs the lines of the page in a shell.
// Every command of docs/inspect.md, as it stands there.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, test } from "node:test";
import { builtCommand } from "../cli/built.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const PAGE = readFileSync(join(ROOT, "docs/inspect.md"), "utf8");
const here = mkdtempSync(join(tmpdir(), "inspect-page-"));
after(() => rmSync(here, { recursive: true }));

copyFileSync(join(ROOT, "test/data/archives/containerd-zoo.tar.gz"), join(here, "A.tar"));
copyFileSync(join(ROOT, "test/data/archives/containerd-a.tar"), join(here, "B.tar"));
writeFileSync(join(here, "kubectl"), `#!/bin/sh\nshift\nexec '${process.execPath}' '${await builtCommand()}' "$@"\n`);
chmodSync(join(here, "kubectl"), 0o755);

function run(command: string) {
  return spawnSync("sh", ["-c", command], { cwd: here, encoding: "utf8", env: { ...process.env, PATH: `${here}:${process.env["PATH"]}` } });
}

interface Region {
  readonly start: string;
  readonly end: string;
  readonly mappedBytes: number;
  readonly archivedBytes: number;
}

/** Pid and addresses of a region that is all in the archive: the page shows none of a real one. */
function somewhere(): string {
  const { processes } = JSON.parse(run("kubectl checkpoint inspect A.tar --memory -o json").stdout) as {
    processes: [{ pid: number; memory: { regions: Region[] } }];
  };
  const [{ pid, memory }] = processes;
  const region = memory.regions.find(({ mappedBytes, archivedBytes }) => archivedBytes === mappedBytes);
  return `--pid ${pid} --range ${region?.start}-${region?.end}`;
}

const commands = [...PAGE.matchAll(/^\|[^|]*\|(.*)\|$/gm)].flatMap(([, cell = ""]) =>
  [...cell.matchAll(/`((?:inspect|search|extract|diff) [^`]+)`/g)].map(([, command = ""]) => command.replaceAll(String.raw`\|`, "|")),
);

test("the page has its commands", () => assert.ok(commands.length >= 11, commands.join("\n")));

for (const command of commands) {
  // Its image's registry is not here.
  const elsewhere = command.includes("--base-image") ? "test/commands/root.test.ts has a registry for it" : false;
  test(command, { skip: elsewhere }, () => {
    const { status, stdout, stderr } = run(`kubectl checkpoint ${command.replace(/--pid 7 --range \S+/, somewhere)}`);
    // Not found, and different, are answers; links are not extracted.
    const answers = /^(search|diff) /.test(command) ? [0, 1] : command.startsWith("extract A.tar / ") ? [3] : [0];
    assert.ok(answers.includes(status ?? -1), `${status}: ${stderr}`);
    if (status === 0) assert.notEqual(stdout, "");
    assert.doesNotMatch(stderr, /^error/m);
  });
}

test("all processes, by jq", (t) => {
  try {
    execFileSync("jq", ["--version"]);
  } catch {
    t.skip("there is no jq here");
    return;
  }
  const [, command = ""] = /^ {4}(kubectl checkpoint .*\| jq .*)$/m.exec(PAGE) ?? [];
  const { status, stdout } = run(command);
  assert.equal(status, 0);
  assert.match(stdout, /^1\t\/zoo\/zoo/m);
});
