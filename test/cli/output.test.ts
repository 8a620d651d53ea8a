// Output that cannot be written: one line on standard error, and exit status 1.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { builtCommand } from "./built.ts";

const COMMAND = await builtCommand();
const ARCHIVE = join(import.meta.dirname, "../data/archives/containerd-2.1.9-criu4.2.1-k8s-redis.tar");
const skip = process.platform === "linux" ? false : "no /dev/full";

/** Runs a shell command line in which $C is the command. */
function shell(line: string): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync("sh", ["-c", line.replaceAll("$C", `'${process.execPath}' '${COMMAND}'`)], {
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

const CALLS = [
  "version",
  "--help",
  "options",
  `show '${ARCHIVE}' -q`,
  `show '${ARCHIVE}' -q -o json`,
  `inspect '${ARCHIVE}' --all -o yaml`,
  `search '${ARCHIVE}' e --max 0`,
  `search '${ARCHIVE}' e -o json -q`,
  `extract '${ARCHIVE}' dump.log --to -`,
];

for (const call of CALLS)
  test(`a full disk behind standard output: ${call.replace(ARCHIVE, "FILE")}`, { skip }, () => {
    const { status, stderr } = shell(`$C ${call} >/dev/full`);
    assert.deepEqual([status, stderr], [1, "error: cannot write to standard output: no space left on device\n"]);
  });

test("a full disk behind standard error: the command ends with status 1, also in the middle", { skip }, () => {
  assert.equal(shell(`$C show '${ARCHIVE}' 2>/dev/full`).status, 1);
  assert.equal(shell(`$C show no-such-file '${ARCHIVE}' 2>/dev/full`).status, 1);
});

test("both full: status 1", { skip }, () => {
  assert.equal(shell(`$C show '${ARCHIVE}' >/dev/full 2>&1`).status, 1);
});

test("a reader that goes away: the status of SIGPIPE, and nothing on standard error", { skip }, () => {
  for (const call of ["--help", `search '${ARCHIVE}' e --max 0`]) {
    const { stderr } = shell(`{ sleep 0.3; $C ${call}; echo "status $?" >&2; } | true`);
    assert.equal(stderr, "status 141\n", call);
  }
});

test("closed descriptors: Node.js opens /dev/null in their place, and what is written elsewhere is whole", { skip }, () => {
  const whole = shell(`$C show '${ARCHIVE}' -q`);
  assert.deepEqual(shell(`$C show '${ARCHIVE}' -q 2>&-`), whole);
  assert.deepEqual(shell(`$C show '${ARCHIVE}' -q <&-`), whole);
  assert.deepEqual(shell(`$C show '${ARCHIVE}' -q >&-`), { ...whole, stdout: "" });
  assert.deepEqual(shell(`$C show no-such-file >&- 2>&-`), { status: 1, stdout: "", stderr: "" });
});
