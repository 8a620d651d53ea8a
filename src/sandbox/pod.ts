import type { Json } from "../model/json.ts";

export interface SandboxPodRequest {
  readonly name: string;
  readonly namespace: string;
  /** Undefined: the scheduler chooses, among `candidates` where not all nodes will do. */
  readonly node: string | undefined;
  readonly candidates: readonly string[] | undefined;
  /** As Kubernetes calls it: "amd64". */
  readonly architecture: string;
  /** The helper image. */
  readonly image: string;
  /** What the container was made from. */
  readonly base: string;
  /** Whether the nodes mount images as volumes; else an init container copies the base image. */
  readonly imageVolumes: boolean;
  /** A checkpoint image that has the archive; undefined where the archive is sent. */
  readonly checkpoint: string | undefined;
  /** Of the processes' memory and of the archive, in bytes. */
  readonly memory: number;
  readonly archiveBytes: number;
  readonly ttlSeconds: number;
  /** Where the entry point listens, on the loopback, until processes are restored. */
  readonly port: number;
  readonly terminal: boolean;
  readonly pullSecret: string | undefined;
  /** NAMESPACE/POD of the original, and who asked for it. */
  readonly origin: string;
  readonly user: string;
}

export const CONTAINER = "sandbox";
const MiB = 1 << 20;
const LARGEST_BASE_MIB = 16 << 10;

/**
 * A pod in a user namespace of its own, which is the boundary: what is restored in it may be root there, and hostile. It has no token, no
 * directory of the node, and an end. `privileged` reaches no further than its user namespace.
 */
export function sandboxPod(request: SandboxPodRequest): Json {
  const { name, namespace, base, imageVolumes, checkpoint, ttlSeconds, terminal, pullSecret, memory, archiveBytes } = request;
  const storage = `${Math.ceil((archiveBytes * 2) / MiB) + 1024}Mi`;
  // The copy of a base image counts too; how large it is nobody knows before it is pulled.
  const limits = imageVolumes ? storage : `${Math.ceil((archiveBytes * 2) / MiB) + 1024 + LARGEST_BASE_MIB}Mi`;
  const limit = `${Math.ceil((memory * 1.25) / MiB) + 320}Mi`;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels: LABELS, annotations: annotations(request) },
    spec: {
      hostUsers: false,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 1,
      activeDeadlineSeconds: ttlSeconds,
      dnsPolicy: "Default",
      ...placement(request),
      ...(pullSecret === undefined ? {} : { imagePullSecrets: [{ name: pullSecret }] }),
      ...(imageVolumes ? {} : { initContainers: baseCopiers(request) }),
      containers: [
        {
          name: CONTAINER,
          image: request.image,
          command: ["sandbox", "run"],
          env: [{ name: "PORT", value: String(request.port) }],
          ...(terminal ? { stdin: true, tty: true } : {}),
          securityContext: { privileged: true, runAsUser: 0, runAsGroup: 0 },
          resources: {
            requests: { cpu: "10m", memory: "64Mi", "ephemeral-storage": "256Mi" },
            limits: { cpu: "2", memory: limit, "ephemeral-storage": limits },
          },
          volumeMounts: [
            { name: "base", mountPath: "/base", readOnly: true },
            { name: "work", mountPath: "/work" },
            ...(checkpoint === undefined ? [] : [{ name: "archive", mountPath: "/archive", readOnly: true }]),
          ],
        },
      ],
      volumes: [
        imageVolumes ? { name: "base", image: { reference: base, pullPolicy: "IfNotPresent" } } : { name: "base", emptyDir: {} },
        { name: "work", emptyDir: { sizeLimit: storage } },
        ...(imageVolumes ? [] : [{ name: "tools", emptyDir: {} }]),
        ...(checkpoint === undefined ? [] : [{ name: "archive", image: { reference: checkpoint, pullPolicy: "IfNotPresent" } }]),
      ],
    },
  };
}

const LABELS = {
  "app.kubernetes.io/name": "kubectl-checkpoint",
  "app.kubernetes.io/component": "sandbox",
  // Meshes put sidecars into pods.
  "sidecar.istio.io/inject": "false",
  "kuma.io/sidecar-injection": "disabled",
};

function annotations({ origin, user }: SandboxPodRequest): Record<string, string> {
  return {
    "kubectl-checkpoint/purpose": `kubectl checkpoint: sandbox of a checkpoint of ${origin}`,
    "kubectl-checkpoint/user": user,
    // Beside containers that copy the base image.
    "kubectl.kubernetes.io/default-container": CONTAINER,
    "sidecar.istio.io/inject": "false",
    "linkerd.io/inject": "disabled",
    "consul.hashicorp.com/connect-inject": "false",
  };
}

function placement({ node, candidates, architecture }: SandboxPodRequest): Json {
  const names = node === undefined ? candidates : [node];
  const expressions = [{ key: "kubernetes.io/arch", operator: "In", values: [architecture] }];
  const terms =
    names === undefined
      ? [{ matchExpressions: expressions }]
      : names.map((name) => ({
          matchExpressions: expressions,
          matchFields: [{ key: "metadata.name", operator: "In", values: [name] }],
        }));
  return {
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } } },
    ...(node === undefined ? {} : { tolerations: [{ operator: "Exists" }] }),
  };
}

/** The base image copies itself, by a static busybox that is lent to it. */
function baseCopiers({ image, base }: SandboxPodRequest): object[] {
  const tools = { name: "tools", mountPath: "/.kubectl-checkpoint" };
  const copy = `cd / && set -- && for f in * .[!.]*; do
case $f in proc|sys|dev|.kubectl-checkpoint|'*'|'.[!.]*') ;; *) set -- "$@" "$f" ;; esac; done
$T tar -cf - "$@" | $T tar -C /.kubectl-checkpoint/base -xpf - && cd /.kubectl-checkpoint/base && $T mkdir -p proc sys dev`;
  return [
    { name: "tools", image, command: ["cp", "/usr/bin/busybox", "/.kubectl-checkpoint/busybox"], volumeMounts: [tools] },
    {
      name: "base",
      image: base,
      command: ["/.kubectl-checkpoint/busybox", "sh", "-c", copy],
      env: [{ name: "T", value: "/.kubectl-checkpoint/busybox" }],
      securityContext: { runAsUser: 0, runAsGroup: 0 },
      volumeMounts: [tools, { name: "base", mountPath: "/.kubectl-checkpoint/base" }],
    },
  ];
}
