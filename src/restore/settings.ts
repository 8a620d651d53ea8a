import { say, type Phrase, type Text } from "../model/phrase.ts";
import { CONTAINERD_SWITCH, CRIO_LEVEL, restoreVerdict, type Runtime } from "./runtimes.ts";

/** Each restores only its own checkpoints: they mask paths with other mounts. */
export type OciRuntime = "runc" | "crun";

/** What a runtime's own configuration says of restores; undefined where it does not say. */
export interface RuntimeSettings {
  readonly name: "containerd" | "cri-o";
  /** containerd's enable_experimental_restore_via_create. */
  readonly restores: boolean | undefined;
  /** containerd's enable_criu, CRI-O's enable_criu_support. */
  readonly criu: boolean | undefined;
  /** CRI-O's container_level_enabled. */
  readonly level: string | undefined;
  /** The OCI runtime of pods without a runtime class. */
  readonly oci: OciRuntime | undefined;
}

/** Of the operation runtime: "runtime NAME", then "set LINE" for each line of its TOML that matters. One for each process. */
export function parseSettings(lines: readonly string[]): RuntimeSettings[] {
  const starts = lines.flatMap((line, index) => (line.startsWith("runtime ") ? [index] : []));
  return starts.flatMap((start, index) => {
    const own = lines.slice(start + 1, starts[index + 1]).flatMap((line) => (line.startsWith("set ") ? [line.slice(4)] : []));
    const name = lines[start] === "runtime crio" ? "cri-o" : "containerd";
    return own.length === 0 ? [] : [settingsOf(name, assignments(own))];
  });
}

/** "crio.runtime default_runtime" to its value: names without quotes, strings without theirs. */
function assignments(lines: readonly string[]): Map<string, string> {
  const values = new Map<string, string>();
  let table = "";
  for (const line of lines) {
    const header = /^\[([^[\]]+)\]$/.exec(line);
    const [, key = "", value = ""] = /^(\w+)\s*=\s*(.*)$/.exec(line) ?? [];
    if (header !== null) table = (header[1] ?? "").replaceAll(/['"]/g, "");
    else if (key !== "") values.set(`${table} ${key}`, value.replace(/^(["'])(.*)\1$/, "$2"));
  }
  return values;
}

const CRI = "plugins.io.containerd.cri.v1.runtime";

function settingsOf(name: RuntimeSettings["name"], values: ReadonlyMap<string, string>): RuntimeSettings {
  const isOn = (key: string): boolean | undefined => {
    const value = values.get(key);
    return value === "true" ? true : value === "false" ? false : undefined;
  };
  if (name === "cri-o") {
    const handler = values.get("crio.runtime default_runtime") ?? "";
    const path = values.get(`crio.runtime.runtimes.${handler} runtime_path`) ?? "";
    return {
      name,
      restores: undefined,
      criu: isOn("crio.runtime enable_criu_support"),
      level: values.get("crio.checkpoint_restore container_level_enabled"),
      oci: ociRuntime(path === "" ? handler : path),
    };
  }
  const handler = values.get(`${CRI}.containerd default_runtime_name`) ?? "runc";
  const binary = values.get(`${CRI}.containerd.runtimes.${handler}.options BinaryName`) ?? "";
  return {
    name,
    restores: isOn(`${CRI} enable_experimental_restore_via_create`),
    criu: isOn(`${CRI} enable_criu`),
    level: undefined,
    oci: ociRuntime(binary === "" ? handler : binary),
  };
}

/** Of a name or a path. */
export function ociRuntime(path: string): OciRuntime | undefined {
  return (["runc", "crun"] as const).find((name) => path === name || path.endsWith(`/${name}`));
}

/** Why a node with this runtime, so configured, does not restore. */
export interface Refusal {
  readonly reason: "RuntimeCannotRestore" | "EngineMismatch";
  readonly why: Phrase;
  readonly fix: Text | undefined;
}

/**
 * Undefined: it restores, as far as its settings say. `made`: the OCI runtime that made the checkpoint; it and the runtime are undefined where
 * they are not known.
 */
export function refusedBy(
  node: string,
  runtime: Runtime | undefined,
  settings: RuntimeSettings,
  made: OciRuntime | undefined,
): Refusal | undefined {
  const { why = "", fix, restores } = runtime === undefined ? SWITCHES[settings.name] : restoreVerdict(runtime);
  if (settings.name === "containerd") {
    if (settings.oci === "crun" || made === "crun") return refusedForCrun(node, settings.oci);
    if (restores === "maybe" && settings.restores === false) return { reason: "RuntimeCannotRestore", why: say`${node}: ${why}`, fix };
    if (settings.criu !== false) return undefined;
    return {
      reason: "RuntimeCannotRestore",
      why: say`${node}: enable_criu = false under [plugins.'io.containerd.cri.v1.runtime']`,
      fix: "in containerd's configuration on the node, set enable_criu = true there, then restart containerd",
    };
  }
  if (offInCrio(settings)) return { reason: "RuntimeCannotRestore", why: say`${node}: ${why}`, fix };
  if (made === undefined || settings.oci === undefined || settings.oci === made) return undefined;
  return {
    reason: "EngineMismatch",
    why: say`${node} runs containers with ${settings.oci}, the checkpoint was made by ${made}: each restores only its own`,
    fix: say`restore it on a node whose CRI-O uses ${made}`,
  };
}

/** Where the version is not known: of the newest. */
const SWITCHES = { containerd: CONTAINERD_SWITCH, "cri-o": CRIO_LEVEL } as const;

/** containerd restores with no other OCI runtime than runc: neither there, nor what another one has made. `oci`: the node's. */
export function refusedForCrun(node: string, oci: OciRuntime | undefined): Refusal {
  const because = "it passes --no-subreaper, an option that crun does not have";
  if (oci === "crun")
    return {
      reason: "RuntimeCannotRestore",
      why: say`${node}: containerd cannot restore with crun: ${because}`,
      fix: "restore it on a node whose containerd uses runc",
    };
  return {
    reason: "EngineMismatch",
    why: say`${node}: containerd restores only with runc (${because}); this checkpoint is of crun`,
    fix: "restore an archive of it in a sandbox, without the runtime: kubectl checkpoint restore FILE --sandbox",
  };
}

/** By either switch; the second one is of releases since September 2026. */
function offInCrio({ criu, level = RESTORES }: RuntimeSettings): boolean {
  return criu === false || level !== RESTORES;
}

const RESTORES = "checkpoint_restore";
