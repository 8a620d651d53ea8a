import type { ConnectionOptions } from "../../cluster/kubeconfig/options.ts";
import type { CriuOptions } from "../../flows/capture/criu-options.ts";
import type { ContainerTarget } from "../../flows/capture/targets/containers.ts";
import type { TargetQuery } from "../../flows/capture/targets/resolve.ts";
import type { CopyOptions, CopyPlan } from "../../flows/collect/copy/prepare.ts";
import type { VolumesPlan } from "../../flows/collect/volumes/prepare.ts";
import type { EvidenceOptions } from "../../flows/evidence/open.ts";
import type { VerbContext } from "../../flows/rights.ts";
import type { Helpers } from "../../helper/helpers.ts";
import type { HelperSettings } from "../../helper/manifest.ts";
import { criuOptionLine } from "../../kubelet/criu-options.ts";
import { Disposal } from "../../model/disposal.ts";
import { usageError } from "../../model/error.ts";
import { say } from "../../model/phrase.ts";
import { CLUSTER, clusterWords, connectionOptions } from "../shared/cluster.ts";
import { ALL_NAMESPACES, COMMON, DRY_RUN, output } from "../shared/common.ts";
import { againBy, CODEC } from "../shared/copies.ts";
import type { DryRun } from "../shared/dry-run.ts";
import { EVIDENCE, evidenceOptions } from "../shared/evidence.ts";
import { count, duration, group, list, on, optional, text, type Values } from "../shared/flags.ts";
import { HELPER, helperSettings, helperWords } from "../shared/helper-pods.ts";
import { targetWords } from "../shared/targets.ts";

/** One call of `kubectl checkpoint`, its flags read once. */
export interface CheckpointRequest {
  /** Undefined: to be picked. */
  readonly query: TargetQuery | undefined;
  /** Of what is picked: the containers to choose from, and whether of all namespaces. */
  readonly pick: { readonly containers: readonly string[]; readonly allNamespaces: boolean };
  readonly timeoutMs: number | undefined;
  /** How long the original is watched after its checkpoint; 0 is not at all, undefined the default, or what the resumed run had. */
  readonly proveMs: number | undefined;
  readonly copy: CopyOptions | undefined;
  /** Of copies. */
  readonly evidence: EvidenceOptions | undefined;
  /** Lines of CRIU's configuration file, or what the resumed run had. */
  readonly criuOptions: readonly string[];
  readonly dryRun: DryRun | undefined;
  /** Undefined: the default, or what the resumed run had. */
  readonly perNode: number | undefined;
  readonly parallel: number | undefined;
  /** Of --resume: the state of an earlier run. */
  readonly resume: string | undefined;
  readonly series: SeriesOptions | undefined;
  readonly force: boolean;
  /** CRIU's log is read where it fails. */
  readonly explain: boolean;
  readonly yes: boolean;
  /** Whether the document is printed. */
  readonly document: boolean;
  /** Whether each result is printed when it is there: without -o. */
  readonly printed: boolean;
  readonly settings: HelperSettings;
  readonly cluster: ConnectionOptions;
}

/** --every and what goes with it. */
export interface SeriesOptions {
  readonly everyMs: number;
  readonly count: number | undefined;
  readonly keep: number | undefined;
}

/** Of `kubectl checkpoint` itself. */
export const FLAGS = {
  container: list({
    short: "c",
    value: "NAME",
    help: "container or glob, repeatable (default: the default container)",
  }),
  "all-containers": on("every running container of the pods"),
  selector: text({ short: "l", value: "SELECTOR", help: "select pods by label, as in kubectl" }),
  "field-selector": text({ value: "S", help: "select pods by field, for example spec.nodeName=node1" }),
  "all-namespaces": ALL_NAMESPACES,
  timeout: duration("cancel the checkpoint after this time (default: no limit)"),
  prove: duration("watch the original for this time afterwards (default: 5s; 0: do not)"),
  copy: optional({
    value: "DEST",
    help: "copy the archive to DEST (default: the current directory)",
  }),
  "dry-run": { ...DRY_RUN, help: "with --copy: show the helper pods, take no checkpoint" },
  volumes: optional({
    value: "NAME,...",
    help: "with --copy: copy emptyDir volumes too, all or these",
  }),
  remove: on("with --copy: remove the archive from the node after the copy"),
  force: on("continue if space may not suffice; with --copy: replace files"),
  compress: { ...CODEC, help: "with --copy: auto, zstd, lzop, gzip or none (default: auto)" },
  "criu-option": list({
    value: "OPTION",
    help: "for this checkpoint: ghost-limit=SIZE, tcp-established, tcp-close, file-locks, ext-unix-sk, link-remap, irmap-scan-path=DIR",
  }),
  explain: on("if CRIU fails, read its log on the node and report the cause"),
  "per-node": count({ value: "N", help: "checkpoints at a time on one node (default: 1)" }),
  parallel: count({ value: "N", help: "nodes at a time (default: 8)" }),
  resume: text({ value: "RUN.json", help: "continue a run: take what is missing, copy what was not copied" }),
  every: duration("take a series: one checkpoint every D, until stopped"),
  count: count({ value: "N", help: "with --every: stop after N checkpoints" }),
  keep: count({ value: "N", help: "with --every: keep only the last N archives of the series" }),
  version: on("print the version of this plugin"),
  output: output("name", "json", "yaml"),
  ...EVIDENCE,
  ...group("Evidence", {
    "log-lines": count({
      value: "N",
      least: 0,
      help: "with --copy: last lines of the container's log in the record (default: 1000; 0: none)",
    }),
  }),
  ...HELPER,
  ...CLUSTER,
  ...COMMON,
};

