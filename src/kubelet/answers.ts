import { apiFailure, statusMessage, type ApiAnswer } from "../cluster/answer.ts";
import { behindApiserver } from "../cluster/behind.ts";
import { UserError, type Explanation } from "../model/error.ts";
import { command, say, type Phrase } from "../model/phrase.ts";
import { explainRuntime, notRunning, runtimeWords } from "./runtime-answers.ts";
import { outcomeUnknown, type About, type CheckpointTarget } from "./target.ts";

/** One answer of the API server or the kubelet itself, and what it means. */
interface Known {
  readonly status: number;
  /** Whether the API server speaks (a JSON Status) or the kubelet (plain text). */
  readonly from: "apiserver" | "kubelet";
  readonly body: RegExp;
  readonly explain: (target: CheckpointTarget, match: RegExpExecArray, said: string) => Explanation | UserError;
}

/**
 * What a failed checkpoint call means. The words are those of Kubernetes 1.36 and 1.37, seen. What the runtime says is explained by
 * runtime-answers.ts. An unknown answer is shown as it is.
 */
export function explainAnswer(answer: ApiAnswer, target: CheckpointTarget, about: About = {}): UserError {
  const status = statusMessage(answer);
  const said = status ?? answer.text.trim();
  const from = status === undefined ? "kubelet" : "apiserver";
  const path = `nodes/${target.node}/proxy/checkpoint`;
  const between = behindApiserver({ ...answer, said: status }, path);
  if (between !== undefined) return between.open ? outcomeUnknown(target, between.why ?? between.message) : new UserError(between);
  for (const known of KNOWN) {
    const match = known.status === answer.status && known.from === from ? known.body.exec(said) : null;
    if (match !== null) return asError(known.explain(target, match, said));
  }
  if (from === "apiserver") return apiFailure(answer, { method: "POST", path });
  const explained = answer.status === 500 ? explainRuntime(said, target, about) : undefined;
  if (explained !== undefined) return asError(explained);
  return new UserError({
    reason: "CheckpointFailed",
    message: say`the kubelet of ${target.node} could not checkpoint ${what(target)} (${answer.status})`,
    why: runtimeWords(said) || undefined,
  });
}

function asError(explained: Explanation | UserError): UserError {
  return explained instanceof UserError ? explained : new UserError(explained);
}

function what({ pod, container }: CheckpointTarget): Phrase {
  return say`container ${container} in pod/${pod}`;
}

