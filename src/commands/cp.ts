import type { ConnectionOptions } from "../cluster/kubeconfig/options.ts";
import { copyArchive, type CopyOutcome, type CopyRequest } from "../flows/collect/copy/copy.ts";
import { held } from "../flows/collect/nodes/each.ts";
import { streamArchive } from "../flows/collect/copy/stream.ts";
import { openEvidence, sealCopy, type Evidence, type EvidenceOptions } from "../flows/evidence/open.ts";
import { helperRights, withMissingRights } from "../flows/rights.ts";
import type { Codec } from "../helper/directory.ts";
import { Helpers } from "../helper/helpers.ts";
import type { HelperSettings } from "../helper/manifest.ts";
import { openDestination } from "../local/destination.ts";
import { WHOLE, type Event } from "../model/context.ts";
import { API_VERSION, itemError, type CopyItem, type CopyList } from "../model/documents.ts";
import { exitCodeFor, UserError, usageError } from "../model/error.ts";
import type { NodeArchive } from "../model/location.ts";
import { say, styled, type Table } from "../model/phrase.ts";
import { counted, formatBytes } from "../model/units.ts";
import { CLUSTER, connected, connectionOptions } from "./shared/cluster.ts";
import { COMMON, DRY_RUN, output } from "./shared/common.ts";
import { againBy, CODEC, copyCommand, copyText } from "./shared/copies.ts";
import { dryRunHelpers, helpersOfCopies, type DryRun } from "./shared/dry-run.ts";
import { EVIDENCE, evidenceOptions } from "./shared/evidence.ts";
import { on } from "./shared/flags.ts";
import { HELPER, helperSettings, isNodeArchive, parseNodeArchive } from "./shared/helper-pods.ts";
import { defineVerb, type Call } from "./shared/verb.ts";

export interface CpRequest {
  readonly archives: readonly NodeArchive[];
  /** "-" is stdout; undefined the working directory. */
  readonly destination: string | undefined;
  readonly force: boolean;
  readonly codec: Codec | "auto";
  readonly remove: boolean;
  readonly evidence: EvidenceOptions | undefined;
  readonly dryRun: DryRun | undefined;
  /** Whether results are printed for people: without -o. */
  readonly printed: boolean;
  readonly settings: HelperSettings;
  readonly cluster: ConnectionOptions;
}

export const verb = defineVerb({
  name: "cp",
  summary: "Copy archives from nodes to this machine",
  usage: ["cp NODE:ARCHIVE... [DEST] [options]"],
  description: `Copy archives from nodes to this machine and verify them. ARCHIVE is a file name in the node's checkpoint directory, or its full
path there, as "kubectl checkpoint" prints it. DEST is a directory, a file name, or "-" for standard output (default: the current
directory).

A privileged helper pod on the node serves the archive for the time of the copy. Size and SHA-256 are compared on both sides before the
file gets its name. A record, FILE.json, is written beside it: what was copied, when, and by whom. Rerun an interrupted copy to resume it.`,
  examples: [
    {
      what: "Copy an archive to the current directory",
      command: "kubectl checkpoint cp node1:checkpoint-nginx_default-nginx-2026-11-24T06:10:21Z.tar",
    },
    {
      what: "Copy it to a directory, then remove it from the node",
      command: "kubectl checkpoint cp node1:/var/lib/kubelet/checkpoints/checkpoint-a.tar evidence/ --remove",
    },
    { what: "Send it to another program", command: "kubectl checkpoint cp node1:checkpoint-a.tar - | age -r age1... >a.tar.age" },
    { what: "Show the helper pod without creating it", command: "kubectl checkpoint cp node1:checkpoint-a.tar --dry-run=client -o yaml" },
  ],
  flags: {
    force: on("replace existing files"),
    compress: CODEC,
    remove: on("remove the archive from the node when the copy is verified and on disk"),
    "dry-run": DRY_RUN,
    output: output("name", "json", "yaml"),
    ...EVIDENCE,
    ...HELPER,
    ...CLUSTER,
    ...COMMON,
  },
  request(words, flags, env): CpRequest {
    const settings = helperSettings(flags, env);
    const last = words.at(-1);
    const hasDestination = words.length > 1 && last !== undefined && !isNodeArchive(last);
    const given = hasDestination ? words.slice(0, -1) : words;
    if (given.length === 0) throw usageError("NODE:ARCHIVE is required", "kubectl checkpoint cp NODE:ARCHIVE [DEST]");
    const archives = given.map((word) => parseNodeArchive(word, settings.checkpointDir));
    const destination = hasDestination ? last : undefined;
    if (destination === "-" && archives.length > 1) throw usageError("only one archive can be written to standard output");
    if (destination === "-" && flags.remove)
      throw usageError(
        "--remove and standard output cannot be used together: whether the reader stored the archive is unknown",
        "check the stored archive, then: kubectl checkpoint rm NODE:ARCHIVE",
      );
    const evidence = evidenceOptions(flags, env, flags.force);
    if (destination === "-" && (flags["sign-key"] ?? flags.custody) !== undefined)
      throw usageError("--sign-key and --custody cannot be used with standard output", "copy the archive to a file");
    return {
      archives,
      evidence,
      destination,
      force: flags.force,
      codec: flags.compress ?? "auto",
      remove: flags.remove,
      dryRun: flags["dry-run"],
      printed: flags.output === undefined,
      settings,
      cluster: connectionOptions(flags),
    };
  },
  async *run(request, call) {
    const { archives, destination, dryRun, settings } = request;
    const context = await connected(request.cluster, call);
    const helpers = new Helpers(context.connection, call, settings);
    const [first] = archives;
    if (dryRun !== undefined) {
      const nodes = archives.map(({ node }) => node);
      return yield* dryRunHelpers(context.connection, helpers, helpersOfCopies(nodes, request.remove), dryRun);
    }
    if (destination === "-" && first !== undefined) {
      const plain = streamArchive(context, helpers, { ...request, archive: first, made: false });
      const { encryptTo = [] } = request.evidence ?? {};
      yield { bytes: encryptTo.length === 0 ? plain : await encryptedStream(plain, encryptTo) };
      return { exitCode: 0 };
    }
    await using to = await openDestination(destination, archives.length > 1);
    const evidence = request.evidence === undefined ? undefined : await openEvidence(call, request.evidence);
    const items: CopyItem[] = [];
    const errors: UserError[] = [];
    const of = archives.length;
    // At a terminal several are a table in the end; scripts get the result of each as it comes.
    const tabled = call.terminal && request.printed && of > 1;
    const rights = helperRights(await helpers.namespace());
    // One helper pod for all archives of a node, whose end holds no result back.
    await using _pods = held(helpers, [...new Set(archives.map(({ node }) => node))], "read");
    const again = of > 1 ? {} : { again: againBy(request) };
    try {
      for (const archive of archives) {
        if (of > 1) call.emit(wholeOf(items, of));
        const one: CopyRequest = { ...request, destination: to, archive, facts: {}, made: false, evidence, ...again };
        const copied = await withMissingRights(context.connection, rights, await copyArchive(context, helpers, one));
        const outcome = await sealedOutcome(call, copied, evidence);
        items.push(copyItem(archive, outcome));
        if (outcome.copy !== undefined && !tabled)
          yield { text: copyText(archive, outcome.copy, outcome.removedFromNode), name: outcome.copy.path ?? "" };
        if (outcome.failure !== undefined) {
          errors.push(outcome.failure.error);
          yield { error: outcome.failure.error };
        }
        call.signal.throwIfAborted();
      }
    } catch (error) {
      if (!call.signal.aborted || of < 2) throw error;
      call.emit({ kind: "idle", lane: WHOLE });
      if (tabled && items.length > 0) yield { text: copyTable(items) };
      const left = archives.filter((_, index) => items[index] === undefined || items[index].error !== undefined);
      const done = say`${of - left.length} of ${counted(of, "archive")} copied`;
      const how = copyCommand(left, to.directory.path, request);
      call.emit({ kind: "hint", text: left.length === 0 ? done : say`${done}; to continue: ${how}` });
      throw error;
    }
    call.emit({ kind: "idle", lane: WHOLE });
    if (tabled) yield { text: copyTable(items) };
    if (of > 1) call.emit({ kind: "hint", text: say`${of - errors.length} of ${counted(of, "archive")} copied` });
    const document: CopyList = { apiVersion: API_VERSION, kind: "CopyList", items };
    return { document, exitCode: exitCodeFor(errors, archives.length) };
  },
});

