import type { ConnectionOptions } from "../cluster/kubeconfig/options.ts";
import type { FlowContext } from "../flows/context.ts";
import { consentToPush } from "../flows/restore/image/consent.ts";
import { pushImage } from "../flows/restore/image/push.ts";
import type { RegistrySettings } from "../flows/restore/image/registries.ts";
import { archiveFile } from "../flows/restore/image/source.ts";
import { requireRights } from "../flows/rights.ts";
import { checkBaseImage } from "../flows/restore/base.ts";
import { agreeToPowers } from "../flows/restore/consent.ts";
import { createRestored, restoreRights } from "../flows/restore/create.ts";
import { findTarget, type Target } from "../flows/restore/nodes.ts";
import { checkpointInFile, checkpointInRegistry, type Checkpoint } from "../flows/restore/origin.ts";
import { planRestore, type RestoreOptions, type RestorePlan } from "../flows/restore/plan.ts";
import { watchExplained, type Explaining } from "../flows/restore/explained.ts";
import type { Restored } from "../flows/restore/watch.ts";
import { Helpers } from "../helper/helpers.ts";
import type { HelperSettings } from "../helper/manifest.ts";
import { formatReference, parseReference, pinned, type Reference } from "../image/reference.ts";
import { API_VERSION } from "../model/documents.ts";
import { usageError } from "../model/error.ts";
import { command, say } from "../model/phrase.ts";
import type { Restoration } from "../model/restoration.ts";
import { formatSeconds } from "../model/units.ts";
import { CLUSTER, connected, connectionOptions } from "./shared/cluster.ts";
import { COMMON, DRY_RUN, output } from "./shared/common.ts";
import type { DryRun } from "./shared/dry-run.ts";
import { list, on, text } from "./shared/flags.ts";
import { HELPER, helperSettings } from "./shared/helper-pods.ts";
import { REGISTRY, registrySettings } from "./shared/registry.ts";
import { CHECKPOINT_IMAGE, emitNotes, EXPLAIN_RESTORE, proof, shown } from "./shared/restoring.ts";
import { defineVerb, type Call } from "./shared/verb.ts";

export interface RestoreRequest {
  /** Undefined: the image is in its registry. */
  readonly file: string | undefined;
  readonly reference: Reference;
  readonly options: RestoreOptions;
  readonly settings: RegistrySettings;
  readonly dryRun: DryRun | undefined;
  /** Undefined: without --explain, no helper pod is made. */
  readonly explain: HelperSettings | undefined;
  readonly yes: boolean;
  readonly cluster: ConnectionOptions;
}

