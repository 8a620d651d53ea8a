// A row of the matrix as a test: a subtest a cell.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { V1NodeList } from "@kubernetes/client-node";
import { clusterTest, getJson } from "../e2e/harness.ts";
import { ROWS } from "./rows.ts";
import { runRow } from "./run-row.ts";
import { setStage } from "./stage.ts";

export function testRow(spec: string, { full = false } = {}): void {
  const row = ROWS.find((row) => row.spec === spec);
  if (row === undefined) throw new Error(`rows.ts has no ${spec}`);
  if (full && process.env["FULL"] === undefined) {
    void test(row.title, { skip: "only with --full" });
    return;
  }
  clusterTest(
    row.title,
    async (t) => {
      const stage = await setStage(row);
      try {
        for await (const { column, outcome, said } of runRow(row, stage)) {
          await t.test(column, () => assert.notEqual(outcome, "fails", said.join("\n")));
        }
      } finally {
        await stage[Symbol.asyncDispose]();
      }
      const { items } = await getJson<V1NodeList>("nodes");
      const left = items.filter(({ metadata }) => metadata?.name === stage.source || metadata?.name === stage.target);
      assert.deepEqual(left, [], "its nodes are gone");
    },
    { timeout: 900_000 },
  );
}