/** How far all of them are, in the line above that of the archive under way. */
function wholeOf(items: readonly CopyItem[], of: number): Event {
  const bytes = items.reduce((sum, { copy }) => sum + (copy?.bytes ?? 0), 0);
  const copied = bytes === 0 ? say`` : say`, ${formatBytes(bytes)} copied`;
  const lead = say`${Math.floor((100 * items.length) / of)}%`;
  return { kind: "activity", lane: WHOLE, text: say`${items.length} of ${counted(of, "archive")} done${copied}`, lead };
}

/** Of several, on a terminal: what became of each, in a line. FREEZE is CRIU's own time. */
function copyTable(items: readonly CopyItem[]): Table {
  return {
    columns: ["NODE", "FREEZE", "SIZE", "ON NODE", "PATH"],
    rows: items.map(({ node, nodePath, copy, removedFromNode, error }) => [
      node,
      copy?.frozenSeconds === undefined ? "-" : `${Math.round(copy.frozenSeconds * 1000)}ms`,
      copy === undefined ? "-" : formatBytes(copy.bytes),
      removedFromNode === true ? "removed" : copy === undefined ? "-" : error?.phase === "remove" ? "unknown" : "kept",
      copy?.path ?? styled("bad", `${error?.reason ?? "-"}: ${nodePath}`),
    ]),
    // A path is to be pasted: it stays whole.
    narrow: { below: "PATH", shorten: [{ NODE: "middle" }] },
  };
}

/** For a pipe, too, --encrypt-to means that nothing in plain leaves this process. */
async function encryptedStream(plain: AsyncIterable<Buffer>, encryptTo: readonly string[]): Promise<AsyncIterable<Buffer>> {
  const [{ newHeader }, { encrypted }, { readRecipients }] = await Promise.all([
    import("../age/header.ts"),
    import("../age/payload.ts"),
    import("../age/recipients.ts"),
  ]);
  return encrypted(await newHeader(await readRecipients(encryptTo)), plain);
}

/** The copy, signed where that was asked for. */
async function sealedOutcome(call: Call, outcome: CopyOutcome, evidence: Evidence | undefined): Promise<CopyOutcome> {
  if (outcome.copy === undefined || evidence === undefined) return outcome;
  try {
    return { ...outcome, copy: await sealCopy(call, { copy: outcome.copy }, "cp", evidence) };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { ...outcome, failure: outcome.failure ?? { phase: "seal", error } };
  }
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
