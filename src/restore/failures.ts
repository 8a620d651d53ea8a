import type { Explanation } from "../model/error.ts";
import { number, string, type Json } from "../model/json.ts";
import { command, joined, say, type Phrase, type Text } from "../model/phrase.ts";
import type { Runtime } from "../model/runtime.ts";
import { CONTAINERD_SWITCH, restoreVerdict } from "./runtimes.ts";

/** One restore, for the words of its failure. */
export interface Attempt {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  /** Empty where it has no node yet. */
  readonly node: string;
  /** The checkpoint image. */
  readonly image: string;
  /** The node's, where it may be read. */
  readonly runtime?: Runtime | undefined;
}

interface Known {
  readonly said: RegExp;
  readonly explain: (attempt: Attempt, match: RegExpExecArray) => Explanation;
}

function on({ node }: Pick<Attempt, "node">): string {
  return node || "the node";
}

/** What has to be on the node's side so that it restores, true for the runtime at hand. */
function configured({ runtime }: Attempt): Text {
  const { fix, why } = restoreVerdict(runtime);
  return fix ?? (why === undefined ? "see the logs of the node's runtime" : say`${why}: choose another node with --node`);
}

function criuFailed(attempt: Attempt): Explanation {
  return {
    reason: "CRIUFailed",
    message: say`CRIU could not restore the processes on ${on(attempt)}`,
    why: "the cause is only in CRIU's log, which the runtime deletes",
    fix: "usual causes: an open file or a mount is missing, an established TCP connection, a process ID or port in use, another kernel or CPU",
  };
}

