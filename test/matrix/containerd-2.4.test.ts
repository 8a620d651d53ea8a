// containerd 2.4: every verb, in every state of a node. With --full.
import "./place.ts";
import { shareCluster } from "../e2e/harness.ts";
import { testRow } from "./test-row.ts";

shareCluster();
testRow("containerd-2.4", { full: true });
