import type { ConnectionOptions } from "../cluster/kubeconfig/options.ts";
import type { FlowContext } from "../flows/context.ts";
import type { RegistrySettings } from "../flows/restore/image/registries.ts";
import { lookAtNode, movePod, moveRights } from "../flows/restore/move/move.ts";
import { obstacles, refuse } from "../flows/restore/move/obstacles.ts";
import { originOfPod, planMoveAhead } from "../flows/restore/move/plan.ts";
import { agreeTo } from "../flows/consent.ts";
import { createRestored } from "../flows/restore/create.ts";
import { requireRights } from "../flows/rights.ts";
import { isCheckpoint } from "../flows/restore/image/push.ts";
import { choiceNeeded, containerOf, ensureRunning, type ContainerTarget } from "../flows/capture/targets/containers.ts";
import { findPod } from "../flows/capture/targets/find.ts";
import { Helpers } from "../helper/helpers.ts";
import type { HelperSettings } from "../helper/manifest.ts";
import { formatReference, parseReference, type Reference } from "../image/reference.ts";
import type { FoundManifest } from "../image/registry/manifests.ts";
import { API_VERSION } from "../model/documents.ts";
import { UserError, usageError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import type { Outcome, Piece } from "../model/report.ts";
import type { Restoration } from "../model/restoration.ts";
import { formatSeconds } from "../model/units.ts";
import { CLUSTER, connected, connectionOptions } from "./shared/cluster.ts";
import { COMMON, DRY_RUN, output } from "./shared/common.ts";
import { dryRunHelper, type DryRun } from "./shared/dry-run.ts";
import { list, on, text } from "./shared/flags.ts";
import { HELPER, helperSettings } from "./shared/helper-pods.ts";
import { REGISTRY, registrySettings } from "./shared/registry.ts";
import { CHECKPOINT_IMAGE, EXPLAIN_RESTORE, proof, shown } from "./shared/restoring.ts";
import { defineVerb, type Call } from "./shared/verb.ts";

export interface MoveRequest {
  readonly pod: string;
  readonly container: string | undefined;
  readonly to: string;
  readonly name: string | undefined;
  readonly reference: Reference;
  readonly force: boolean;
  readonly explain: boolean;
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
machine, but not to its disk) and restored on NODE in a new pod with the same labels, annotations and probes. Only when the new pod runs
there, the original is deleted. On any failure the original is kept and the new pod is deleted.

What the original does between the freeze and its deletion is lost; the time of the freeze is shown for confirmation before the original
is deleted. Network connections are not moved: clients must reconnect to a new address. The new pod is called POD-NODE.

Refused without --force: pods with a controller (it would replace them), ReadWriteOnce volumes (only one node can use them), emptyDir
volumes that are not empty (their files are not moved), generic ephemeral volumes (they are deleted with the original), and pods with
several containers (the others start from the beginning).`,
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
    if (pod === "" || pod.includes("/")) throw usageError("POD is required", "kubectl checkpoint move POD --to NODE --image REFERENCE");
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
      dryRun: flags["dry-run"],
      settings: registrySettings(flags),
      helper: helperSettings(flags, env),
      yes: flags.yes,
      cluster: connectionOptions(flags),
    };
  },
  async *run(request, call) {
    const context = await connected(request.cluster, call);
    const target = await findTargetPod(context, request);
    const { pod } = target;
    const found = await obstacles(context, pod, target.container);
    if (!request.force) refuse(pod, found);
    for (const what of found) call.emit({ kind: "warning", text: say`${what}` });
    const helpers = new Helpers(context.connection, call, request.helper);
    if (request.dryRun !== undefined) return yield* dryRunMove(call, context, request, target, helpers, request.dryRun);
    const moved = await movePod(context, {
      ...request,
      target,
      helpers,
      consent: async (there) => {
        if (!request.yes) await consent(context, request, target, helpers, there);
      },
      consentToDelete: async (frozenAt, created) => {
        if (request.yes) return;
        const ago = formatSeconds((call.now() - frozenAt.getTime()) / 1000);
        await agreeTo(
          context,
          say`pod/${created.name} runs on ${created.node} with the state of pod/${pod.name} at ${frozenAt.toISOString()}. Everything that pod/${pod.name} did in the ${ago} since then will be lost. Delete pod/${pod.name}?`,
          { message: say`this would delete pod/${pod.name}` },
        );
      },
    });
    const { plan, restored, frozenAt, deletedAt, seconds } = moved;
    const lost = formatSeconds((Date.parse(deletedAt) - Date.parse(frozenAt)) / 1000);
    yield {
      text: say`pod/${pod.name} moved from ${pod.node} to ${restored.node} as pod/${plan.name}: frozen at ${frozenAt}, the original deleted ${lost} later`,
      name: `pod/${plan.name}`,
    };
    call.emit({ kind: "hint", text: proof(restored.evidence) });
    const document: Restoration = {
      apiVersion: API_VERSION,
      kind: "Restoration",
      namespace: plan.namespace,
      pod: plan.name,
      container: plan.container,
      node: restored.node,
      image: plan.image,
      restored: true,
      evidence: restored.evidence,
      seconds,
      original: { pod: pod.name, node: pod.node, frozenAt, deletedAt },
    };
    return { document, exitCode: 0 };
  },
});

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
  const server = dryRun === "server";
  const origin = await originOfPod(context, target);
  if (server) await lookAtNode(context, request.to, request.settings, origin);
  const plan = planMoveAhead(target, request, origin, formatReference(request.reference));
  const read = yield* dryRunHelper(connection, helpers, pod.node, "read", dryRun);
  const rights = moveRights(pod.namespace, await helpers.namespace());
  const pods = server ? await requireRights(connection, rights, async () => await createRestored(context, plan, true)) : [plan.pod];
  yield* shown(call, plan, pods, server ? "server dry run" : "dry run");
  const remove = yield* dryRunHelper(connection, helpers, pod.node, "write", dryRun);
  call.emit({ kind: "hint", text: say`note: the digest of the image and the command of the process are not known before the checkpoint` });
  return {
    document: { apiVersion: "v1", kind: "List", items: [read.document, ...pods, remove.document] },
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
  there: FoundManifest | undefined,
): Promise<void> {
  const image = formatReference(reference);
  const replaced =
    there !== undefined && !isCheckpoint(there) ? say` The existing image, which is not a checkpoint, will be replaced.` : say``;
  const helperPod = say`A privileged helper pod on ${pod.node} (namespace ${await helpers.namespace()}, image ${helper.image}) reads the archive.`;
  await agreeTo(
    context,
    say`This moves pod/${pod.name} from ${pod.node} to ${to}. All its memory, with passwords and keys, is pushed to ${image}: everyone who can pull it can read them. ${helperPod} Everything that the pod does after the freeze is lost.${replaced} Move pod/${pod.name}?`,
    {
      message: say`this would push all memory of pod/${pod.name} to ${image}, where everyone who can pull it can read it, and delete the pod`,
    },
  );
}
