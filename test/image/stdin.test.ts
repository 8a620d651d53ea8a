// Runs on Linux and macOS only: it pipes through a shell.
// An archive through a pipe whose writer takes its time, for somebody at a terminal.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { builtCommand } from "../cli/built.ts";
import { SAMPLES } from "./samples.ts";

const COMMAND = await builtCommand();
const ARCHIVE = join(SAMPLES, "containerd-a.tar");
const NO_SCRIPT = /util-linux/.test(spawnSync("script", ["--version"], { encoding: "utf8" }).stdout ?? "")
  ? false
  : "no script of util-linux";

/** Pieces, and pauses between them: reads meet an empty pipe. */
const SLOWLY = `for at in 0 1 2 3; do dd if='${ARCHIVE}' bs=30000 skip=$at count=1 2>&-; sleep 0.2; done; dd if='${ARCHIVE}' bs=30000 skip=4 2>&-`;

for (const terminal of [false, true]) {
  test(`a slow pipe${terminal ? ", with stderr a terminal" : ""}`, { skip: terminal && NO_SCRIPT }, (t) => {
    const folder = mkdtempSync(join(tmpdir(), "kubectl-checkpoint-test-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const line = `{ ${SLOWLY}; } | '${process.execPath}' '${COMMAND}' image - reg.local/a:1 --to 'oci:${folder}/layout'`;
    const [command, ...args] = terminal ? ["script", "-qec", line, "/dev/null"] : ["sh", "-c", line];
    const { status, stdout, stderr } = spawnSync(command ?? "", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /reg\.local\/a:1 written to\s/);
    const blobs = readdirSync(join(folder, "layout/blobs/sha256")).map((name) => statSync(join(folder, "layout/blobs/sha256", name)).size);
    assert.ok(blobs.includes(statSync(ARCHIVE).size), `the layer among ${String(blobs)}`);
  });
}
