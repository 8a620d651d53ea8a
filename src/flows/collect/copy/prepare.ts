import type { Codec } from "../../../helper/directory.ts";
import { Helpers } from "../../../helper/helpers.ts";
import type { Access, HelperSettings } from "../../../helper/manifest.ts";
import { openDestination, type Destination } from "../../../local/destination.ts";
import { alreadyExists } from "../../../local/failure.ts";
import { encryptedName } from "../../../local/names.ts";
import { Disposal } from "../../../model/disposal.ts";
import type { FlowContext } from "../../context.ts";
import type { Evidence, EvidenceOptions } from "../../evidence/open.ts";
import type { VolumesPlan } from "../volumes/prepare.ts";
import type { CopyAgain } from "./copy.ts";
import { ensureRights, helperRights, requireRights, type VerbContext } from "../../rights.ts";

/** --copy and what belongs to it. */
export interface CopyOptions {
  /** DEST as given; undefined is the working directory. */
  readonly destination: string | undefined;
  /** From the node, once the copy is verified. */
  readonly remove: boolean;
  readonly force: boolean;
  readonly codec: Codec | "auto";
  /** --log-lines. */
  readonly logLines?: number | undefined;
  /** --volumes: names, or none for all emptyDirs. */
  readonly volumes?: readonly string[] | undefined;
}

/** What becomes of archives once they are made: where they go is open until the plan is disposed of. */
export interface CopyPlan extends AsyncDisposable {
  readonly helpers: Helpers;
  readonly destination: Destination;
  readonly remove: boolean;
  readonly force: boolean;
  readonly codec: Codec | "auto";
  readonly logLines?: number | undefined;
  /** What makes evidence of the copies. */
  readonly evidence?: Evidence | undefined;
  readonly volumes?: VolumesPlan | undefined;
  /** See CopyRequest: of a single container, a run has its own way to continue. */
  readonly again?: CopyAgain | undefined;
  /** Words of the command line by which the same cluster and helper pods are reached. */
  readonly flags?: readonly string[];
}

export interface Copies {
  readonly options: CopyOptions;
  readonly settings: HelperSettings;
  /** Where the archives will be. */
  readonly nodes: readonly string[];
  /** Several archives go to the destination: it must be a directory. */
  readonly several: boolean;
  readonly evidence?: EvidenceOptions | undefined;
}

/**
 * Everything that can be known of copies before a container is frozen for them: that DEST is there, this user may write to it and its name
 * is free; that the user has every right that the helper pods need; that the cluster would admit them. Throws a UserError where a
 * copy could not succeed.
 */
export async function prepareCopies(
  context: VerbContext,
  { options, settings, nodes, several, evidence: wanted }: Copies,
): Promise<CopyPlan> {
  await using opened = new Disposal();
  const destination = opened.use(await openDestination(options.destination, several));
  const helpers = new Helpers(context.connection, context, settings);
  const { directory, file } = destination;
  const nameIsFree = async (): Promise<void> => {
    const name = file === undefined || (wanted?.encryptTo ?? []).length === 0 ? file : encryptedName(file);
    if (name === undefined || options.force || (await directory.look(name)) === undefined) return;
    throw alreadyExists(directory.pathOf(name), undefined, "rerun with --force to replace it, or choose another destination");
  };
  const accesses = options.remove ? (["read", "write"] as const) : (["read"] as const);
  // What is looked at here is done before anything else can end the command.
  await directory.ensureWritable();
  await nameIsFree();
  await requireRights(context.connection, context.rights ?? [], async () => await ensureHelpers(context, helpers, nodes, accesses));
  const evidence = wanted === undefined ? undefined : await (await import("../../evidence/open.ts")).openEvidence(context, wanted);
  opened.release();
  const { remove, force, codec, logLines } = options;
  return {
    helpers,
    destination,
    remove,
    force,
    codec,
    logLines,
    evidence,
    [Symbol.asyncDispose]: async () => await destination[Symbol.asyncDispose](),
  };
}

/** Rights and admission of the helper pods that these nodes will have. A policy that refuses one of them refuses all: the first is asked about. */
export async function ensureHelpers(
  { connection }: FlowContext,
  helpers: Helpers,
  nodes: readonly string[],
  accesses: readonly Access[],
): Promise<void> {
  const node = nodes.find((name) => name !== "");
  if (node === undefined) return;
  const admitted = async (): Promise<void> => {
    await Promise.all(accesses.map(async (access) => await helpers.ensureAdmitted(node, access)));
  };
  await Promise.all([ensureRights(connection, helperRights(await helpers.namespace())), admitted()]);
}
