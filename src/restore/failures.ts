import type { Explanation } from "../model/error.ts";
import { number, string, type Json } from "../model/json.ts";
import { command } from "../model/phrase.ts";

/** What is known of a restore, for the words of its failure. */
export interface Told {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  /** Empty where it has no node yet. */
  readonly node: string;
  /** The checkpoint image. */
  readonly image: string;
}

interface Known {
  readonly said: RegExp;
  readonly explain: (told: Told, match: RegExpExecArray) => Explanation;
}

const NOT_RESTORED =
  "containerd 2.1 to 2.3 and CRI-O with enable_criu_support restore; others start the image as an ordinary one, which has no programs";

/** In the words of containerd 2.1 and runc 1.3 (seen), of CRI-O and later containerd (read). */
const KNOWN: readonly Known[] = [
  {
    said: /failed to (?:pull|get) checkpoint base image (\S+?):? (.*)/s,
    explain: ({ node }, [, image = "", why = ""]) => ({
      reason: "BaseImageNotPulled",
      message: `${node || "the node"} cannot pull the checkpoint's base image ${image}`,
      why: why.trim(),
      fix: "containerd pulls it by itself, without credentials and registry settings: it must be there for everybody, over TLS that the node's own certificate store trusts. containerd 2.2 and later take it from the node where it is there already",
    }),
  },
  {
    said: /restoring \S+ expects following bind mounts defined \((.*)\)/,
    explain: ({ container }, [, mounts = ""]) => ({
      reason: "MountMissing",
      message: `container ${container} had mounts that the pod does not have: ${mounts}`,
      fix: "add volumes for them: kubectl checkpoint restore … --dry-run=client -o yaml, edit it, kubectl create -f",
    }),
  },
  {
    said: /failed to read "?(?:status|spec|config)\.dump"?|failed to read .*io\.kubernetes\.cri-o/,
    explain: ({ node }, [said]) => ({
      reason: "EngineMismatch",
      message: `the runtime of ${node || "the node"} does not understand this checkpoint`,
      why: `${said}: it was made by another engine, or by an old version of this one`,
      fix: "restore it on a node with the engine that made it: kubectl checkpoint show FILE -o wide",
    }),
  },
  {
    said: /criu failed: type \S+ errno (\d+)|OCI runtime restore failed|criu.*restor/i,
    explain: ({ node }) => ({
      reason: "CRIUFailed",
      message: `CRIU could not restore the processes on ${node || "the node"}`,
      why: "the runtime keeps CRIU's own log of a failed restore only for a moment",
      fix: "usual causes: a mount or file that was open is missing, an established TCP connection, a process ID or port that is taken, another kernel or CPU",
    }),
  },
  {
    said: /signature validation is not supported|signature policy/i,
    explain: (_told, [said]) => ({
      reason: "SignaturePolicy",
      message: "CRI-O's signature policy refuses to restore",
      why: said,
      fix: "no policy of its own for this namespace (signature_policy_dir in CRI-O's configuration)",
    }),
  },
  {
    said: /checkpoint.{0,40}(not supported|not enabled|disabled)|restore.{0,60}(not supported|not enabled|disabled)|experimental_restore/i,
    explain: ({ node }, [said]) => ({
      reason: "RuntimeCannotRestore",
      message: `the runtime of ${node || "the node"} does not restore from images`,
      why: said,
      fix: NOT_RESTORED,
    }),
  },
  {
    said: /no command specified|exec: ".*": (?:stat .*: )?no such file or directory|executable file not found in \$PATH|exec format error/,
    explain: ({ node }, [said]) => ({
      reason: "NotRestored",
      message: `the runtime of ${node || "the node"} tried to start the checkpoint image as an ordinary one, instead of restoring it`,
      why: said,
      fix: NOT_RESTORED,
    }),
  },
  {
    said: /context deadline exceeded|DeadlineExceeded/,
    explain: ({ node }, [said]) => ({
      reason: "RuntimeTimedOut",
      message: `restoring took longer than the kubelet of ${node || "the node"} gives its runtime`,
      why: said,
      fix: "runtimeRequestTimeout in the kubelet's configuration bounds it (2 min by default)",
    }),
  },
  {
    said: /(secret|configmap)s? "([^"]+)" not found/,
    explain: ({ namespace }, [, kind = "", name = ""]) => ({
      reason: "ObjectMissing",
      message: `the pod needs ${kind} ${name}, which is not in namespace ${namespace}`,
      fix: `restore where it is (-n NAMESPACE), or create it there`,
    }),
  },
];