/** In the words of containerd 2.1 to 2.3, CRI-O 1.36, runc 1.3 and crun 1.28 (seen), of others as read in their sources. */
const KNOWN: readonly Known[] = [
  {
    said: /failed to (?:pull|get) checkpoint base image (\S+?):? (.*)/s,
    explain: (attempt, [, image = "", why = ""]) => ({
      reason: "BaseImageNotPulled",
      message: say`${on(attempt)} cannot pull ${image}, the image that the container was created from`,
      why: why.trim(),
      fix: "containerd pulls it by itself, without credentials and registry settings: it must be public, over TLS that the node's own certificate store trusts. containerd 2.2 and later use the node's copy if there is one",
    }),
  },
  {
    // CRI-O looks it up by its ID.
    said: /locating image with ID "?([0-9a-f]{12,64})"?: image not known/,
    explain: (attempt, [said]) => ({
      reason: "BaseImageNotPulled",
      message: say`${on(attempt)} does not have the image that the container was created from; CRI-O does not pull it`,
      why: said,
      fix: say`pull the base image there first: kubectl checkpoint show FILE names it`,
    }),
  },
  {
    said: /restoring \S+ expects following bind mounts defined \((.*)\)/,
    explain: ({ container }, [, mounts = ""]) => ({
      reason: "MountMissing",
      message: say`container ${container} had mounts that the pod does not have: ${mounts}`,
      fix: "add volumes for them: kubectl checkpoint restore … --dry-run=client -o yaml, edit it, kubectl create -f",
    }),
  },
  {
    said: /failed to read "?(?:status|spec|config)\.dump"?|failed to read .*io\.kubernetes\.cri-o/,
    explain: (attempt, [said]) => ({
      reason: "EngineMismatch",
      message: say`the runtime of ${on(attempt)} cannot read this checkpoint`,
      why: say`${said}: another engine made it, or an old version of this one`,
      fix: "restore it on a node with the engine that made it: kubectl checkpoint show FILE -o wide",
    }),
  },
  {
    // containerd's shim calls `restore --no-subreaper`, which crun refuses as a wrong option.
    said: /\/crun did not terminate successfully: exit status 64|unrecognized option '--no-subreaper'/,
    explain: (attempt) => ({
      reason: "RuntimeCannotRestore",
      message: say`containerd on ${on(attempt)} cannot restore with crun`,
      why: "containerd passes --no-subreaper, an option that crun does not have: CRIU was not started",
      fix: "restore it on a node whose containerd uses runc, or that runs CRI-O if CRI-O made the checkpoint",
    }),
  },
  {
    said: /signature validation is not supported|signature policy/i,
    explain: (_attempt, [said]) => ({
      reason: "SignaturePolicy",
      message: "CRI-O's signature policy does not allow restores",
      why: said,
      fix: "remove the policy for this namespace (signature_policy_dir in CRI-O's configuration), or restore into another one",
    }),
  },
  {
    said: /criu binary not found|exec: "criu"|CRIU binary not found or too old|requires at least CRIU|failed to retrieve criu version/i,
    explain: (attempt, [said]) => ({
      reason: "CRIUMissing",
      message: say`the runtime of ${on(attempt)} found no CRIU, or one that is too old, and restores with it`,
      why: said,
      fix: say`on ${on(attempt)}, install CRIU 4.2 or later (Debian, Ubuntu: apt install criu), then restart its runtime`,
    }),
  },
  {
    said: /criu failed: type \S+ errno \d+|OCI runtime restore failed|container restore failed/,
    explain: criuFailed,
  },
  {
    // containerd's own words, whatever is known of its version.
    said: /checkpoint restore via CreateContainer is disabled by configuration/,
    explain: (attempt, [said]) => ({
      reason: "RuntimeCannotRestore",
      message: say`the runtime of ${on(attempt)} does not restore from images`,
      why: said,
      fix: CONTAINERD_SWITCH.fix,
    }),
  },
  {
    said: /checkpoint.{0,60}(not supported|not available|not enabled|disabled)|restore.{0,60}(not supported|not enabled|disabled)|experimental_restore/i,
    explain: (attempt, [said]) => ({
      reason: "RuntimeCannotRestore",
      message: say`the runtime of ${on(attempt)} does not restore from images`,
      why: said,
      fix: configured(attempt),
    }),
  },
  {
    said: /criu.*restor/i,
    explain: criuFailed,
  },
  {
    said: /no command specified|exec: ".*": (?:stat .*: )?no such file or directory|executable file not found in \$PATH|exec format error/,
    explain: (attempt, [said]) => ({
      reason: "NotRestored",
      message: say`the runtime of ${on(attempt)} started the checkpoint image as an ordinary image instead of restoring it`,
      why: said,
      fix: configured(attempt),
    }),
  },
  {
    said: /context deadline exceeded|DeadlineExceeded/,
    explain: (attempt, [said]) => ({
      reason: "RuntimeTimedOut",
      message: say`the restore took longer than the kubelet of ${on(attempt)} lets its runtime take`,
      why: said,
      fix: "raise runtimeRequestTimeout in the kubelet's configuration (2 min by default)",
    }),
  },
  {
    said: /(secret|configmap)s? "([^"]+)" not found/,
    explain: ({ namespace }, [, kind = "", name = ""]) => ({
      reason: "ObjectMissing",
      message: say`the pod needs ${kind} ${name}, which is not in namespace ${namespace}`,
      fix: "create it there, or restore into the namespace that has it (-n NAMESPACE)",
    }),
  },
];

/** Failed pulls. What is not permanent may pass: the kubelet tries again. */
const PULLING: readonly (Known & { readonly permanent: boolean })[] = [
  {
    permanent: true,
    said: /not found|manifest unknown|MANIFEST_UNKNOWN|InvalidImageName|ErrImageNeverPull|couldn't parse image/i,
    explain: (attempt, { input }) => ({
      reason: "CheckpointImageNotPulled",
      message: say`${on(attempt)} cannot find the checkpoint image ${attempt.image}`,
      why: input,
      fix: "push it first: kubectl checkpoint image FILE REFERENCE --push",
    }),
  },
  {
    permanent: true,
    said: /unauthorized|authorization failed|no basic auth|denied|403 Forbidden|401/i,
    explain: (attempt, { input }) => ({
      reason: "CheckpointImageNotPulled",
      message: say`${on(attempt)} is not allowed to pull the checkpoint image ${attempt.image}`,
      why: input,
      fix: command`give the pod's service account a pull secret:\nkubectl create secret docker-registry dumps -n ${attempt.namespace} --docker-server=… --docker-username=… --docker-password=…\nkubectl patch serviceaccount default -n ${attempt.namespace} -p '{"imagePullSecrets": [{"name": "dumps"}]}'`,
    }),
  },
  {
    permanent: true,
    said: /x509|certificate|server gave HTTP response to HTTPS client/i,
    explain: (attempt, { input }) => ({
      reason: "CheckpointImageNotPulled",
      message: say`${on(attempt)} does not trust the registry of the checkpoint image ${attempt.image}`,
      why: input,
      fix: "the registry's CA, or that it uses plain HTTP, must be in the runtime's configuration on the node (containerd: certs.d; CRI-O: registries.conf)",
    }),
  },
  {
    permanent: true,
    said: /no space left on device/i,
    explain: (attempt, { input }) => ({
      reason: "NodeDiskFull",
      message: say`${on(attempt)} has no space for the checkpoint image ${attempt.image}`,
      why: input,
      fix: "free space on the node's disk",
    }),
  },
  {
    permanent: false,
    said: /.*/s,
    explain: (attempt, { input }) => ({
      reason: "CheckpointImageNotPulled",
      message: say`${on(attempt)} cannot pull the checkpoint image ${attempt.image}`,
      why: input,
    }),
  },
];

