// Imported before the harness: tests that want the cluster alone, because they end parts of it or count what is in it, have one of their own
// where test/run.sh has started it, so that the others need not wait for them.
import { existsSync } from "node:fs";

const APART = "2";

process.env["CLUSTER_NUMBER"] ??= existsSync(`/run/kubectl-checkpoint-${APART}/admin.conf`) ? APART : "0";
