import { apiFailure, excerpt, statusMessage } from "../cluster/answer.ts";
import type { ApiAnswer } from "../cluster/answer.ts";
import { UserError, type Explanation } from "../model/error.ts";
import { logPathIn } from "./criu-log.ts";
import { outcomeUnknown, type CheckpointTarget } from "./target.ts";
import { command } from "../model/phrase.ts";

/** One answer that a checkpoint call is known to get, and what it means. */
interface Known {
  readonly status: number;
  /** Whether the API server speaks (a JSON Status) or the kubelet (plain text). */
  readonly from: "apiserver" | "kubelet";
  readonly body: RegExp;
  readonly explain: (target: CheckpointTarget, match: RegExpExecArray, said: string) => Explanation | UserError;
}

/** CRIU gave up. Why stands only in its log on the node: `log` is its path, if the error has told it. */
export class CriuFailure extends UserError {
  readonly log: string | undefined;

  constructor(log: string | undefined, what: Explanation) {
    super(what);
    this.log = log;
  }
}

/**
 * What a failed checkpoint call means. The words are those of Kubernetes 1.36 and 1.37 with containerd 2.1, seen, and
 * of other runtimes, read in their sources. An answer that nobody foresaw is shown as it is.
 */
export function explainAnswer(answer: ApiAnswer, target: CheckpointTarget): UserError {
  const status = statusMessage(answer);
  const said = status ?? answer.text.trim();
  const from = status === undefined ? "kubelet" : "apiserver";
  for (const known of KNOWN) {
    const match = known.status === answer.status && known.from === from ? known.body.exec(said) : null;
    if (match !== null) {
      const explained = known.explain(target, match, said);
      return explained instanceof UserError ? explained : new UserError(explained);
    }
  }
  if (from === "apiserver") return apiFailure(answer, { method: "POST", path: `nodes/${target.node}/proxy/checkpoint` });
  return new UserError({
    reason: "CheckpointFailed",
    message: `the kubelet of ${target.node} could not checkpoint ${what(target)} (${answer.status})`,
    why: excerpt(said) || undefined,
  });
}

function what({ pod, container }: CheckpointTarget): string {
  return `container ${container} in pod/${pod}`;
}

const NO_CRIU_FIX = "install CRIU 4.2 or later on the node (Debian, Ubuntu: apt install criu), then try again";
const RUNTIME_FIX = "needs containerd 2.0 or later, or CRI-O 1.25 or later with enable_criu_support = true";

