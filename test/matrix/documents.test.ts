// docs/runtimes.md and README.md say what the matrix found, and it found nothing that fails.
import assert from "node:assert/strict";
import { test } from "node:test";
import { documents, essence, readResults } from "./results.ts";

test("what the documentation says of runtimes is what was found: npm run matrix -- --write", () => {
  for (const { path, is, shouldBe } of documents(readResults())) assert.equal(is, shouldBe, path);
});

test("every cell works or is explained", () => {
  for (const { kubernetes, rows } of readResults()) {
    for (const { spec, cells } of rows) {
      for (const [column, { outcome, said }] of Object.entries(cells)) {
        assert.notEqual(outcome, "fails", `Kubernetes ${kubernetes}, ${spec}: ${column}`);
        if (outcome === "explained") assert.ok(said !== undefined && said.length > 0);
      }
    }
  }
});

test("of what was said, errors and fixes are kept", () => {
  const said = [
    "warning: old",
    "error: a-1 cannot restore this checkpoint",
    "  why: rpc error",
    "       of two lines",
    "  fix: give another",
    "       with --node",
    "more",
  ].join("\n");
  assert.equal(essence(said, "a-1", "b-1"), "error: node1 cannot restore this checkpoint\n  fix: give another\n       with --node");
});
