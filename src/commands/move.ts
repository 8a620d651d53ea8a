import type { ConnectionOptions } from "../cluster/kubeconfig/options.ts";
import { choiceNeeded, containerOf, ensureRunning, type ContainerTarget } from "../flows/capture/targets/containers.ts";
import { findPod } from "../flows/capture/targets/find.ts";
import { agreeTo } from "../flows/consent.ts";
import type { FlowContext } from "../flows/context.ts";
import { undecided, warnOfUndecided } from "../flows/restore/configured.ts";
import { isCheckpoint } from "../flows/restore/image/push.ts";
import type { RegistrySettings } from "../flows/restore/image/registries.ts";
import { lookAhead, untouched, type Ahead } from "../flows/restore/move/before.ts";
import { movePod, type Moved } from "../flows/restore/move/move.ts";
import { obstacles, refuse, refuseQuiesce } from "../flows/restore/move/obstacles.ts";
import { originOfPod, planMoveAhead } from "../flows/restore/move/plan.ts";
import { resumeMove, type Finished } from "../flows/restore/move/resume.ts";
import { Helpers } from "../helper/helpers.ts";
import type { HelperSettings } from "../helper/manifest.ts";
import { formatReference, parseReference, type Reference } from "../image/reference.ts";
import { API_VERSION } from "../model/documents.ts";
import { UserError, usageError } from "../model/error.ts";
import { joined, say } from "../model/phrase.ts";
import type { Outcome, Piece } from "../model/report.ts";
import type { MovedOriginal, Restoration } from "../model/restoration.ts";
import { formatSeconds } from "../model/units.ts";
import { CLUSTER, connected, connectionOptions } from "./shared/cluster.ts";
import { COMMON, DRY_RUN, output } from "./shared/common.ts";
import { dryRunHelper, type DryRun } from "./shared/dry-run.ts";
import { list, on, text } from "./shared/flags.ts";
import { HELPER, helperSettings } from "./shared/helper-pods.ts";
import { REGISTRY, registrySettings } from "./shared/registry.ts";
import { BYPASS_SCHEDULER, CHECKPOINT_IMAGE, EXPLAIN_RESTORE, proof, shown } from "./shared/restoring.ts";
import { defineVerb, type Call } from "./shared/verb.ts";

export interface MoveRequest {
  readonly pod: string;
  readonly container: string | undefined;
  readonly to: string;
  readonly name: string | undefined;
  readonly reference: Reference;
  readonly force: boolean;
  readonly explain: boolean;
  readonly quiesce: boolean;
  readonly bypassScheduler: boolean;
  readonly dryRun: DryRun | undefined;
  readonly settings: RegistrySettings;
  readonly helper: HelperSettings;
  readonly yes: boolean;
  readonly cluster: ConnectionOptions;
}

