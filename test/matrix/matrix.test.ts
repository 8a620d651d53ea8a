// CRI-O, with every verb and in every state, on a cluster of its own; --full tries all runtimes so.
import "./place.ts";
import assert from "node:assert/strict";
import { clusterTest, getJson, shareCluster } from "../e2e/harness.ts";
import type { V1NodeList } from "@kubernetes/client-node";
import { ROWS } from "./rows.ts";
import { runRow } from "./run-row.ts";
import { setStage } from "./stage.ts";

shareCluster();

for (const row of ROWS.filter(({ spec }) => process.env["FULL"] !== undefined || spec === "crio-1.36")) {
  clusterTest(
    row.title,
    async (t) => {
      {
        await using stage = await setStage(row);
        for await (const { column, outcome, said } of runRow(row, stage)) {
          await t.test(column, () => assert.notEqual(outcome, "fails", said.join("\n")));
        }
      }
      const { items } = await getJson<V1NodeList>("nodes");
      assert.ok(
        items.every(({ metadata }) => metadata?.name?.startsWith("matrix-") !== true),
        "its nodes are gone",
      );
    },
    { timeout: 900_000 },
  );
}
