import { copyArchive, type CopyOutcome, type CopyRequest } from "../flows/collect/copy/copy.ts";
import type { FlowContext } from "../flows/context.ts";
import { helperRights, needingInOutcome } from "../flows/rights.ts";
import { streamArchive } from "../flows/collect/copy/stream.ts";
import type { Codec } from "../helper/files.ts";
import { Helpers } from "../helper/helpers.ts";
import type { HelperSettings } from "../helper/manifest.ts";
import { API_VERSION, itemError, type Copy, type CopyItem, type CopyList } from "../model/documents.ts";
import { exitCodeFor, usageError, type UserError } from "../model/error.ts";
import type { Flags } from "../model/flags.ts";
import { location, type NodeArchive } from "../model/location.ts";
import { say, type Phrase } from "../model/phrase.ts";
import type { Outcome, Piece } from "../model/report.ts";
import { formatBytes, formatSeconds } from "../model/units.ts";
import type { Call } from "./command.ts";
import { connect } from "./connect.ts";
import { dryRunHelpers, dryRunOf, helpersOfCopies, type DryRun } from "./dry-run.ts";
import { helperSettings } from "./helper-settings.ts";
import { isNodeArchive, parseNodeArchive } from "./node-archive.ts";

export interface CpRequest {
  readonly archives: readonly NodeArchive[];
  /** "-" is stdout; undefined the working directory. */
  readonly destination: string | undefined;
  readonly force: boolean;
  readonly codec: Codec | "auto";
  readonly remove: boolean;
  readonly dryRun: DryRun | undefined;
  readonly settings: HelperSettings;
}

/** Throws a usage error. */
export function cpRequest(words: readonly string[], flags: Flags, env: NodeJS.ProcessEnv): CpRequest {
  const settings = helperSettings(flags, env);
  const last = words.at(-1);
  const hasDestination = words.length > 1 && last !== undefined && !isNodeArchive(last);
  const given = hasDestination ? words.slice(0, -1) : words;
  if (given.length === 0) throw usageError("which archive?", "kubectl checkpoint cp NODE:ARCHIVE [DEST]");
  const archives = given.map((word) => parseNodeArchive(word, settings.checkpointDir));
  const destination = hasDestination ? last : undefined;
  if (destination === "-" && archives.length > 1) throw usageError("only one archive at a time can go to standard output");
  return {
    archives,
    destination,
    force: flags.on("force"),
    codec: (flags.text("compress") ?? "auto") as Codec | "auto",
    remove: flags.on("remove"),
    dryRun: dryRunOf(flags),
    settings,
  };
}

export async function* run(call: Call): AsyncGenerator<Piece, Outcome> {
  const request = cpRequest(call.words, call.flags, call.env);
  const { archives, destination, dryRun, settings } = request;
  const connection = await connect(call);
  const context: FlowContext = { ...call, connection };
  const helpers = new Helpers(connection, call, settings);
  const [first] = archives;
  if (dryRun !== undefined) {
    const nodes = archives.map(({ node }) => node);
    return yield* dryRunHelpers(connection, helpers, helpersOfCopies(nodes, request.remove), dryRun);
  }
  if (destination === "-" && first !== undefined) {
    yield { bytes: streamArchive(context, helpers, { ...request, archive: first, checkpointDir: settings.checkpointDir }) };
    return { exitCode: 0 };
  }
  const items: CopyItem[] = [];
  const errors: UserError[] = [];
  const rights = helperRights(await helpers.namespace());
  for (const archive of archives) {
    const one: CopyRequest = { ...request, archive, several: archives.length > 1, checkpointDir: settings.checkpointDir, facts: {} };
    const outcome = await needingInOutcome(connection, rights, await copyArchive(context, helpers, one));
    items.push(copyItem(archive, outcome));
    if (outcome.copy !== undefined) yield { text: copyText(archive, outcome.copy, outcome.removedFromNode), name: outcome.copy.path ?? "" };
    if (outcome.failure !== undefined) {
      errors.push(outcome.failure.error);
      yield { error: outcome.failure.error };
    }
    if (call.signal.aborted) break;
  }
  const document: CopyList = { apiVersion: API_VERSION, kind: "CopyList", items };
  return { document, exitCode: exitCodeFor(errors, archives.length) };
}

function copyItem({ node, path }: NodeArchive, { copy, removedFromNode, failure }: CopyOutcome): CopyItem {
  return {
    node,
    nodePath: path,
    ...(copy === undefined ? {} : { copy }),
    ...(removedFromNode === undefined ? {} : { removedFromNode }),
    ...(failure === undefined ? {} : { error: itemError(failure.phase, failure.error) }),
  };
}

/** What a finished copy says: where it is, how fast it came, and its hash. */
export function copyText(archive: NodeArchive, { path, bytes, seconds, sha256 }: Copy, removed: boolean | undefined): Phrase {
  const rate = seconds > 0 ? say` in ${formatSeconds(seconds)} (${formatBytes(Math.round(bytes / seconds))}/s)` : say``;
  const gone = removed === true ? say`, removed from ${archive.node}` : say``;
  return say`${location(archive)} copied: ${formatBytes(bytes)}${rate}, SHA-256 ${sha256}${gone}\n${path ?? ""}`;
}