export const verb = defineVerb({
  name: "restore",
  summary: "Restore a container in a new pod",
  usage: ["restore FILE --image REFERENCE [options]", "restore --image REFERENCE [options]"],
  description: `Restore a checkpointed container in a new pod; its processes continue where they were. With FILE, the archive is pushed as the image
REFERENCE unless the registry already has it; without FILE, the image must exist.

The pod is created from the manifest that was recorded with the checkpoint: same containers, volumes and service account. Only the
checkpointed container is restored; the others start from the beginning. Labels, annotations and probes are dropped unless a --keep flag
is given, because labels attract traffic and ReplicaSets. Without a manifest, the pod is created from the contents of the archive, and
everything that is missing is reported.

A manifest can come from anybody: if its pod has privileges on the node or in the cluster, creating it must be confirmed; --yes confirms
it. With --isolated, a pod that could leave the sandbox is refused. A changed environment or command does not reach the restored
processes, and each restart of the container restores the checkpoint again.`,
  examples: [
    {
      what: "Restore on any node that supports it",
      command: "kubectl checkpoint restore nginx.tar --image registry.local:5000/nginx:1",
    },
    {
      what: "Analyze it without a service account token and without a network",
      command: "kubectl checkpoint restore --image registry.local:5000/nginx:1 --isolated --name suspect",
    },
    {
      what: "Show what would be created",
      command: "kubectl checkpoint restore nginx.tar --image registry.local:5000/nginx:1 --dry-run=client -o yaml",
    },
    {
      what: "Restore on a given node, without questions",
      command: "kubectl checkpoint restore nginx.tar --image registry.local:5000/nginx:1 --node node2 --yes",
    },
  ],
  flags: {
    image: CHECKPOINT_IMAGE,
    node: text({ value: "NODE", help: "node to restore on (default: any that supports it)" }),
    name: text({ value: "NAME", help: "name of the new pod (default: NAME-restored)" }),
    "set-image": list({ value: "NAME=REF", help: "image of another container of the pod, repeatable" }),
    isolated: on("no service account token, and a NetworkPolicy that denies all traffic"),
    "keep-labels": on("keep the labels of the pod"),
    "keep-annotations": on("keep the annotations of the pod"),
    "keep-liveness": on("keep liveness probes"),
    "keep-readiness": on("keep readiness probes"),
    "keep-startup": on("keep startup probes"),
    explain: EXPLAIN_RESTORE,
    "dry-run": DRY_RUN,
    output: output("name", "json", "yaml"),
    ...REGISTRY,
    ...HELPER,
    ...CLUSTER,
    ...COMMON,
  },
  request(words, flags, env): RestoreRequest {
    const [file, more] = words;
    const { image } = flags;
    if (image === undefined) throw usageError("--image is required", "kubectl checkpoint restore [FILE] --image REGISTRY/REPOSITORY:TAG");
    if (more !== undefined) throw usageError(say`unexpected argument "${more}": restore takes one archive`);
    if (file === "" || file === "-")
      throw usageError(say`invalid FILE "${file}": use a file on this machine, because it is read more than once`);
    return {
      file,
      reference: parseReference(image),
      options: {
        name: flags.name,
        namespace: flags.namespace,
        node: flags.node,
        setImages: new Map(flags["set-image"].map(nameAndImage)),
        isolated: flags.isolated,
        keep: {
          labels: flags["keep-labels"],
          annotations: flags["keep-annotations"],
          liveness: flags["keep-liveness"],
          readiness: flags["keep-readiness"],
          startup: flags["keep-startup"],
        },
        keepHostPorts: false,
      },
      settings: registrySettings(flags),
      dryRun: flags["dry-run"],
      explain: flags.explain ? helperSettings(flags, env) : undefined,
      yes: flags.yes,
      cluster: connectionOptions(flags),
    };
  },
  async *run(request, call) {
    const { file, reference, options, settings, dryRun, explain } = request;
    const context = await connected(request.cluster, call);
    const { connection } = context;
    const found = file === undefined ? await checkpointInRegistry(call, reference, settings) : undefined;
    const checkpoint = found ?? (await checkpointInFile(file ?? "", call.signal));
    if (checkpoint.problem !== undefined) call.emit({ kind: "warning", text: checkpoint.problem });
    const image = found === undefined ? formatReference(reference) : pinned(reference, found.digest);
    const plan = (name: string, target?: Target): RestorePlan =>
      planRestore(checkpoint, options, name, target?.candidates, connection.namespace);

    // Problems of the manifest are reported before anything is sent.
    const planned = plan(image);
    if (dryRun === "client") return yield* shown(call, planned, [planned.policy ?? [], planned.pod].flat(), "dry run");
    const target = await findTarget(context, options.node, checkpoint.facts, checkpoint.origin);
    const doubts = [...target.warnings, ...(await checkBaseImage(context, checkpoint.facts, target.nodes, settings))];
    for (const text of doubts) call.emit({ kind: "warning", text });
    const rights = restoreRights(planned.namespace, options.isolated);
    if (dryRun === "server") {
      const there = plan(image, target);
      return yield* shown(
        call,
        there,
        await requireRights(connection, rights, async () => await createRestored(context, there, true)),
        "server dry run",
      );
    }
    await agreeToPowers(context, planned, options.node, request.yes);
    const restored = plan(found === undefined ? await push(call, file ?? "", request, checkpoint) : image, target);
    emitNotes(call, restored);
    const helpers = explain === undefined ? undefined : new Helpers(connection, call, explain);
    const started = performance.now();
    const { node, evidence } = await requireRights(connection, rights, async () => {
      await createRestored(context, restored);
      return await watched(context, restored, { helpers, file });
    });
    const seconds = Math.round(performance.now() - started) / 1000;
    const { name, namespace, container } = restored;
    yield {
      text: say`pod/${name} in namespace ${namespace}: container ${container} restored on ${node} in ${formatSeconds(seconds)}`,
      name: `pod/${name}`,
    };
    call.emit({ kind: "hint", text: proof(evidence) });
    call.emit({
      kind: "hint",
      text: say`each restart of the container restores the checkpoint again; a changed environment or command does not reach its processes`,
    });
    const document: Restoration = {
      apiVersion: API_VERSION,
      kind: "Restoration",
      namespace,
      pod: name,
      container,
      node,
      image: restored.image,
      restored: true,
      evidence,
      seconds,
    };
    return { document, exitCode: 0 };
  },
});

function nameAndImage(text: string): [string, string] {
  const [, name, image] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
  if (name === undefined || image === undefined) throw usageError(say`invalid value "${text}" for --set-image: use NAME=REF`);
  return [name, image];
}

async function push(call: Call, file: string, { reference, settings, yes }: RestoreRequest, checkpoint: Checkpoint): Promise<string> {
  const { origin, expected, facts } = checkpoint;
  const what = say`The checkpoint of container ${facts.info.container ?? ""}`;
  const pushed = await pushImage(call, {
    reference,
    archive: await archiveFile(file),
    compression: undefined,
    origin,
    expected,
    settings,
    consent: async (found) => await consentToPush(call, yes, reference, what, found),
  });
  if (pushed.sentBytes > 0) call.emit({ kind: "hint", text: say`pushed ${pushed.reference}` });
  return pushed.reference;
}

/** A pod that failed is kept for analysis. */
async function watched(context: FlowContext, plan: RestorePlan, explaining: Explaining): Promise<Restored> {
  try {
    return await watchExplained(context, plan, explaining);
  } catch (error) {
    const { name, namespace } = plan;
    context.emit({
      kind: "hint",
      text: say`pod/${name} was not deleted; to delete it: ${command`kubectl delete pod ${name} -n ${namespace}`}`,
    });
    throw error;
  }
}
