// --criu-option with crun, which reads a file of its own. With --full.
import "./place.ts";
import { after, test } from "node:test";
import { testCriuOptions } from "../e2e/criu-options.ts";
import { claimCluster, cluster, NO_CLUSTER, setUp } from "../e2e/harness.ts";

const NODE = "options-crun";

claimCluster();
if (process.env["FULL"] === undefined) {
  void test("--criu-option with crun", { skip: "only with --full" });
} else {
  if (NO_CLUSTER === undefined) after(async () => await cluster("remove", NODE));
  setUp(async () => {
    await cluster("up", "--node", `${NODE}=containerd-2.3+crun`);
  });
  testCriuOptions(NODE, "crun");
}
