// What goes into a pipe arrives whole, however slowly it is read.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const COMMAND = join(import.meta.dirname, "../../cmd/kubectl-checkpoint.ts");
const ARCHIVE = join(import.meta.dirname, "../data/archives/containerd-2.1.9-criu4.2.1-k8s-redis.tar");

test("more than a pipe holds, to a reader that takes its time", () => {
  const words = ["search", ARCHIVE, "e", "--around", "200", "-o", "json"];
  const command = `'${process.execPath}' '${COMMAND}' ${words.map((word) => `'${word}'`).join(" ")} | (sleep 1; cat)`;
  const text = execFileSync("sh", ["-c", command], { encoding: "utf8", maxBuffer: 1 << 28 });
  const { items } = JSON.parse(text) as { items: unknown[] };
  assert.ok(text.length > 200_000 && items.length === 1000, `${text.length} characters, ${items.length} matches`);
});

test("a reader that goes away ends it, quietly", () => {
  const command = `'${process.execPath}' '${COMMAND}' search '${ARCHIVE}' session --around 200 2>&1 >/dev/null | head -c 1; '${process.execPath}' '${COMMAND}' search '${ARCHIVE}' session -o json | head -n 1`;
  assert.equal(execFileSync("sh", ["-c", command], { encoding: "utf8" }), "{\n");
});