type CheckpointFlags = Values<typeof FLAGS>;

/** Throws a usage error. */
export function checkpointRequest(words: readonly string[], flags: CheckpointFlags, env: NodeJS.ProcessEnv): CheckpointRequest {
  if (flags.timeout === 0) throw usageError('invalid value "0" for --timeout: use a duration of more than 0');
  const resume = resumeFile(words, flags);
  const query = targetQuery(words, flags);
  return {
    query,
    pick: { containers: flags.container, allNamespaces: flags["all-namespaces"] },
    timeoutMs: flags.timeout,
    proveMs: flags.prove,
    copy: copyOptions(flags),
    evidence: evidenceOf(flags, env, resume !== undefined),
    criuOptions: flags["criu-option"].map(criuOptionLine),
    dryRun: flags["dry-run"],
    perNode: flags["per-node"],
    parallel: flags.parallel,
    resume,
    series: seriesOptions(flags),
    force: flags.force,
    explain: flags.explain,
    yes: flags.yes,
    document: flags.output === "json" || flags.output === "yaml",
    printed: flags.output === undefined,
    settings: helperSettings(flags, env),
    cluster: connectionOptions(flags),
  };
}

/** What a resumed run takes from its file, and nowhere else. */
const OF_ITS_FILE = [
  ["container", "-c"],
  ["all-containers", "--all-containers"],
  ["selector", "-l"],
  ["field-selector", "--field-selector"],
  ["all-namespaces", "-A"],
  ["copy", "--copy"],
  ["remove", "--remove"],
  ["compress", "--compress"],
  ["volumes", "--volumes"],
  ["log-lines", "--log-lines"],
  ["dry-run", "--dry-run"],
  ["every", "--every"],
  ["count", "--count"],
  ["keep", "--keep"],
] as const satisfies readonly (readonly [keyof CheckpointFlags, string])[];

function resumeFile(words: readonly string[], flags: CheckpointFlags): string | undefined {
  const { resume } = flags;
  if (resume === undefined) return undefined;
  if (words.length > 0) throw usageError("POD and --resume cannot be used together: the targets are in the file");
  const given = OF_ITS_FILE.find(([name]) => isGiven(flags[name]));
  if (given !== undefined) throw usageError(`${given[1]} and --resume cannot be used together: targets and --copy are in the file`);
  return resume;
}

function isGiven(value: boolean | number | string | readonly string[] | undefined): boolean {
  return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false;
}

function targetQuery(words: readonly string[], flags: CheckpointFlags): TargetQuery | undefined {
  const query = {
    words: targetWords(words),
    labelSelector: flags.selector,
    fieldSelector: flags["field-selector"],
    allNamespaces: flags["all-namespaces"],
    containers: flags.container,
    allContainers: flags["all-containers"],
  };
  const selects = query.labelSelector !== undefined || query.fieldSelector !== undefined;
  if (query.allContainers && query.containers.length > 0) throw usageError("--all-containers and -c cannot be used together");
  if (words.length > 0 && selects) throw usageError("names and selectors cannot be used together");
  if (words.length > 0 && query.allNamespaces) throw usageError("names and -A cannot be used together: use a selector");
  if (words.length === 0 && query.allContainers && !selects) throw usageError("--all-containers requires a POD, TYPE/NAME or selector");
  return words.length === 0 && !selects ? undefined : query;
}