const PULLING: readonly Known[] = [
  {
    said: /not found|manifest unknown|MANIFEST_UNKNOWN/i,
    explain: ({ image, node }, { input }) => ({
      reason: "CheckpointImageNotPulled",
      message: `${node || "the node"} does not find the checkpoint image ${image}`,
      why: input,
      fix: "push it first: kubectl checkpoint image FILE REFERENCE --push",
    }),
  },
  {
    said: /unauthorized|authorization failed|no basic auth|denied|403 Forbidden|401/i,
    explain: ({ image, node, namespace }, { input }) => ({
      reason: "CheckpointImageNotPulled",
      message: `${node || "the node"} may not pull the checkpoint image ${image}`,
      why: input,
      fix: command`give the service account of the pod a pull secret:\nkubectl create secret docker-registry dumps -n ${namespace} --docker-server=… --docker-username=… --docker-password=…\nkubectl patch serviceaccount default -n ${namespace} -p '{"imagePullSecrets": [{"name": "dumps"}]}'`,
    }),
  },
  {
    said: /x509|certificate|server gave HTTP response to HTTPS client/i,
    explain: ({ image, node }, { input }) => ({
      reason: "CheckpointImageNotPulled",
      message: `${node || "the node"} does not trust the registry of the checkpoint image ${image}`,
      why: input,
      fix: "the registry's CA, or that it speaks plain HTTP, has to be in the runtime's configuration on the node (containerd: certs.d; CRI-O: registries.conf)",
    }),
  },
  {
    said: /no space left on device/i,
    explain: ({ image, node }, { input }) => ({
      reason: "NodeDiskFull",
      message: `${node || "the node"} has no space left for the checkpoint image ${image}`,
      why: input,
      fix: "make room on the node's disk",
    }),
  },
  {
    said: /.*/s,
    explain: ({ image, node }, { input }) => ({
      reason: "CheckpointImageNotPulled",
      message: `${node || "the node"} cannot pull the checkpoint image ${image}`,
      why: input,
    }),
  },
];

/** Reasons that a container waits for without hope; ErrImagePull may pass, the kubelet tries again. */
const HOPELESS =
  /^(CreateContainerError|CreateContainerConfigError|RunContainerError|StartError|InvalidImageName|ImageInspectError|ErrImageNeverPull|CrashLoopBackOff|ImagePullBackOff)$/;

/** Why a container will not start; undefined while it may. */
export function explainWaiting(reason: string, message: string, told: Told): Explanation | undefined {
  if (/^(ErrImagePull|ImagePullBackOff|ErrImageNeverPull|InvalidImageName|ImageInspectError)$/.test(reason))
    return lookUp(PULLING, message || reason, told);
  if (!HOPELESS.test(reason)) return undefined;
  return (
    lookUp(KNOWN, message, told) ?? {
      reason: "RestoreFailed",
      message: `container ${told.container} was not restored (${reason})`,
      why: message || undefined,
    }
  );
}

/** Why a container that ran, or was to run, does not any more. */
export function explainEnd(ended: Json, told: Told): Explanation {
  const { container } = told;
  const [reason, message] = [string(ended["reason"]), string(ended["message"])];
  const exitCode = number(ended["exitCode"]);
  const known = lookUp(KNOWN, message, told);
  if (known !== undefined) return known;
  if (reason === "OOMKilled") {
    return {
      reason: "OutOfMemory",
      message: `container ${container} was killed after its restore: its memory limit is too small`,
      fix: "give it more: --dry-run=client -o yaml, edit resources.limits, kubectl create -f",
    };
  }
  if (reason === "ContainerCannotRun" || reason === "StartError")
    return { reason: "RestoreFailed", message: `container ${container} was not restored (${reason})`, why: message || undefined };
  const killed = exitCode === 137 || exitCode === 143;
  return {
    reason: killed ? "Killed" : "Ended",
    message: `container ${container} ${killed ? "was killed" : "ended"} soon after its restore (exit status ${exitCode ?? "unknown"}${reason === "" ? "" : `, ${reason}`})`,
    why: message || (killed ? "the kubelet kills where a probe fails or the node runs out of something" : undefined),
    fix: command`kubectl logs ${told.pod} -c ${container} -n ${told.namespace} --previous\nkubectl describe pod ${told.pod} -n ${told.namespace}`,
  };
}

function lookUp(table: readonly Known[], said: string, told: Told): Explanation | undefined {
  for (const known of table) {
    const match = known.said.exec(said);
    if (match !== null) return known.explain(told, match);
  }
  return undefined;
}
