import type { Archive, Member } from "../../../archive/archive.ts";
import { ENGINE_FILES, engineOf } from "../../../archive/engines/engine.ts";
import type { CheckpointInfo } from "../../../archive/engines/info.ts";
import { mounts } from "../../../criu/mounts.ts";
import { allThreads } from "../../../criu/threads.ts";
import { POD_ANNOTATION, type ImageFacts } from "../../../image/manifest.ts";
import type { Context } from "../../../model/context.ts";
import { UserError } from "../../../model/error.ts";
import { say } from "../../../model/phrase.ts";
import { ociRuntime, type OciRuntime } from "../../../restore/settings.ts";
import { list, object, string, type Json } from "../../../model/json.ts";

/** Where a checkpoint came from, as far as it is known besides the archive. */
export interface Origin {
  /** The pod's API object at that time. */
  readonly pod?: Json;
  /** Of the node: "6.1.0-13-amd64". */
  readonly kernel?: string;
  /** Of the node: "containerd://2.1.9". */
  readonly runtime?: string;
}

/** What a node must be and have to restore a checkpoint. */
export interface Needs {
  readonly info: Pick<CheckpointInfo, "engine" | "image" | "imageID">;
  /** As Go and Kubernetes call it: "amd64". */
  readonly architecture: string;
  /** That made it, where that is known. */
  readonly oci?: OciRuntime | undefined;
}

/** What an archive tells of itself, for its image and for restores. */
export interface ArchiveFacts extends Needs {
  readonly info: CheckpointInfo;
}

const GOARCH: Readonly<Record<string, string>> = {
  "x86-64": "amd64",
  aarch64: "arm64",
  arm: "arm",
  ppc64le: "ppc64le",
  s390x: "s390x",
  mips64: "mips64le",
  loongarch64: "loong64",
  riscv64: "riscv64",
};
const CORE = /^checkpoint\/core-(\d+)\.img$/;
const MOUNTPOINTS = /^checkpoint\/mountpoints-\d+\.img$/;
/** A manifest is 4 MiB at most in many registries; a pod that large is none. In bytes of JSON. */
const LARGEST_POD = 512 << 10;
/** Of a variable in the manifest: its value is in the record and in the processes' memory, but not in the image's annotations. */
const VALUE_NOT_INCLUDED = "valueNotIncluded";
/** Its own manifest once more. */
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

/** Members that archiveFacts reads, for archives that come in order. */
export function keepForFacts({ name }: Member): boolean {
  return ENGINE_FILES.has(name) || CORE.test(name) || MOUNTPOINTS.test(name);
}

/** Throws a UserError where it holds no checkpoint, or does not tell what machine it is for. */
export async function archiveFacts(archive: Archive): Promise<ArchiveFacts> {
  const info = await engineOf(archive);
  const core = [...archive.members.keys()].flatMap((name) => CORE.exec(name)?.[1] ?? [])[0];
  const [thread] = core === undefined ? [] : await allThreads(archive, [Number(core)], () => undefined);
  const architecture = GOARCH[thread?.architecture ?? ""];
  if (architecture === undefined) {
    throw new UserError({
      reason: "ArchitectureUnknown",
      message: "the archive does not tell what kind of machine it is for",
      why: core === undefined ? "no process is in it" : `CRIU's image of process ${core} cannot be read`,
    });
  }
  return { info, architecture, oci: await ociRuntimeOf(archive, info) };
}

/**
 * Which OCI runtime made it. CRI-O names it; containerd does not, but crun masks directories with an empty one of its own (seen in archives of
 * crun 1.28 and runc 1.3.6). Undefined where that cannot be told.
 */
async function ociRuntimeOf(archive: Archive, { runtime = "" }: CheckpointInfo): Promise<OciRuntime | undefined> {
  const named = ociRuntime(runtime);
  if (named !== undefined) return named;
  const all = await mounts(archive).catch((error: unknown) => {
    if (!(error instanceof UserError)) throw error;
    return [];
  });
  return all.some(({ external, root }) => external && root.endsWith("/.empty-directory")) ? "crun" : undefined;
}

/** The node's engine may find something else in such an archive than was found here. */
export function warnOfProblems({ emit }: Pick<Context, "emit">, label: string, problems: readonly string[]): void {
  for (const problem of problems) emit({ kind: "warning", text: say`${label}: ${problem}` });
}

/** What the image says: what the engines look for, and what a restore elsewhere is made from. */
export function imageFacts({ info, architecture }: ArchiveFacts, { pod, kernel }: Origin): ImageFacts {
  const runtime = runtimeName(info.runtime);
  const more: Record<string, string | undefined> = {
    "org.criu.checkpoint.engine.name": info.engine,
    "org.criu.checkpoint.rootfsImageName": info.image,
    "org.criu.checkpoint.runtime.name": runtime,
    "org.criu.checkpoint.host.arch": architecture,
    "org.criu.checkpoint.host.kernel": kernel,
    // Not org.criu.checkpoint.pod.name: CRI-O takes what has it for the checkpoint of a whole pod.
    [POD_ANNOTATION]: pod === undefined ? undefined : podText(pod),
  };
  return {
    container: info.container ?? info.containerID ?? "checkpoint",
    runtime,
    architecture,
    created: info.checkpointedAt ?? new Date(0).toISOString(),
    annotations: Object.fromEntries(Object.entries(more).filter((entry): entry is [string, string] => entry[1] !== undefined)),
  };
}

/** "runc" of containerd's "io.containerd.runc.v2". */
function runtimeName(runtime: string | undefined): string {
  return /^io\.containerd\.([^.]+)\./.exec(runtime ?? "")?.[1] ?? runtime ?? "runc";
}

/** A pod's manifest as podText() wrote it, without the variables whose values it does not include; and their names: "web: TOKEN". */
export function podOfText(text: string): { readonly pod: Json; readonly notIncluded: readonly string[] } {
  const pod = object(JSON.parse(text));
  const notIncluded: string[] = [];
  const spec = withEnvironment(object(pod["spec"]), (variable, container) => {
    if (variable[VALUE_NOT_INCLUDED] !== true) return variable;
    notIncluded.push(`${container}: ${string(variable["name"])}`);
    return undefined;
  });
  return { pod: { ...pod, spec }, notIncluded };
}

/** The variables of all containers, each replaced by what `change` makes of it. */
function withEnvironment(spec: Json, change: (variable: Json, container: string) => Json | undefined): Json {
  const changed = ["initContainers", "containers", "ephemeralContainers"].flatMap((kind) => {
    if (!Array.isArray(spec[kind])) return [];
    const containers = list(spec[kind]).map(object);
    const others = containers.map((container) =>
      Array.isArray(container["env"])
        ? { ...container, env: list(container["env"]).flatMap((one) => change(object(one), string(container["name"])) ?? []) }
        : container,
    );
    return [[kind, others] as const];
  });
  return { ...spec, ...Object.fromEntries(changed) };
}

/** Passwords stand in values: who may list an image's annotations should not read them. */
function podText(pod: Json): string | undefined {
  const { name, namespace, labels, annotations } = object(pod["metadata"]);
  const { [LAST_APPLIED]: _, ...kept } = object(annotations);
  const text = JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels, annotations: kept },
    spec: withEnvironment(object(pod["spec"]), (variable) =>
      typeof variable["value"] === "string" ? { name: variable["name"], [VALUE_NOT_INCLUDED]: true } : variable,
    ),
  });
  return text.length > LARGEST_POD || string(name) === "" ? undefined : text;
}
