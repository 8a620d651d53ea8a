import type { FlowContext } from "../flows/context.ts";
import { agreeToPods } from "../flows/consent.ts";
import { held } from "../flows/collect/nodes/each.ts";
import { findNamed, type Found } from "../flows/collect/nodes/remove.ts";
import { Helpers } from "../helper/helpers.ts";
import type { HelperSettings } from "../helper/manifest.ts";
import type { RemovalItem } from "../model/archives.ts";
import { itemError } from "../model/documents.ts";
import { exitCodeFor, usageError } from "../model/error.ts";
import type { Flags } from "../model/flags.ts";
import { location, type NodeArchive } from "../model/location.ts";
import type { Outcome, Piece } from "../model/report.ts";
import type { Call } from "./command.ts";
import { connect } from "./connect.ts";
import { dryRunOf } from "./dry-run.ts";
import { helperSettings } from "./helper-settings.ts";
import { parseNodeArchive } from "./node-archive.ts";
import { removalList, removeAgreed, wouldRemove } from "./removal.ts";

export interface RmRequest {
  /** None twice. */
  readonly archives: readonly NodeArchive[];
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly settings: HelperSettings;
}

/** Throws a usage error. */
export function rmRequest(words: readonly string[], flags: Flags, env: NodeJS.ProcessEnv): RmRequest {
  const settings = helperSettings(flags, env);
  if (words.length === 0)
    throw usageError("which archive?", "kubectl checkpoint rm NODE:ARCHIVE..., as kubectl checkpoint ls -o name prints them");
  const archives = words.map((word) => parseNodeArchive(word, settings.checkpointDir));
  return {
    archives: [...new Map(archives.map((archive) => [location(archive), archive])).values()],
    dryRun: dryRunOf(flags) !== undefined,
    yes: flags.on("yes"),
    settings,
  };
}

export async function* run(call: Call): AsyncGenerator<Piece, Outcome> {
  const { archives, dryRun, yes, settings } = rmRequest(call.words, call.flags, call.env);
  const context: FlowContext = { ...call, connection: await connect(call) };
  const helpers = new Helpers(context.connection, call, settings);
  const nodes = [...new Set(archives.map(({ node }) => node))];
  const access = dryRun ? "read" : "write";
  await agreeToPods(context, helpers, settings, nodes, yes);
  await using _held = held(helpers, nodes, access);
  const found = await findNamed(context, helpers, archives, access, settings.checkpointDir);
  const wrong = found.flatMap(({ error }) => error ?? []);
  for (const error of wrong) yield { error };
  const good = found.flatMap(({ archive, error }) => (archive === undefined || error !== undefined ? [] : [archive]));
  const { items, errors } =
    good.length === 0 ? { items: [], errors: [] } : yield* dryRun ? wouldRemove(good) : removeAgreed(context, helpers, good, yes);
  const all = [...items, ...found.flatMap(notRemoved)];
  return { document: removalList(all), exitCode: exitCodeFor([...wrong, ...errors], archives.length) };
}

function notRemoved({ named: { node, path }, archive, error }: Found): RemovalItem[] {
  if (error === undefined) return [];
  return [
    { node, path, ...(archive === undefined ? {} : { bytes: archive.file.bytes }), removed: false, error: itemError("remove", error) },
  ];
}