/** Reasons that a container waits for without hope. */
const HOPELESS = /^(CreateContainerError|CreateContainerConfigError|RunContainerError|StartError|CrashLoopBackOff)$/;
const PULL = /^(ErrImagePull|ImagePullBackOff|ErrImageNeverPull|InvalidImageName|ImageInspectError)$/;

/** Why a container does not start. */
export interface Obstacle {
  readonly explanation: Explanation;
  /** The kubelet's own words, whole. */
  readonly said: string;
  /** Whether it stays so; else the kubelet's next try may go well. */
  readonly permanent: boolean;
}

/** Why a container will not start; undefined where nothing speaks of it. */
export function explainWaiting(reason: string, message: string, attempt: Attempt): Obstacle | undefined {
  if (PULL.test(reason)) {
    const said = message || reason;
    const known = PULLING.find((one) => one.said.test(said));
    const explanation = lookUp(PULLING, said, attempt);
    return explanation === undefined ? undefined : { explanation, said, permanent: known?.permanent ?? false };
  }
  if (!HOPELESS.test(reason)) return undefined;
  const explanation = lookUp(KNOWN, message, attempt) ?? {
    reason: "RestoreFailed",
    message: say`container ${attempt.container} was not restored (${reason})`,
    why: message || undefined,
  };
  return { explanation, said: message, permanent: true };
}

/** Why a container that ran, or was to run, does not any more. */
export function explainEnd(ended: Json, attempt: Attempt): { readonly explanation: Explanation; readonly ran: boolean } {
  const { container, pod, namespace } = attempt;
  const [reason, message] = [string(ended["reason"]), string(ended["message"])];
  const exitCode = number(ended["exitCode"]);
  const known = lookUp(KNOWN, message, attempt);
  if (known !== undefined) return { explanation: known, ran: false };
  if (reason === "OOMKilled") {
    const explanation = {
      reason: "OutOfMemory",
      message: say`container ${container} was killed after its restore: its memory limit is too small`,
      fix: "raise it: --dry-run=client -o yaml, edit resources.limits, kubectl create -f",
    };
    return { explanation, ran: true };
  }
  if (reason === "ContainerCannotRun" || reason === "StartError") {
    const words = say`container ${container} was not restored (${reason})`;
    return { explanation: { reason: "RestoreFailed", message: words, why: message || undefined }, ran: false };
  }
  const killed = exitCode === 137 || exitCode === 143;
  const details: Phrase[] = [say`exit status ${exitCode ?? "unknown"}`, ...(reason === "" ? [] : [say`${reason}`])];
  const explanation = {
    reason: killed ? "Killed" : "Ended",
    message: say`container ${container} ${say`${killed ? "was killed" : "ended"}`} soon after its restore (${joined(details, ", ")})`,
    why: message || (killed ? "the kubelet kills a container when a probe fails or the node runs out of something" : undefined),
    fix: command`kubectl logs ${pod} -c ${container} -n ${namespace} --previous\nkubectl describe pod ${pod} -n ${namespace}`,
  };
  return { explanation, ran: true };
}

function lookUp(table: readonly Known[], said: string, attempt: Attempt): Explanation | undefined {
  for (const known of table) {
    const match = known.said.exec(said);
    if (match !== null) return known.explain(attempt, match);
  }
  return undefined;
}
