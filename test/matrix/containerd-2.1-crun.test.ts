// containerd 2.1 with crun: every verb, in every state of a node. With --full.
import "./place.ts";
import { shareCluster } from "../e2e/harness.ts";
import { testRow } from "./test-row.ts";

shareCluster();
testRow("containerd-2.1+crun", { full: true });
