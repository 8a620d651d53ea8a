import type { Json } from "../model/json.ts";
import { ARCHIVES, HOST, VOLUMES, WORK } from "./paths.ts";
import { SCRIPT } from "./script.ts";

/**
 * What of the node the pod may touch: nothing else of it is mounted. "write" may change the checkpoint directory, "criu-options" the files
 * with CRIU's options; the others change nothing. "criu-log" is the one directory that holds CRIU's log, "host" the node's root, "volumes"
 * some volumes of a pod.
 */
export type Access = "read" | "write" | "criu-log" | "host" | "criu-options" | "volumes";

/** How users configure helper pods: flags over environment over defaults. */
export interface HelperSettings {
  readonly image: string;
  /** Undefined: kubectl-checkpoint where there is one, else kube-system. */
  readonly namespace: string | undefined;
  readonly pullSecret: string | undefined;
  /** The kubelet's, absolute on the node. */
  readonly checkpointDir: string;
}

/** busybox 1.36.1's multi-arch index, as Docker Hub answered on 2026-10-03. The one place where the default stands. */
export const DEFAULT_IMAGE = "docker.io/library/busybox:1.36.1@sha256:73aaf090f3d85aa34ee199857f03fa3a95c8ede2ffd4cc2cdb5b94e566b11662";
export const DEFAULT_CHECKPOINT_DIR = "/var/lib/kubelet/checkpoints";
export const CONTAINER = "helper";

/** The pod's first deadline; it is put off as long as the client works. */
export const DEADLINE_SECONDS = 600;

export interface HelperRequest {
  readonly name: string;
  readonly namespace: string;
  readonly node: string;
  readonly access: Access;
  /** On the node, absolute: what is mounted. */
  readonly directory: string;
  /** Of "volumes": the directories in it, which are mounted in its place. */
  readonly volumes: readonly string[];
  readonly settings: HelperSettings;
  /** Who asked for it, as the kubeconfig calls them. */
  readonly user: string;
  /** RFC 3339. */
  readonly until: string;
}

/**
 * The Job around the helper pod. A Job because the cluster itself then removes it and its pod, a second after its deadline
 * or two after its end, also when this client is long gone.
 */
export function helperJob(request: HelperRequest): Json {
  const { name, namespace } = request;
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name, namespace, labels: labels(request), annotations: annotations(request) },
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: DEADLINE_SECONDS,
      ttlSecondsAfterFinished: 0,
      template: { metadata: { labels: labels(request), annotations: annotations(request) }, spec: podSpec(request) },
    },
  };
}

/** The same pod without its Job: what the server's dry run is asked about. */
export function helperPod(request: HelperRequest): object {
  const { name, namespace } = request;
  const metadata = { name, namespace, labels: labels(request), annotations: annotations(request) };
  return { apiVersion: "v1", kind: "Pod", metadata, spec: podSpec(request) };
}

function labels({ name }: HelperRequest): Record<string, string> {
  return {
    "app.kubernetes.io/name": "kubectl-checkpoint",
    "app.kubernetes.io/component": "helper",
    "kubectl-checkpoint/helper": name,
    // Meshes put sidecars into pods: this one would never end.
    "sidecar.istio.io/inject": "false",
    "kuma.io/sidecar-injection": "disabled",
  };
}

function annotations({ user, until, access, directory, volumes, node }: HelperRequest): Record<string, string> {
  return {
    "kubectl-checkpoint/purpose": `kubectl checkpoint: ${access} access to ${[directory, ...volumes].join(" ")} of ${node}`,
    "kubectl-checkpoint/user": user,
    "kubectl-checkpoint/until": until,
    "sidecar.istio.io/inject": "false",
    "linkerd.io/inject": "disabled",
    "consul.hashicorp.com/connect-inject": "false",
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "true",
  };
}

const PRIVILEGED = { privileged: true };
/** What a volume has is hostile: whoever reads it may read every file of it, and can do nothing else. Where there is SELinux, as privileged pods may. */
const READS_ONLY = {
  privileged: false,
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"], add: ["DAC_READ_SEARCH"] },
  seLinuxOptions: { type: "spc_t" },
};

function podSpec({ node, access, directory, volumes, settings }: HelperRequest): object {
  return {
    nodeName: node,
    tolerations: [{ operator: "Exists" }],
    restartPolicy: "Never",
    // What it changed in CRIU's options it puts back when it is ended.
    terminationGracePeriodSeconds: access === "criu-options" ? 30 : 0,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    // It looks nothing up. The default has kubelets without a cluster DNS warn of every pod.
    dnsPolicy: "Default",
    ...(settings.pullSecret === undefined ? {} : { imagePullSecrets: [{ name: settings.pullSecret }] }),
    containers: [
      {
        name: CONTAINER,
        image: settings.image,
        command: ["sh", "-c", SCRIPT],
        // Open, so that an image without sleep has something to wait for.
        stdin: true,
        securityContext: { ...(access === "volumes" ? READS_ONLY : PRIVILEGED), runAsUser: 0, runAsGroup: 0, readOnlyRootFilesystem: true },
        resources: { requests: { cpu: "10m", memory: "32Mi" }, limits: { cpu: "2", memory: "256Mi" } },
        volumeMounts: [
          ...(access === "volumes"
            ? volumes.map((name, index) => ({ name: `volume-${index}`, mountPath: `${VOLUMES}/${name}`, readOnly: true }))
            : [
                { name: "node", mountPath: access === "host" ? HOST : ARCHIVES, readOnly: access !== "write" && access !== "criu-options" },
              ]),
          { name: "work", mountPath: WORK },
        ],
      },
    ],
    volumes: [
      ...(access === "volumes"
        ? volumes.map((name, index) => ({ name: `volume-${index}`, hostPath: { path: `${directory}/${name}`, type: "Directory" } }))
        : [{ name: "node", hostPath: { path: directory, type: access === "criu-options" ? "DirectoryOrCreate" : "Directory" } }]),
      { name: "work", emptyDir: { medium: "Memory", sizeLimit: "8Mi" } },
    ],
  };
}
