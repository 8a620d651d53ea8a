import type { ConnectionOptions } from "../cluster/kubeconfig/options.ts";
import { undecided, warnOfUndecided } from "../flows/restore/configured.ts";
import { lookAhead, planOf, restore, type RestoreRequest as Request } from "../flows/restore/restore.ts";
import { Helpers } from "../helper/helpers.ts";
import { parseReference } from "../image/reference.ts";
import { API_VERSION } from "../model/documents.ts";
import { usageError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import type { Restoration } from "../model/restoration.ts";
import { formatSeconds } from "../model/units.ts";
import { CLUSTER, connected, connectionOptions } from "./shared/cluster.ts";
import { COMMON, DRY_RUN, output } from "./shared/common.ts";
import type { DryRun } from "./shared/dry-run.ts";
import { list, on, text } from "./shared/flags.ts";
import { HELPER, helperSettings } from "./shared/helper-pods.ts";
import { noted, pulling, READING, REGISTRY, registrySettings, type ReadingSettings } from "./shared/registry.ts";
import { BYPASS_SCHEDULER, CHECKPOINT_IMAGE, EXPLAIN_RESTORE, proof, shown } from "./shared/restoring.ts";
import { defineVerb } from "./shared/verb.ts";
import { SANDBOX, sandboxCommand, type SandboxCommand } from "./restore/sandbox.ts";

export interface RestoreRequest extends Omit<Request, "helpers" | "settings"> {
  readonly settings: ReadingSettings;
  readonly dryRun: DryRun | undefined;
  readonly cluster: ConnectionOptions;
}

export const verb = defineVerb({
  name: "restore",
  summary: "Restore a container in a new pod",
  usage: [
    "restore FILE --image REFERENCE [options]",
    "restore --image REFERENCE [options]",
    "restore (FILE | --image REFERENCE) --sandbox [options]",
  ],
  description: `Restore a checkpointed container in a new pod; its processes continue where they were. With FILE, the archive is pushed as the image
REFERENCE unless the registry already has it; without FILE, the image must exist.

The pod is created from the manifest that was recorded with the checkpoint: same containers, volumes and service account. Only the
checkpointed container is restored; the others start from the beginning. Labels, annotations and probes are dropped unless a --keep flag
is given, because labels attract traffic and ReplicaSets. Without a manifest, the pod is created from the contents of the archive, and
everything that is missing is reported.

Where the runtime restores only if it is configured to, a helper pod reads its configuration first: with --yes, --explain, or when confirmed.

A manifest can come from anybody: whatever makes its pod more than a plain pod must be confirmed; --yes confirms it. With --isolated, a
pod that could leave the sandbox is refused. A pod that was not restored is deleted again. A changed environment or command does not
reach the restored processes, and each restart of the container restores the checkpoint again.`,
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
      what: "Restore in a sandbox, on any runtime, and run nothing until it is resumed",
      command: "kubectl checkpoint restore nginx.tar --sandbox --stopped",
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
    "bypass-scheduler": BYPASS_SCHEDULER,
    "keep-labels": on("keep the labels of the pod"),
    "keep-annotations": on("keep the annotations of the pod"),
    "keep-liveness": on("keep liveness probes"),
    "keep-readiness": on("keep readiness probes"),
    "keep-startup": on("keep startup probes"),
    explain: EXPLAIN_RESTORE,
    "dry-run": DRY_RUN,
    output: output("name", "json", "yaml"),
    ...SANDBOX,
    ...READING,
    ...REGISTRY,
    ...HELPER,
    ...CLUSTER,
    ...COMMON,
  },
  request(words, flags, env): RestoreRequest | { readonly sandbox: SandboxCommand } {
    if (flags.sandbox) {
      const others = BY_RUNTIME.filter((name) => (name === "set-image" ? flags[name].length > 0 : flags[name]));
      const given = { flags, others, env, settings: registrySettings(flags), cluster: connectionOptions(flags) };
      return { sandbox: sandboxCommand(words, given) };
    }
    for (const name of ["stopped", "network", "ttl", "base-image"] as const)
      if (flags[name] !== undefined && flags[name] !== false) throw usageError(say`--${name} requires --sandbox`);
    const [file, more] = words;
    const { image } = flags;
    if (image === undefined) throw usageError("--image is required", "kubectl checkpoint restore [FILE] --image REGISTRY/REPOSITORY:TAG");
    if (more !== undefined) throw usageError(say`unexpected argument "${more}": restore takes one archive`);
    if (file === "" || file === "-")
      throw usageError(say`invalid FILE "${file}": use a file on this machine, because it is read more than once`);
    if (flags["bypass-scheduler"] && flags.node === undefined) throw usageError("--bypass-scheduler requires --node");
    return {
      file,
      reference: parseReference(image),
      options: {
        name: flags.name,
        namespace: flags.namespace,
        node: flags.node,
        bypassScheduler: flags["bypass-scheduler"],
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
      explain: flags.explain,
      helper: helperSettings(flags, env),
      yes: flags.yes,
      cluster: connectionOptions(flags),
    };
  },
  async *run(request, call) {
    if ("sandbox" in request) return yield* (await import("./restore/run-sandbox.ts")).runSandbox(request.sandbox, call);
    const { dryRun } = request;
    const context = await connected(request.cluster, call);
    const helpers = new Helpers(context.connection, call, request.helper);
    const asked = { ...request, unlock: pulling(call, request.settings).unlock, helpers };
    if (request.file !== undefined && dryRun === undefined) await noted(call, request.settings, "restore", [request.file]);
    const planned = await planOf(context, asked);
    if (dryRun === "client") {
      const { policy, pod } = planned.plan;
      return yield* shown(call, planned.plan, policy === undefined ? [pod] : [policy, pod], "dry run");
    }
    const ahead = await lookAhead(context, asked, planned);
    if (dryRun === "server") {
      warnOfUndecided(context, undecided(ahead.target));
      return yield* shown(call, ahead.plan, ahead.objects, "server dry run");
    }
    const { plan, restored, seconds } = await restore(context, asked, ahead);
    const { name, namespace, container, image } = plan;
    const { node, evidence } = restored;
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
      image,
      restored: true,
      evidence,
      seconds,
    };
    return { document, exitCode: 0 };
  },
});

/** Flags that a sandbox has not. */
const BY_RUNTIME = [
  "set-image",
  "isolated",
  "bypass-scheduler",
  "keep-labels",
  "keep-annotations",
  "keep-liveness",
  "keep-readiness",
  "keep-startup",
] as const;

function nameAndImage(text: string): [string, string] {
  const [, name, image] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
  if (name === undefined || image === undefined) throw usageError(say`invalid value "${text}" for --set-image: use NAME=REF`);
  return [name, image];
}