const KNOWN: readonly Known[] = [
  {
    status: 403,
    from: "kubelet",
    body: /^Forbidden \(user=(?<user>.*?), verb=(?<verb>\w+), resource=nodes, subresource\(s\)=\[(?<subresources>.*?)\]\)/,
    explain: ({ node }, match) => {
      const user = match.groups?.["user"] ?? "";
      return {
        reason: "KubeletForbidden",
        message: say`the kubelet of ${node} does not let the API server checkpoint`,
        why: say`the API server's own user ${user} lacks the permission ${match.groups?.["verb"] ?? "create"} nodes/checkpoint: the role that kubeadm gives it does not include it (kubernetes#126232). Your own permissions are sufficient`,
        fix: command`a cluster admin runs once:
kubectl create clusterrole kubelet-checkpoint --verb=create --resource=nodes/checkpoint
kubectl create clusterrolebinding kubelet-checkpoint --clusterrole=kubelet-checkpoint --user=${user}
rerun after 30 seconds: the kubelet caches a refusal for that long`,
      };
    },
  },
  {
    status: 404,
    from: "kubelet",
    body: /^404 page not found/,
    explain: ({ node }) => ({
      reason: "GateOff",
      message: say`the kubelet of ${node} has no checkpoint API`,
      why: "its feature gate ContainerCheckpoint is off (the default before Kubernetes 1.30)",
      fix: say`in the kubelet's configuration on ${node} set featureGates: {ContainerCheckpoint: true}, and restart the kubelet`,
    }),
  },
  {
    status: 404,
    from: "kubelet",
    body: /^pod does not exist/,
    explain: ({ node, pod, namespace }) => ({
      reason: "PodGone",
      message: say`the kubelet of ${node} has no pod/${pod}`,
      why: "the pod ended or moved to another node after it was looked up",
      fix: command`kubectl get pod ${pod} -n ${namespace} -o wide`,
    }),
  },
  {
    status: 404,
    from: "kubelet",
    body: /^container .* does not exist/,
    explain: ({ node, pod, container, namespace }) => ({
      reason: "NoSuchContainer",
      message: say`the kubelet of ${node} knows no container ${container} in pod/${pod}`,
      fix: command`kubectl get pod ${pod} -n ${namespace} -o jsonpath='{.spec.containers[*].name}'`,
    }),
  },
  { status: 404, from: "kubelet", body: /cannot parse value of timeout parameter/, explain: timeoutInvalid },
  { status: 500, from: "kubelet", body: /requires the timeout value to be > 0/, explain: timeoutInvalid },
  {
    status: 404,
    from: "apiserver",
    body: /^nodes? ".*" not found/,
    explain: ({ node, pod }) => ({
      reason: "NodeNotFound",
      message: say`the node ${node} of pod/${pod} is not in the cluster`,
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
      message: say`the API server cannot find the address of the node ${node}`,
      why: said,
      fix: "the API server needs DNS for node names, or --kubelet-preferred-address-types=InternalIP,…",
    }),
  },
  {
    status: 503,
    from: "apiserver",
    body: /error trying to reach service: .*(EOF|connection reset|broken pipe)/,
    explain: (target, _match, said) => outcomeUnknown(target, say`the kubelet ended the connection (${said})`),
  },
  {
    status: 503,
    from: "apiserver",
    body: /error trying to reach service/,
    explain: ({ node }, _match, said) => ({
      reason: "KubeletUnreachable",
      message: say`the API server cannot reach the kubelet of ${node}`,
      why: said,
      fix: command`kubectl describe node ${node}: is it Ready? On the node: systemctl status kubelet`,
    }),
  },
  {
    status: 500,
    from: "kubelet",
    // Of its directory: runtimes make directories of their own.
    body: /mkdir (\/\S+\/checkpoints): permission denied|open (\/\S+\/checkpoint-\S+\.tar): permission denied/,
    explain: ({ node }, [, directory, file = ""]) => ({
      reason: "DirectoryNotWritable",
      message: say`the kubelet of ${node} may not write to its checkpoint directory`,
      why: say`${directory ?? file}: permission denied`,
      fix: say`on ${node}, let the kubelet write there; where SELinux or AppArmor denies it: ausearch -m avc -ts recent; dmesg | grep DENIED`,
    }),
  },
  {
    status: 500,
    from: "kubelet",
    body: /(?:mkdir|open|write) (\/\S+): read-only file system|read-only file system/,
    explain: ({ node }, [, path]) => ({
      reason: "DirectoryNotWritable",
      message: say`the file system on ${node} that the checkpoint is written to is read-only`,
      why: path === undefined ? "read-only file system" : say`${path}: read-only file system`,
      fix: "mount a writable file system there; for the kubelet's directory, its --root-dir decides where that is",
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
        message: say`the node ${node} has no space left for the archive`,
        why: partial === undefined ? runtimeWords(said) : say`a partial file is left at ${`${node}:${partial}`}`,
        fix: "free space on the node's disk, then rerun",
      };
    },
  },
  {
    status: 500,
    from: "kubelet",
    body: /^checkpointing of \S+ failed \(container \S+ not found\)$/,
    explain: notRunning,
  },
];

function timeoutInvalid({ node }: CheckpointTarget): Explanation {
  return {
    reason: "TimeoutInvalid",
    message: say`the kubelet of ${node} does not accept this timeout`,
    fix: "give another --timeout, or none",
  };
}
