// --criu-option on the real cluster.
import "./apart.ts";
import { testCriuOptions } from "./criu-options.ts";
import { claimCluster } from "./harness.ts";

claimCluster();
testCriuOptions("node1", "runc");
