import type { Json } from "../model/json.ts";
import { say, type Phrase } from "../model/phrase.ts";

/** What an archive alone says of its container. */
export interface ArchivedContainer {
  readonly container: string | undefined;
  readonly pod: string | undefined;
  readonly namespace: string | undefined;
  readonly command: readonly string[];
  /** Undefined where the archive has no specification that lists them. */
  readonly mounts: readonly ArchivedMount[] | undefined;
}

export interface ArchivedMount {
  /** In the container. */
  readonly path: string;
  /** "empty-dir", "configmap", "projected", "csi"…; undefined for what the kubelet did not make, as a directory of the node. */
  readonly kind: string | undefined;
  /** The pod's name for the volume. */
  readonly name: string | undefined;
}

export interface ArchivedPod {
  readonly pod: Json;
  /** What is not in the archive and a restored pod may lack. */
  readonly gaps: readonly Phrase[];
}

export const TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * A pod out of what the archive holds, where its manifest is not known. Whatever was mounted has an empty volume in its place,
 * never a path of the node: an archive may say anything.
 */
export function podOfArchive({ container, pod, namespace, command, mounts }: ArchivedContainer): ArchivedPod {
  const name = container ?? "restored";
  const named = (mounts ?? [])
    .filter(({ path }) => path !== TOKEN_PATH)
    .map((mount, index) => ({ ...mount, volume: `restored-${index + 1}` }));
  return {
    pod: {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: pod ?? name, ...(namespace === undefined ? {} : { namespace }) },
      spec: {
        ...(named.length === 0 ? {} : { volumes: named.map(({ volume }) => ({ name: volume, emptyDir: {} })) }),
        containers: [
          {
            name,
            command,
            ...(named.length === 0 ? {} : { volumeMounts: named.map(({ volume, path }) => ({ name: volume, mountPath: path })) }),
          },
        ],
      },
    },
    gaps: [
      ...(container === undefined ? [say`the container's name is not in the archive: it is called ${name}`] : []),
      say`environment, ports, resources, service account and security context are not in the archive as the pod had them: the restored process keeps its own, new processes beside it (kubectl exec) have none of them`,
      say`the pod's other containers are not in the archive`,
      ...(mounts === undefined ? [say`what was mounted is not in the archive: CRIU fails if something is missing`] : []),
      ...named.map(
        ({ path, kind, name: volume }) =>
          say`${kind ?? "a directory of the node"}${volume === undefined ? say`` : say` ${volume}`} was mounted at ${path}: an empty volume is mounted instead`,
      ),
    ],
  };
}
