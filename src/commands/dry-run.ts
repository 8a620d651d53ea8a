import { callJson } from "../cluster/api.ts";
import { apiPath, type Connection } from "../cluster/connection.ts";
import { ensureAdmitted } from "../helper/admission.ts";
import type { Helpers } from "../helper/helpers.ts";
import { helperJob, type Access } from "../helper/manifest.ts";
import type { Flags } from "../model/flags.ts";
import { say } from "../model/phrase.ts";
import type { Outcome, Piece } from "../model/report.ts";

export type DryRun = "client" | "server";

export function dryRunOf(flags: Flags): DryRun | undefined {
  return flags.text("dry-run") as DryRun | undefined;
}

/** Shows the helper pod's Job without making it; with "server", as the API server would take it. */
export async function* dryRunHelper(
  connection: Connection,
  helpers: Helpers,
  node: string,
  access: Access,
  dryRun: DryRun,
): AsyncGenerator<Piece, Outcome> {
  const request = await helpers.request(node, access);
  let document = helperJob(request);
  if (dryRun === "server") {
    await ensureAdmitted(connection, request);
    const path = apiPath`/apis/batch/v1/namespaces/${request.namespace}/jobs`;
    document = (await callJson(connection, { method: "POST", path, query: { dryRun: "All" }, body: document })) as object;
  }
  yield {
    text: say`job.batch/${request.name} created in namespace ${request.namespace} (${dryRun === "server" ? "server dry run" : "dry run"})`,
    name: `job.batch/${request.name}`,
  };
  return { document, exitCode: 0 };
}
