import { callJson } from "../../cluster/api.ts";
import { apiPath, type Connection } from "../../cluster/connection.ts";
import { helperRights, requireRights } from "../../flows/rights.ts";
import { ensureAdmitted } from "../../helper/admission.ts";
import type { Helpers } from "../../helper/helpers.ts";
import { helperJob, type Access } from "../../helper/manifest.ts";
import { say } from "../../model/phrase.ts";
import type { Outcome, Piece } from "../../model/report.ts";

export type DryRun = "client" | "server";

/** A helper pod that would be made. */
export interface WouldBe {
  readonly node: string;
  readonly access: Access;
  /** Of volumes: see Helpers.volumes. */
  readonly directory?: string;
  readonly volumes?: readonly string[];
}

/** Those that copies from these nodes take: one a node that reads; one more that removes, where that is asked for. */
export function helpersOfCopies(nodes: readonly string[], remove: boolean): WouldBe[] {
  const accesses: readonly Access[] = remove ? ["read", "write"] : ["read"];
  return [...new Set(nodes)].flatMap((node) => accesses.map((access) => ({ node, access })));
}

/** Shows the helper pod's Job without making it; with "server", as the API server would take it. Throws where it is not admitted. */
export async function* dryRunHelper(
  connection: Connection,
  helpers: Helpers,
  { node, access, directory, volumes }: WouldBe,
  dryRun: DryRun,
): AsyncGenerator<Piece, Outcome> {
  const request = await helpers.request(node, access, directory, volumes);
  let document: object = helperJob(request);
  if (dryRun === "server") {
    await ensureAdmitted(connection, request);
    const path = apiPath`/apis/batch/v1/namespaces/${request.namespace}/jobs`;
    const rights = helperRights(request.namespace);
    const made = { method: "POST", path, query: { dryRun: "All" }, body: document, repeatable: true } as const;
    document = (await requireRights(connection, rights, async () => await callJson(connection, made))) as object;
  }
  yield {
    text: say`job.batch/${request.name} created in namespace ${request.namespace} (${dryRun === "server" ? "server dry run" : "dry run"})`,
    name: `job.batch/${request.name}`,
  };
  return { document, exitCode: 0 };
}

/** The same of several, which are one List. */
export async function* dryRunHelpers(
  connection: Connection,
  helpers: Helpers,
  wouldBe: readonly WouldBe[],
  dryRun: DryRun,
): AsyncGenerator<Piece, Outcome> {
  const items: (object | undefined)[] = [];
  for (const one of wouldBe) items.push((yield* dryRunHelper(connection, helpers, one, dryRun)).document);
  const [only] = items;
  return { document: only !== undefined && items.length === 1 ? only : { apiVersion: "v1", kind: "List", items }, exitCode: 0 };
}
