// CRI-O 1.36 with crun: every verb, in every state of a node. With --full.
import "./place.ts";
import { shareCluster } from "../e2e/harness.ts";
import { testRow } from "./test-row.ts";

shareCluster();
testRow("crio-1.36+crun", { full: true });