export const verb = defineVerb({
  name: "move",
  summary: "Move a running pod to another node, with its memory",
  usage: ["move POD [-c NAME] --to NODE --image REFERENCE [options]"],
  description: `Move a running pod to another node. Its container is checkpointed, the checkpoint is pushed as the image REFERENCE (through this
machine, but not to its disk) and restored on NODE in a new pod with the same annotations and probes, called POD-NODE. Only when the new
pod is known to run there, the original is deleted; then the new pod gets the labels, so that no Service leads to both.

Everything that can be known is checked before the freeze. On a failure, or when interrupted, the original keeps running and the new pod
and the image are deleted. If it cannot be seen whether the new pod runs, both are kept and named (exit status 3); rerun the command, also
after it was killed, to end such a move.

What the original does between the freeze and its deletion is lost; the time of the freeze is shown for confirmation before the original
is deleted. --quiesce takes it out of its Services first. Network connections are not moved: clients must reconnect.

Refused without --force: pods with a controller (it would replace them), ReadWriteOnce volumes (only one node can use them), emptyDir
volumes that are not empty (their files are not moved), generic ephemeral volumes (they are deleted with the original), resource claims
(devices of the node), and pods with several containers (the others start from the beginning).`,
  examples: [
    { what: "Move a pod", command: "kubectl checkpoint move redis --to node2 --image registry.local:5000/moves/redis:1" },
    {
      what: "Show what would be created",
      command: "kubectl checkpoint move redis --to node2 --image registry.local:5000/moves/redis:1 --dry-run=client -o yaml",
    },
    {
      what: "In a script, with a registry that has a private CA",
      command: "kubectl checkpoint move redis --to node2 --image registry.local:5000/moves/redis:1 --ca-file ca.crt --yes -o json",
    },
  ],
  flags: {
    to: text({ value: "NODE", help: "node to move the pod to" }),
    image: CHECKPOINT_IMAGE,
    container: list({
      short: "c",
      value: "NAME",
      help: "container to move (default: the default container)",
    }),
    name: text({ value: "NAME", help: "name of the new pod (default: POD-NODE)" }),
    quiesce: on("take the pod out of its Services before the freeze; put it back on any failure"),
    "bypass-scheduler": BYPASS_SCHEDULER,
    force: on("move the pod although something is lost"),
    explain: EXPLAIN_RESTORE,
    "dry-run": DRY_RUN,
    output: output("name", "json", "yaml"),
    ...REGISTRY,
    ...HELPER,
    ...CLUSTER,
    ...COMMON,
  },
  request(words, flags, env): MoveRequest {
    const [word, more] = words.length > 1 && /^(pods?|po)$/.test(words[0] ?? "") ? words.slice(1) : words;
    const pod = word?.replace(/^(pods?|po)\//, "") ?? "";
    const usage = "kubectl checkpoint move POD --to NODE --image REFERENCE";
    if (pod === "") throw usageError("POD is required", usage);
    if (pod.includes("/")) throw usageError(say`invalid target "${word ?? ""}": move takes one POD`, usage);
    if (more !== undefined) throw usageError(say`unexpected argument "${more}": move takes one POD`);
    const { to, image } = flags;
    if (to === undefined || to === "") throw usageError("--to is required", "give --to NODE; list the nodes with: kubectl get nodes");
    if (image === undefined)
      throw usageError("--image is required", "give --image REGISTRY/REPOSITORY:TAG, in a registry that the node can pull from");
    const [container, other] = flags.container;
    if (other !== undefined) throw usageError("-c can be given only once: move moves the memory of one container");
    return {
      pod,
      container,
      to,
      name: flags.name,
      reference: parseReference(image),
      force: flags.force,
      explain: flags.explain,
      quiesce: flags.quiesce,
      bypassScheduler: flags["bypass-scheduler"],
      dryRun: flags["dry-run"],
      settings: registrySettings(flags),
      helper: helperSettings(flags, env),
      yes: flags.yes,
      cluster: connectionOptions(flags),
    };
  },
  async *run(request, call) {
    const context = await connected(request.cluster, call);
    const { dryRun, yes } = request;
    const copyName = request.name ?? `${request.pod}-${request.to}`;
    const finished = dryRun === undefined ? await resumeMove(context, request.pod, copyName, yes) : undefined;
    if (finished !== undefined) return yield* reportFinished(call, finished);
    const { target, found } = await untouched(context, request.pod, async () => {
      const one = await findTargetPod(context, request);
      return { target: one, found: await obstacles(context, one.pod, one.container) };
    });
    const { pod } = target;
    if (request.quiesce) refuseQuiesce(pod);
    if (!request.force) refuse(pod, found);
    for (const text of found) call.emit({ kind: "warning", text });
    const helpers = new Helpers(context.connection, call, request.helper);
    if (dryRun !== undefined) return yield* dryRunMove(call, context, request, target, helpers, dryRun);
    const moved = await movePod(context, {
      ...request,
      target,
      helpers,
      consent: async (ahead) => {
        if (!yes) await consent(context, request, target, helpers, ahead);
      },
      consentToDelete: async (frozenAt, created) => {
        if (yes) return;
        const ago = formatSeconds((call.now() - frozenAt.getTime()) / 1000);
        await agreeTo(
          context,
          say`pod/${created.name} runs on ${created.node} with the state of pod/${pod.name} at ${frozenAt.toISOString()}. Everything that pod/${pod.name} did in the ${ago} since then will be lost. Delete pod/${pod.name}?`,
          { message: say`this would delete pod/${pod.name}` },
        );
      },
    });
    return yield* reportMoved(call, target, moved);
  },
});

async function* reportMoved(call: Call, { pod }: ContainerTarget, moved: Moved): AsyncGenerator<Piece, Outcome> {
  const { plan, restored, frozenAt, deletedAt, services, seconds } = moved;
  const lost = formatSeconds((Date.parse(deletedAt) - Date.parse(frozenAt)) / 1000);
  yield {
    text: say`pod/${pod.name} moved from ${pod.node} to ${restored.node} as pod/${plan.name}: frozen at ${frozenAt}, the original deleted ${lost} later`,
    name: `pod/${plan.name}`,
  };
  call.emit({ kind: "hint", text: proof(restored.evidence) });
  if (services !== undefined && services.length > 0) {
    const text = say`lost: what pod/${pod.name} accepted in these ${lost} through its Services (${joined(services, ", ")})`;
    call.emit({ kind: "warning", text });
  }
  const original = { pod: pod.name, node: pod.node, frozenAt, deletedAt, ...(services === undefined ? {} : { services }) };
  return { document: restoration({ ...plan, pod: plan.name }, restored.node, restored.evidence, seconds, original), exitCode: 0 };
}

/** Of a move that had been killed at its end. */
async function* reportFinished(call: Call, { copy, image, restored }: Finished): AsyncGenerator<Piece, Outcome> {
  const { namespace, name, record } = copy;
  const { from, container, frozenAt } = record;
  const node = restored?.node ?? "";
  yield {
    text: say`pod/${from.name} moved from ${from.node}${node === "" ? say`` : say` to ${node}`} as pod/${name}: frozen at ${frozenAt}`,
    name: `pod/${name}`,
  };
  if (restored !== undefined) call.emit({ kind: "hint", text: proof(restored.evidence) });
  const original = { pod: from.name, node: from.node, frozenAt };
  const document = restoration({ namespace, pod: name, container, image }, node, restored?.evidence, 0, original);
  return { document, exitCode: restored === undefined ? 3 : 0 };
}

/** `evidence`: undefined where it was not seen that it runs from the checkpoint. */
function restoration(
  { namespace, pod, container, image }: Pick<Restoration, "namespace" | "pod" | "container" | "image">,
  node: string,
  evidence: readonly string[] | undefined,
  seconds: number,
  original: MovedOriginal,
): Restoration {
  return {
    apiVersion: API_VERSION,
    kind: "Restoration",
    namespace,
    pod,
    container,
    node,
    image,
    restored: evidence !== undefined,
    evidence: evidence ?? [],
    seconds,
    original,
  };
}

/** The helper pods that the archive is read by and removed by, and the new pod between them: in the order of their making. */
async function* dryRunMove(
  call: Call,
  context: FlowContext,
  request: MoveRequest,
  target: ContainerTarget,
  helpers: Helpers,
  dryRun: DryRun,
): AsyncGenerator<Piece, Outcome> {
  const { connection } = context;
  const { pod } = target;
  const reference = formatReference(request.reference);
  const never = async (): Promise<void> => await Promise.resolve();
  const ahead =
    dryRun === "server"
      ? await lookAhead(context, { ...request, target, helpers, consent: never, consentToDelete: never })
      : { plan: planMoveAhead(target, request, await originOfPod(context, target), reference), objects: undefined };
  const { plan, objects = [plan.pod] } = ahead;
  if ("place" in ahead) warnOfUndecided(context, undecided(ahead.place));
  const read = yield* dryRunHelper(connection, helpers, { node: pod.node, access: "read" }, dryRun);
  yield* shown(call, plan, objects, dryRun === "server" ? "server dry run" : "dry run");
  const remove = yield* dryRunHelper(connection, helpers, { node: pod.node, access: "write" }, dryRun);
  call.emit({ kind: "hint", text: say`note: the digest of the image and the command of the process are not known before the checkpoint` });
  call.emit({ kind: "hint", text: say`note: the pod gets its labels when the original is deleted` });
  return {
    document: { apiVersion: "v1", kind: "List", items: [read.document, ...objects, remove.document] },
    exitCode: 0,
  };
}

async function findTargetPod(context: FlowContext, { pod: name, container: wanted, to }: MoveRequest): Promise<ContainerTarget> {
  const pod = await findPod(context, name);
  const container = containerOf(pod, wanted);
  if (container === undefined) throw choiceNeeded(pod);
  if (container.kind !== "container")
    throw usageError(say`container ${container.name} is an ${container.kind} container: only regular containers can be moved`);
  ensureRunning({ pod, container });
  if (pod.node === to) throw new UserError({ reason: "AlreadyThere", message: say`pod/${pod.name} is already on node ${to}`, exitCode: 2 });
  return { pod, container };
}

async function consent(
  context: FlowContext,
  { to, reference, helper }: MoveRequest,
  { pod }: ContainerTarget,
  helpers: Helpers,
  { found, place }: Ahead,
): Promise<void> {
  const image = formatReference(reference);
  const replaced =
    found !== undefined && !isCheckpoint(found) ? say` The existing image, which is not a checkpoint, will be replaced.` : say``;
  const helperPod = say`A privileged helper pod on ${pod.node} (namespace ${await helpers.namespace()}, image ${helper.image}) reads the archive.${undecided(place).length === 0 ? say`` : say` Another one there and one on ${to} read how the runtimes are configured.`}`;
  await agreeTo(
    context,
    say`This moves pod/${pod.name} from ${pod.node} to ${to}. All its memory, with passwords and keys, is pushed to ${image}: everyone who can pull it can read them. ${helperPod} Everything that the pod does after the freeze is lost.${replaced} Move pod/${pod.name}?`,
    {
      message: say`this would push all memory of pod/${pod.name} to ${image}, where everyone who can pull it can read it, and delete the pod`,
    },
  );
}