function copyOptions({ copy, remove, force, compress, volumes, "log-lines": logLines }: CheckpointFlags): CopyOptions | undefined {
  if (copy === undefined) {
    if (volumes !== undefined) throw usageError("--volumes requires --copy");
    if (remove) throw usageError("--remove requires --copy");
    if (compress !== undefined) throw usageError("--compress requires --copy");
    if (logLines !== undefined) throw usageError("--log-lines requires --copy");
    return undefined;
  }
  if (copy === "-") throw usageError("--copy cannot write to standard output", "kubectl checkpoint cp NODE:ARCHIVE -");
  return {
    destination: copy === "" ? undefined : copy,
    remove,
    force,
    codec: compress ?? "auto",
    ...(logLines === undefined ? {} : { logLines }),
    ...(volumes === undefined ? {} : { volumes: volumeNames(volumes) }),
  };
}

function volumeNames(given: string): string[] {
  if (given === "") return [];
  const names = given.split(",");
  if (names.includes("")) throw usageError(say`invalid value "${given}" for --volumes: use NAME,NAME`);
  return [...new Set(names)];
}

/** A resumed run copies where the run did. */
function evidenceOf(flags: CheckpointFlags, env: NodeJS.ProcessEnv, resumes: boolean): EvidenceOptions | undefined {
  const evidence = evidenceOptions(flags, env, flags.force);
  if (flags.copy !== undefined || resumes) return evidence;
  if (flags["encrypt-to"].length > 0) throw usageError("--encrypt-to requires --copy");
  const given = (["sign-key", "custody"] as const).find((name) => flags[name] !== undefined);
  if (given !== undefined) throw usageError(say`--${given} requires --copy`);
  return undefined;
}

function seriesOptions({ every, count: turns, keep }: CheckpointFlags): SeriesOptions | undefined {
  if (every === undefined) {
    if (turns !== undefined) throw usageError("--count requires --every");
    if (keep !== undefined) throw usageError("--keep requires --every");
    return undefined;
  }
  if (every < 1000) throw usageError("invalid value for --every: use at least 1s");
  return { everyMs: every, count: turns, keep };
}

/** How long an original is watched where --prove does not say so: an end is in the pod's status some seconds late. */
export const PROVE_MS = 5000;

/** What --copy asks for, asked about first; what copies is loaded only here. Throws where no copy could succeed: see prepareCopies. */
export async function planOf(
  context: VerbContext,
  { copy, settings, evidence, yes, cluster }: Pick<CheckpointRequest, "copy" | "settings" | "evidence" | "yes" | "cluster">,
  targets: readonly ContainerTarget[],
  several: boolean,
): Promise<CopyPlan | undefined> {
  if (copy === undefined) return undefined;
  const { prepareCopies } = await import("../../flows/collect/copy/prepare.ts");
  const nodes = [...new Set(targets.map(({ pod }) => pod.node))];
  await using opened = new Disposal();
  const plan = opened.use(await prepareCopies(context, { options: copy, settings, nodes, several, evidence }));
  const volumes =
    copy.volumes === undefined ? undefined : await volumesPlan(context, plan.helpers, targets, { names: copy.volumes, settings, yes });
  opened.release();
  const again = several ? {} : { again: againBy({ ...copy, settings, evidence, cluster }) };
  return { ...plan, volumes, flags: [...helperWords(settings), ...clusterWords(cluster)], ...again };
}

async function volumesPlan(
  context: VerbContext,
  helpers: Helpers,
  targets: readonly ContainerTarget[],
  { names, settings, yes }: { readonly names: readonly string[]; readonly settings: HelperSettings; readonly yes: boolean },
): Promise<VolumesPlan> {
  const { prepareVolumes } = await import("../../flows/collect/volumes/prepare.ts");
  const pods = targets.map(({ pod }) => pod);
  return await prepareVolumes(context, helpers, pods, { names, checkpointDir: settings.checkpointDir, yes });
}

/** What --criu-option asks for, asked about first. Throws where it could not be done, or may not. */
export async function criuOptionsOf(
  context: VerbContext,
  { criuOptions, settings, yes }: Pick<CheckpointRequest, "criuOptions" | "settings" | "yes">,
  nodes: readonly string[],
): Promise<CriuOptions | undefined> {
  if (criuOptions.length === 0) return undefined;
  const { prepareCriuOptions } = await import("../../flows/capture/criu-options.ts");
  return await prepareCriuOptions(context, { lines: criuOptions, settings, nodes, yes });
}
