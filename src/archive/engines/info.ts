export type Engine = "containerd" | "cri-o" | "podman";

/** A volume or other mount that the container was given from outside. */
export interface VolumeMount {
  /** In the container. */
  readonly path: string;
  /** On the node. */
  readonly source: string;
  /** The pod's name for it and its kind ("empty-dir", "configmap", "csi"…) where the kubelet made it; Podman's name of a named volume. */
  readonly name: string | undefined;
  readonly kind: string | undefined;
  /** The member that holds its content: Podman alone keeps its named volumes. */
  readonly member: string | undefined;
}

/** An interface of the container in one of the engine's networks. */
export interface NetworkInfo {
  /** The network's: "podman". */
  readonly name: string;
  /** In the container: "eth0". */
  readonly interface: string;
  /** With their prefixes: "10.88.0.7/16". */
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
  readonly mac: string | undefined;
}

/** What an archive tells of its container; undefined is what it does not tell. Times are RFC 3339 in UTC with milliseconds. */
export interface CheckpointInfo {
  /** Undefined where it was made by none that is known. */
  readonly engine: Engine | undefined;
  /** The OCI runtime: "runc", "crun", "io.containerd.runc.v2". */
  readonly runtime: string | undefined;
  readonly namespace: string | undefined;
  readonly pod: string | undefined;
  readonly podUID: string | undefined;
  readonly container: string | undefined;
  readonly containerID: string | undefined;
  /** How often the kubelet had started this container anew. */
  readonly restartCount: number | undefined;
  /** The name that the image was asked for by. */
  readonly image: string | undefined;
  /** The image's ID, or its reference by digest: as the engine wrote it. */
  readonly imageID: string | undefined;
  readonly createdAt: string | undefined;
  readonly startedAt: string | undefined;
  readonly checkpointedAt: string | undefined;
  /** Addresses of the container, where the engine keeps them. */
  readonly ips: readonly string[];
  readonly macs: readonly string[];
  /** What Podman writes of each network, by name and interface. */
  readonly networks: readonly NetworkInfo[];
  /** Of the container: its OCI specification's and, where the engine keeps them apart, the kubelet's. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly command: readonly string[];
  /** Undefined where the archive has no OCI specification to tell them. */
  readonly volumes: readonly VolumeMount[] | undefined;
}
