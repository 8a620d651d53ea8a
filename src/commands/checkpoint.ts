import { captureOne, proved } from "../flows/capture/one.ts";
import type { CopyPlan } from "../flows/collect/copy/prepare.ts";
import type { FlowContext } from "../flows/context.ts";
import { pickContainers } from "../flows/capture/pick.ts";
import { checkpointRights, requireRights, type Rights, type VerbContext } from "../flows/rights.ts";
import { resolveTargets } from "../flows/capture/targets/resolve.ts";
import { ensureRunning, type ContainerTarget } from "../flows/capture/targets/containers.ts";
import { forecast, type Forecast } from "../kubelet/forecast.ts";
import type { PickerLeft } from "../model/context.ts";
import { UserError, usageError } from "../model/error.ts";
import { location } from "../model/location.ts";
import { command, say } from "../model/phrase.ts";
import type { Outcome, Piece } from "../model/report.ts";
import { formatBytes } from "../model/units.ts";
import { explained } from "./checkpoint/explain.ts";
import { checkpointList, exitCodeOf, pieces, settled } from "./checkpoint/report.ts";
import { checkpointRequest, criuOptionsOf, FLAGS, planOf, PROVE_MS, type CheckpointRequest } from "./checkpoint/request.ts";
import { clusterWords, connected } from "./shared/cluster.ts";
import type { DryRun, WouldBe } from "./shared/dry-run.ts";
import { helperWords } from "./shared/helper-pods.ts";
import { defineVerb } from "./shared/verb.ts";

const FORECAST_MS = 500;

export const verb = defineVerb({
  name: "checkpoint",
  summary: "Checkpoint running containers",
  usage: [
    "[POD | TYPE/NAME]... [-c NAME]... [options]",
    "-l SELECTOR [-A] [-c NAME]... [options]",
    "POD [-c NAME] --every D [options]",
    "--resume RUN.json [options]",
  ],
  description: `Checkpoint running containers. A container is paused for a moment while CRIU writes its memory and state to an archive on
the node; then it keeps running. System calls that sleep are interrupted: most programs repeat them, but a container whose process 1
is busybox' sleep ends. So the original is watched afterwards (--prove); exit status 3 says that it ended. TYPE/NAME (deploy, rs, sts, ds, rc, job, cronjob, svc) selects every running pod behind it.

The archive stays on the node, or is copied to this machine with --copy. It is a memory dump: treat it as a secret. Volumes are not
in it; --volumes copies a pod's emptyDirs beside it. Several containers are recorded in a run file, and --resume continues an interrupted run.`,
  examples: [
    { what: "Pick a container from a list", command: "kubectl checkpoint" },
    { what: "Checkpoint the container nginx of the pod nginx", command: "kubectl checkpoint nginx -c nginx" },
    {
      what: "Checkpoint every container of a deployment and copy the archives",
      command: "kubectl checkpoint deploy/web --all-containers --copy=evidence/",
    },
    { what: "Every ten minutes, keep the last six archives", command: "kubectl checkpoint nginx -c nginx --every 10m --keep 6 --yes" },
    { what: "A pod that has the name of a verb", command: "kubectl checkpoint pod/version" },
  ],
  flags: FLAGS,
  request: checkpointRequest,
  async *run(request, call) {
    const { dryRun } = request;
    if (dryRun !== undefined && request.copy === undefined) throw usageError("--dry-run requires --copy: only copies create helper pods");
    const context = withRights(await connected(request.cluster, call), request);
    if (request.resume !== undefined)
      return yield* (await import("./checkpoint/many.ts")).resumeMany(context, request, request.resume, call.terminal);
    const { targets, offered } = await chosen(context, request);
    if (dryRun !== undefined) return yield* dryRunCopies(context, request, targets, dryRun);
    const [only] = targets;
    if (request.series !== undefined) {
      if (only === undefined || targets.length > 1)
        throw usageError(`--every requires one container: ${targets.length} are selected`, "select one with POD -c NAME");
      return yield* (await import("./checkpoint/series.ts")).takeTurns(context, request, request.series, only);
    }
    if (only === undefined || targets.length > 1)
      return yield* (await import("./checkpoint/many.ts")).takeMany(withRights(context, offered), offered, targets, call.terminal);
    return yield* takeOne(withRights(context, offered), offered, only, call.terminal);
  },
});

/** Where the API server refuses anything, the error lists every permission that this call needs. */
function withRights(context: FlowContext, request: CheckpointRequest): VerbContext {
  return { ...context, rights: rightsOf(context, request) };
}

function rightsOf(context: FlowContext, { query, pick, resume, copy, criuOptions, series, settings }: CheckpointRequest): Rights {
  const { connection } = context;
  const words = query?.words ?? [];
  const helperNamespace = async (): Promise<string> =>
    await new (await import("../helper/helpers.ts")).Helpers(connection, context, settings).namespace();
  return async () =>
    checkpointRights({
      namespace: (query?.allNamespaces ?? pick.allNamespaces) ? undefined : connection.namespace,
      listed: resume === undefined && !(words.length > 0 && words.every(({ kind }) => kind === "pod")),
      workloads: words.flatMap((word) => (word.kind === "workload" ? [word.type] : [])),
      helperNamespace: copy !== undefined || criuOptions.length > 0 || series?.keep !== undefined ? await helperNamespace() : undefined,
    });
}

