import type { CheckpointInfo } from "../../archive/engines/info.ts";
import { podOfArchive, TOKEN_PATH } from "../../restore/archived.ts";
import { denyAll, ensureIsolable } from "../../restore/isolation.ts";
import type { Candidates } from "../../restore/placement.ts";
import { originOf, restoredPod, type Keep } from "../../restore/pod.ts";
import { UserError } from "../../model/error.ts";
import { list, object, string, type Json } from "../../model/json.ts";
import { joined, say, type Phrase } from "../../model/phrase.ts";
import type { Origin } from "./image/facts.ts";

/** Facts of an archive that a pod is planned from. */
export interface PlannedFacts {
  readonly info: Pick<CheckpointInfo, "container" | "pod" | "namespace" | "command" | "volumes">;
  readonly architecture: string;
}

/** How a checkpoint is to be restored. */
export interface RestoreOptions {
  /** Undefined: the original's, with "-restored". */
  readonly name: string | undefined;
  /** As -n says; undefined: the original's, else the context's. */
  readonly namespace: string | undefined;
  readonly node: string | undefined;
  readonly bypassScheduler: boolean;
  readonly setImages: ReadonlyMap<string, string>;
  readonly isolated: boolean;
  readonly keep: Keep;
  readonly keepHostPorts: boolean;
}

/** What will be created, in this order. */
export interface RestorePlan {
  readonly name: string;
  readonly namespace: string;
  readonly container: string;
  readonly image: string;
  /** Denies all traffic, where it is isolated. */
  readonly policy: Json | undefined;
  readonly pod: Json;
  /** What is different, or may surprise. */
  readonly notes: readonly Phrase[];
  /** What is not known, where there is no manifest. */
  readonly gaps: readonly Phrase[];
}

const SUFFIX = "-restored";
/** A longer pod's name would not fit into its host name. */
const LONGEST_NAME = 63;

/** Throws a UserError where the container cannot be restored like this. */
export function planRestore(
  { facts, origin }: { readonly facts: PlannedFacts; readonly origin: Origin },
  options: RestoreOptions,
  image: string,
  candidates: Candidates | undefined,
  contextNamespace: string,
): RestorePlan {
  const { info, architecture } = facts;
  const archived = podOfArchive({ ...info, mounts: info.volumes });
  const original = origin.pod ?? archived.pod;
  const metadata = object(original["metadata"]);
  const name =
    options.name ??
    `${originOf(original)
      .replace(/^.*\//, "")
      .slice(0, LONGEST_NAME - SUFFIX.length)}${SUFFIX}`;
  const namespace = options.namespace ?? (string(metadata["namespace"]) || contextNamespace);
  const container = info.container ?? string(object(list(object(original["spec"])["containers"])[0])["name"]);
  const { pod, notes } = restoredPod({
    ...options,
    original,
    container,
    image,
    command: info.command,
    tokenMounted: (info.volumes ?? []).some(({ path }) => path === TOKEN_PATH),
    name,
    namespace,
    placement: { node: options.node, architecture, candidates, bypassScheduler: options.bypassScheduler },
  });
  if (options.isolated) ensureIsolable(pod, say`the pod of the manifest`);
  ensureMounts(
    pod,
    container,
    (info.volumes ?? []).map(({ path }) => path),
  );
  const policy = options.isolated ? denyAll(namespace, name) : undefined;
  const elsewhere =
    options.namespace === undefined && namespace !== contextNamespace
      ? [say`it is created in namespace ${namespace}, where the original was, not in ${contextNamespace}: use -n NAME for another`]
      : [];
  return {
    name,
    namespace,
    container,
    image,
    policy,
    pod,
    notes: [...elsewhere, ...notes],
    gaps: origin.pod === undefined ? archived.gaps : [],
  };
}

/** CRIU restores no process whose mounts are not all there again. */
function ensureMounts(pod: Json, container: string, paths: readonly string[]): void {
  const spec = list(object(pod["spec"])["containers"])
    .map(object)
    .find((one) => one["name"] === container);
  const mounted = new Set(list(spec?.["volumeMounts"]).map((mount) => string(object(mount)["mountPath"]).replace(/(.)\/+$/, "$1")));
  const missing = paths.filter((path) => !mounted.has(path) && path !== TOKEN_PATH && path !== "/dev/termination-log");
  if (missing.length === 0) return;
  throw new UserError({
    reason: "MountMissing",
    message: say`container ${container} had mounts that the pod's manifest does not have: ${joined(missing, ", ")}`,
    why: "CRIU restores a process only if all its mounts are there; the record beside the archive is of another time, or of another pod",
    fix: "without the record FILE.json, empty volumes replace them",
  });
}
