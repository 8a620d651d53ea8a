import type { ConnectionOptions } from "../../cluster/kubeconfig/options.ts";
import type { SandboxRequest } from "../../flows/restore/sandbox/sandbox.ts";
import { HELPER_IMAGE } from "../../helper/image.ts";
import { parseReference } from "../../image/reference.ts";
import { usageError } from "../../model/error.ts";
import { say } from "../../model/phrase.ts";
import { formatSeconds } from "../../model/units.ts";
import { BASE_IMAGE } from "../shared/common.ts";
import type { DryRun } from "../shared/dry-run.ts";
import { choice, duration, group, on } from "../shared/flags.ts";
import { imageNamed } from "../shared/helper-pods.ts";
import type { ReadingSettings } from "../shared/registry.ts";

export const SANDBOX = group("Sandbox", {
  sandbox: on("restore with CRIU in a pod with a user namespace of its own, on any runtime"),
  stopped: on("restore, but run nothing until it is resumed"),
  network: choice(["none", "pod"], { help: "network of the processes: none but the loopback, or the pod's (default: none)" }),
  ttl: duration("delete everything in the pod after this time (default: 8h)"),
  "base-image": BASE_IMAGE,
});

export interface SandboxCommand extends Omit<SandboxRequest, "image" | "pullSecret" | "settings"> {
  readonly dryRun: DryRun | undefined;
  readonly image: string;
  readonly pullSecret: string | undefined;
  readonly settings: ReadingSettings;
  readonly cluster: ConnectionOptions;
}

const TTL_SECONDS = 8 * 3600;
const LEAST_TTL_SECONDS = 60;

interface Given {
  readonly flags: {
    readonly image: string | undefined;
    readonly node: string | undefined;
    readonly name: string | undefined;
    readonly namespace: string | undefined;
    readonly stopped: boolean;
    readonly network: "none" | "pod" | undefined;
    readonly ttl: number | undefined;
    readonly "base-image": string | undefined;
    readonly "helper-image": string | undefined;
    readonly "helper-pull-secret": string | undefined;
    readonly explain: boolean;
    readonly "dry-run": DryRun | undefined;
  };
  /** Flags of a restore by the runtime that were given too. */
  readonly others: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly settings: ReadingSettings;
  readonly cluster: ConnectionOptions;
}

export function sandboxCommand(words: readonly string[], { flags, others, env, settings, cluster }: Given): SandboxCommand {
  const [file, more] = words;
  const { image } = flags;
  const [other] = others;
  if (other !== undefined) throw usageError(say`--sandbox and --${other} cannot be used together`);
  if (more !== undefined) throw usageError(say`unexpected argument "${more}": restore takes one archive`);
  if (file === undefined && image === undefined)
    throw usageError("FILE or --image is required", "kubectl checkpoint restore FILE --sandbox");
  if (file !== undefined && image !== undefined)
    throw usageError("FILE and --image cannot be used together with --sandbox", "kubectl checkpoint restore FILE --sandbox");
  if (file === "" || file === "-")
    throw usageError(say`invalid FILE "${file}": use a file on this machine, because it is read more than once`);
  if (flags.namespace === "kube-system")
    throw usageError("--sandbox cannot use the namespace kube-system: what is restored may be hostile", "use another namespace: -n NAME");
  const ttlSeconds = flags.ttl === undefined ? TTL_SECONDS : Math.ceil(flags.ttl / 1000);
  if (ttlSeconds < LEAST_TTL_SECONDS) throw usageError(say`invalid value for --ttl: use at least ${formatSeconds(LEAST_TTL_SECONDS)}`);
  return {
    file,
    reference: image === undefined ? undefined : parseReference(image),
    stopped: flags.stopped,
    network: flags.network ?? "none",
    ttlSeconds,
    node: flags.node,
    name: flags.name,
    namespace: flags.namespace,
    baseImage: flags["base-image"] || undefined,
    image: imageNamed(flags["helper-image"] ?? (env["KUBECTL_CHECKPOINT_HELPER_IMAGE"] || undefined)) ?? HELPER_IMAGE,
    pullSecret: flags["helper-pull-secret"] ?? (env["KUBECTL_CHECKPOINT_HELPER_PULL_SECRET"] || undefined),
    settings,
    explain: flags.explain,
    dryRun: flags["dry-run"],
    cluster,
  };
}