/** --copy --dry-run: no checkpoint is taken. Throws where none could be. */
async function* dryRunCopies(
  context: FlowContext,
  { copy, series, settings }: CheckpointRequest,
  targets: readonly ContainerTarget[],
  dryRun: DryRun,
): AsyncGenerator<Piece, Outcome> {
  const [{ Helpers }, { dryRunHelpers, helpersOfCopies }] = await Promise.all([
    import("../helper/helpers.ts"),
    import("./shared/dry-run.ts"),
  ]);
  for (const target of targets) ensureRunning(target);
  const nodes = targets.map(({ pod }) => pod.node);
  const removes = copy?.remove === true || series?.keep !== undefined;
  const helpers = new Helpers(context.connection, context, settings);
  const volumes = copy?.volumes === undefined ? [] : await helpersOfVolumes(targets, copy.volumes, settings.checkpointDir);
  return yield* dryRunHelpers(context.connection, helpers, [...helpersOfCopies(nodes, removes), ...volumes], dryRun);
}

/** Those that read volumes: one a pod that has some. Throws a usage error as --volumes does. */
async function helpersOfVolumes(targets: readonly ContainerTarget[], names: readonly string[], checkpointDir: string): Promise<WouldBe[]> {
  const { chosenVolumes, ensureNamed } = await import("../flows/collect/volumes/select.ts");
  const pods = [...new Map(targets.map(({ pod }) => [pod.uid, pod.object])).values()];
  ensureNamed(pods, names);
  return pods.flatMap((pod) => {
    const chosen = chosenVolumes(pod, names, checkpointDir);
    return chosen === undefined
      ? []
      : { node: chosen.node, access: "volumes" as const, directory: chosen.directory, volumes: chosen.names };
  });
}

/** The main job. */
async function* takeOne(
  context: FlowContext,
  request: CheckpointRequest,
  target: ContainerTarget,
  terminal: boolean,
): AsyncGenerator<Piece, Outcome> {
  const [plan, expected] = await Promise.all([planOf(context, request, [target], false), expectedOf(context, request, target)]);
  await using _open = plan;
  await using criuOptions = await criuOptionsOf(context, request, [target.pod.node]);
  if (plan !== undefined) await ensureFitsHere(context, plan, expected?.memoryBytes);
  await using directory = target.pod.node === "" ? undefined : plan?.helpers.directory(target.pod.node);
  const chosen = plan?.volumes?.of(target.pod);
  await using volumes = chosen === undefined ? undefined : plan?.helpers.volumes(chosen.node, chosen.directory, chosen.names);
  // The pods start during the checkpoint; if they cannot, the copy reports why.
  directory?.start();
  volumes?.start();
  const { timeoutMs, proveMs = PROVE_MS } = request;
  const options = {
    timeoutMs,
    proveMs,
    withoutRuntime: plan === undefined && !request.document,
    ...(expected === undefined ? {} : { expected }),
  };
  const captured = await explained(context, request, await captureOne({ ...context, criuOptions }, target, options), true);
  const taken =
    plan === undefined ? captured : await (await import("../flows/collect/copy/captured.ts")).copyCaptured(context, target, captured, plan);
  // It ends beside what is left to do; the command waits for that at the end of this block.
  for (const pod of [directory, volumes]) pod?.[Symbol.asyncDispose]().catch(() => undefined);
  yield* pieces(taken);
  if (terminal && plan === undefined && taken.archive !== undefined) {
    const words = [location(taken.archive), ...helperWords(request.settings), ...clusterWords(request.cluster)];
    context.emit({ kind: "hint", text: say`copy it to this machine: ${command`kubectl checkpoint cp ${words}`}` });
  }
  const done = yield* settled(context, await proved(context, taken), plan?.evidence);
  return { document: checkpointList(context.connection.clock.seconds, [done.item]), exitCode: exitCodeOf([done]) };
}

/** Known before the checkpoint where it is copied, for the room here. */
async function expectedOf(
  { connection }: FlowContext,
  { copy }: CheckpointRequest,
  { pod, container }: ContainerTarget,
): Promise<Forecast | undefined> {
  if (copy === undefined || pod.node === "") return undefined;
  const target = { node: pod.node, namespace: pod.namespace, pod: pod.name, container: container.name };
  return await forecast(connection, target, FORECAST_MS);
}

/** Throws WontFit where the archive would not fit on this machine, and that is not to be passed over. */
async function ensureFitsHere({ emit }: FlowContext, { destination, force }: CopyPlan, bytes: number | undefined): Promise<void> {
  const { directory } = destination;
  const free = bytes === undefined ? Infinity : await directory.freeBytes();
  if (bytes === undefined || bytes <= free) return;
  const why = say`about ${formatBytes(bytes)} are needed in ${directory.path}; ${formatBytes(free)} are free`;
  if (!force)
    throw new UserError({
      reason: "WontFit",
      message: "the archive would not fit; nothing was checkpointed",
      why,
      fix: "free some space, or rerun with --force",
    });
  emit({ kind: "warning", text: say`the archive might not fit: ${why}` });
}

/** What the command line or the person at the terminal chose; for what was picked, the destination of the archives too. Esc there comes back to the list as it was left. */
async function chosen(
  context: VerbContext,
  request: CheckpointRequest,
): Promise<{ readonly targets: readonly ContainerTarget[]; readonly offered: CheckpointRequest }> {
  const left: PickerLeft = { term: "", order: "list", marked: undefined, selected: new Set() };
  for (;;) {
    const targets = await findTargets(context, request, left);
    if (request.query !== undefined || request.copy !== undefined || request.series !== undefined) return { targets, offered: request };
    const { offerCopy } = await import("./checkpoint/consent.ts");
    const offer = await offerCopy(context, targets, request.settings, request.yes);
    if (offer !== undefined) return { targets, offered: { ...request, copy: offer.copy } };
  }
}

async function findTargets(context: VerbContext, { query, pick }: CheckpointRequest, left: PickerLeft): Promise<ContainerTarget[]> {
  return await requireRights(context.connection, context.rights ?? [], async () =>
    query === undefined ? await pickContainers(context, pick, left) : await resolveTargets(context, query),
  );
}