const KNOWN: readonly Known[] = [
  {
    status: 403,
    from: "kubelet",
    body: /^Forbidden \(user=(?<user>.*?), verb=(?<verb>\w+), resource=nodes, subresource\(s\)=\[(?<subresources>.*?)\]\)/,
    explain: ({ node }, match) => {
      const user = match.groups?.["user"] ?? "";
      return {
        reason: "KubeletForbidden",
        message: `the kubelet of ${node} does not let the API server checkpoint`,
        why: `the API server's own user ${user} lacks the right ${match.groups?.["verb"]} nodes/checkpoint; the role that kubeadm gives it does not have it (kubernetes#126232). Your own rights are enough`,
        fix: command`a cluster admin does once:
kubectl create clusterrole kubelet-checkpoint --verb=create --resource=nodes/checkpoint
kubectl create clusterrolebinding kubelet-checkpoint --clusterrole=kubelet-checkpoint --user=${user}
then try again after 30 seconds: that long the kubelet remembers its refusal`,
      };
    },
  },
  {
    status: 404,
    from: "kubelet",
    body: /^404 page not found/,
    explain: ({ node }) => ({
      reason: "GateOff",
      message: `the kubelet of ${node} has no checkpoint API`,
      why: "its feature gate ContainerCheckpoint is off (it is off by default before Kubernetes 1.30)",
      fix: `in the kubelet's configuration on ${node} set featureGates: {ContainerCheckpoint: true}, and restart the kubelet`,
    }),
  },
  {
    status: 404,
    from: "kubelet",
    body: /^pod does not exist/,
    explain: ({ node, pod, namespace }) => ({
      reason: "PodGone",
      message: `the kubelet of ${node} has no pod/${pod}`,
      why: "it has ended, or moved to another node, since it was looked up",
      fix: `kubectl get pod ${pod} -n ${namespace} -o wide`,
    }),
  },
  {
    status: 404,
    from: "kubelet",
    body: /^container .* does not exist/,
    explain: ({ node, pod, container, namespace }) => ({
      reason: "NoSuchContainer",
      message: `the kubelet of ${node} knows no container ${container} in pod/${pod}`,
      fix: `kubectl get pod ${pod} -n ${namespace} -o jsonpath='{.spec.containers[*].name}'`,
    }),
  },
  {
    status: 404,
    from: "kubelet",
    body: /cannot parse value of timeout parameter/,
    explain: ({ node }) => ({
      reason: "TimeoutInvalid",
      message: `the kubelet of ${node} does not accept this timeout`,
      fix: "give another --timeout, or none",
    }),
  },
  {
    status: 404,
    from: "apiserver",
    body: /^nodes? ".*" not found/,
    explain: ({ node, pod }) => ({
      reason: "NodeNotFound",
      message: `the node ${node} of pod/${pod} is not in the cluster`,
      why: "it was removed while the pod was still assigned to it",
      fix: "kubectl get nodes",
    }),
  },
  {
    status: 400,
    from: "apiserver",
    body: /no such host|lookup /,
    explain: ({ node }, _match, said) => ({
      reason: "NodeNameUnresolvable",
      message: `the API server cannot find the address of the node ${node}`,
      why: said,
      fix: "the API server needs DNS for node names, or --kubelet-preferred-address-types=InternalIP,…",
    }),
  },
  {
    status: 503,
    from: "apiserver",
    body: /error trying to reach service: .*(EOF|connection reset|broken pipe)/,
    explain: (target, _match, said) => outcomeUnknown(target, `the kubelet went away in the middle of it (${said})`),
  },
  {
    status: 503,
    from: "apiserver",
    body: /error trying to reach service/,
    explain: ({ node }, _match, said) => ({
      reason: "KubeletUnreachable",
      message: `the API server cannot reach the kubelet of ${node}`,
      why: said,
      fix: `kubectl describe node ${node}: is it Ready? On the node: systemctl status kubelet`,
    }),
  },
  {
    status: 500,
    from: "kubelet",
    body: /cannot pause a paused container/,
    explain: (target) => ({
      reason: "ContainerPaused",
      message: `${what(target)} is paused already`,
      why: "another checkpoint of it is under way, or something left it paused",
      fix: "wait until the other one has ended, then try again",
    }),
  },
  {
    status: 500,
    from: "kubelet",
    // runc: version 1 of cgroups after 1,000 looks, some 0.3 s; version 2 after 10 s. It lets the container run before it says so.
    body: /unable to freeze|waiting for the cgroup to freeze/,
    explain: (target) => ({
      reason: "FreezeFailed",
      message: `${what(target)} could not be frozen: no checkpoint was taken`,
      why: "the runtime waited for all of its processes to stop, and gave up: the node is very busy, or the container starts processes all the time",
      fix: "try again when the node is less busy",
    }),
  },
  {
    status: 500,
    from: "kubelet",
    // containerd 2.1: directory and writer are one a container, the image's name one a second; whoever begins or ends removes the directory,
    // and whoever ends lets the container run. A file that vanishes or changes its length under a tar can have no other cause: all else is paused.
    body: /ctrd-checkpoint\S*: (no such file or directory|file exists|directory not empty)|failed to create diff tar stream: .*(short write|write too long|no such file or directory)|ref \S+\/checkpoint-\S+ locked for |image "containerd\.io\/checkpoint\/\S+: already exists/,
    explain: (target) => ({
      reason: "CheckpointCollision",
      message: `two checkpoints of ${what(target)} were written at the same time, and this one failed`,
      why: "containerd gathers the files of both in one directory: the archive of the other one may hold files of both",
      fix: "when the other one has ended, take a new checkpoint",
    }),
  },
  {
    status: 500,
    from: "kubelet",
    body: /criu binary not found or too old|CRIU binary not found|criu binary not found|exec: "criu"|criu: executable file not found/i,
    explain: ({ node }, _match, said) => ({
      reason: "CRIUMissing",
      message: `there is no CRIU on the node ${node}, which the runtime checkpoints with`,
      why: excerpt(said),
      fix: NO_CRIU_FIX,
    }),
  },
  {
    status: 500,
    from: "kubelet",
    body: /requires at least CRIU \d+|CRIU version .* (must be|too old)/i,
    explain: ({ node }, _match, said) => ({
      reason: "CRIUTooOld",
      message: `the CRIU on the node ${node} is too old`,
      why: excerpt(said),
      fix: NO_CRIU_FIX,
    }),
  },
  {
    status: 500,
    from: "kubelet",
    body: /no space left on device/i,
    explain: ({ node }, _match, said) => {
      const partial = /write (\/\S+\.tar)/.exec(said)?.[1];
      return {
        reason: "NodeDiskFull",
        message: `the node ${node} has no space left for the archive`,
        why: partial === undefined ? excerpt(said) : `a partial file stays at ${node}:${partial}`,
        fix: "make room on the node's disk, then try again",
      };
    },
  },
  {
    status: 500,
    from: "kubelet",
    // runc, crun, and how CRI-O says that it called either.
    body: /criu failed: type (?<type>\w+) errno (?<errno>\d+)|CRIU checkpointing failed|checkpoint"? .*--work-path/is,
    explain: (target, match, said) => {
      const log = logPathIn(said);
      const { type, errno } = match.groups ?? {};
      return new CriuFailure(log, {
        reason: "CRIUFailed",
        message: `CRIU could not checkpoint ${what(target)}`,
        why: `CRIU itself gave up${type === undefined ? "" : ` (type ${type}, errno ${errno})`}: the cause stands only in its log on the node`,
        fix:
          log === undefined
            ? `read CRIU's dump.log on ${target.node}`
            : `run it again with --explain, or read the log on the node: ${target.node}:${log}`,
      });
    },
  },
  {
    status: 500,
    from: "kubelet",
    body: /criu support is disabled by configuration|checkpoint\/restore support not available|CheckpointContainer not implemented|unknown method CheckpointContainer|code = Unimplemented/i,
    explain: ({ node }, _match, said) => ({
      reason: "RuntimeUnsupported",
      message: `the container runtime of ${node} does not checkpoint`,
      why: excerpt(said),
      fix: RUNTIME_FIX,
    }),
  },
  {
    status: 500,
    from: "kubelet",
    body: /container \S+ not found\)|container \S+ is not running|only CONTAINER_RUNNING containers can be checkpointed/i,
    explain: (target) => ({
      reason: "ContainerNotRunning",
      message: `${what(target)} does not run: only running containers can be checkpointed`,
      fix: `kubectl get pod ${target.pod} -n ${target.namespace}`,
    }),
  },
  {
    status: 500,
    from: "kubelet",
    body: /requires the timeout value to be > 0/,
    explain: ({ node }) => ({
      reason: "TimeoutInvalid",
      message: `the kubelet of ${node} does not accept this timeout`,
      fix: "give another --timeout, or none",
    }),
  },
  {
    status: 500,
    from: "kubelet",
    body: /context deadline exceeded|DeadlineExceeded/i,
    explain: (target, _match, said) => ({
      reason: "RuntimeTimedOut",
      message: `${what(target)} could not be checkpointed in the time that the kubelet gives its runtime`,
      why: excerpt(said),
      fix: "give a longer --timeout; runtimeRequestTimeout in the kubelet's configuration may bound it",
    }),
  },
];
