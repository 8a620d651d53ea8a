import { isWorkloadType } from "../../cluster/workloads.ts";
import type { PodWord, TargetQuery, WorkloadWord } from "../../flows/capture/targets/resolve.ts";
import type { Codec } from "../../helper/files.ts";
import type { HelperSettings } from "../../helper/manifest.ts";
import { usageError } from "../../model/error.ts";
import type { Flags } from "../../model/flags.ts";
import { parseCount, parseDuration } from "../../model/units.ts";
import { helperSettings } from "../helper-settings.ts";

/** One call of `kubectl checkpoint`, its flags read once. */
export interface CheckpointRequest {
  /** Undefined: to be picked. */
  readonly query: TargetQuery | undefined;
  /** Of what is picked: the containers to choose from, and whether of all namespaces. */
  readonly pick: { readonly containers: readonly string[]; readonly allNamespaces: boolean };
  readonly timeoutMs: number | undefined;
  readonly copy: CopyOptions | undefined;
  /** Undefined: the default, or what the resumed run had. */
  readonly perNode: number | undefined;
  readonly parallel: number | undefined;
  /** Of --resume: the state of an earlier run. */
  readonly resume: string | undefined;
  readonly series: SeriesOptions | undefined;
  readonly force: boolean;
  /** CRIU's log is read where it fails. */
  readonly explain: boolean;
  readonly yes: boolean;
  /** Whether the document is printed. */
  readonly document: boolean;
  /** Whether each result is told on stdout as it comes: without -o. */
  readonly told: boolean;
  readonly settings: HelperSettings;
}

/** --copy and what goes with it. */
export interface CopyOptions {
  /** Undefined: the working directory. */
  readonly destination: string | undefined;
  readonly remove: boolean;
  readonly force: boolean;
  readonly codec: Codec | "auto";
}

/** --every and what goes with it. */
export interface SeriesOptions {
  readonly everyMs: number;
  readonly count: number | undefined;
  readonly keep: number | undefined;
}

/** Throws a usage error. */
export function checkpointRequest(words: readonly string[], flags: Flags, env: NodeJS.ProcessEnv): CheckpointRequest {
  const timeout = flags.text("timeout");
  const timeoutMs = timeout === undefined ? undefined : parseDuration(timeout, "--timeout");
  if (timeoutMs === 0) throw usageError("--timeout must be more than 0");
  const resume = resumeFile(words, flags);
  const query = targetQuery(words, flags);
  const output = flags.text("output");
  return {
    query,
    pick: { containers: flags.list("container"), allNamespaces: flags.on("all-namespaces") },
    timeoutMs,
    copy: copyOptions(flags),
    perNode: count(flags, "per-node"),
    parallel: count(flags, "parallel"),
    resume,
    series: seriesOptions(flags),
    force: flags.on("force"),
    explain: flags.on("explain"),
    yes: flags.on("yes"),
    document: /^(json|yaml)$/.test(output ?? ""),
    told: output === undefined,
    settings: helperSettings(flags, env),
  };
}

/** What a resumed run takes from its file, and nowhere else. */
const OF_ITS_FILE = {
  container: "-c",
  "all-containers": "--all-containers",
  selector: "-l",
  "field-selector": "--field-selector",
  "all-namespaces": "-A",
  copy: "--copy",
  remove: "--remove",
  compress: "--compress",
  "dry-run": "--dry-run",
  every: "--every",
  count: "--count",
  keep: "--keep",
};

function resumeFile(words: readonly string[], flags: Flags): string | undefined {
  const resume = flags.text("resume");
  if (resume === undefined) return undefined;
  if (words.length > 0) throw usageError("--resume takes its targets from the file: no POD and no selector");
  const given = Object.entries(OF_ITS_FILE).find(
    ([name]) => flags.text(name) !== undefined || flags.list(name).length > 0 || flags.on(name),
  );
  if (given !== undefined)
    throw usageError(`${given[1]} does not go with --resume: targets, --copy and what goes with it are as the run began`);
  return resume;
}

function targetQuery(words: readonly string[], flags: Flags): TargetQuery | undefined {
  const query = {
    words: targetWords(words),
    labelSelector: flags.text("selector"),
    fieldSelector: flags.text("field-selector"),
    allNamespaces: flags.on("all-namespaces"),
    containers: flags.list("container"),
    allContainers: flags.on("all-containers"),
  };
  const selects = query.labelSelector !== undefined || query.fieldSelector !== undefined;
  if (query.allContainers && query.containers.length > 0) throw usageError("--all-containers and -c exclude each other");
  if (words.length > 0 && selects) throw usageError("names and selectors exclude each other");
  if (words.length > 0 && query.allNamespaces) throw usageError("names are of one namespace: -A goes with selectors");
  if (words.length === 0 && query.allContainers && !selects)
    throw usageError("--all-containers of what? Give a POD, TYPE/NAME or a selector");
  return words.length === 0 && !selects ? undefined : query;
}

/** `nginx`, `pod/nginx`, `deploy/web`, and as kubectl takes it: `pod nginx`. */
function targetWords(words: readonly string[]): (PodWord | WorkloadWord)[] {
  const named = words.length > 1 && isPodType(words[0] ?? "") ? words.slice(1) : words;
  return named.map((word) => {
    const slash = word.indexOf("/");
    const [type, name] = slash < 0 ? ["pod", word] : [word.slice(0, slash), word.slice(slash + 1)];
    if (name === "" || name.includes("/")) throw usageError(`"${word}" names nothing`, "give POD or TYPE/NAME");
    if (isPodType(type)) return { kind: "pod", name };
    if (isWorkloadType(type)) return { kind: "workload", type, name };
    throw usageError(`"${word}": no pods stand behind ${type || "that"}`, "TYPE is one of pod, deploy, rs, sts, ds, rc, job, cronjob, svc");
  });
}

function isPodType(type: string): boolean {
  return /^(pods?|po)$/.test(type);
}

function copyOptions(flags: Flags): CopyOptions | undefined {
  const destination = flags.text("copy");
  if (destination === undefined) {
    if (flags.on("remove")) throw usageError("--remove goes with --copy");
    if (flags.text("compress") !== undefined) throw usageError("--compress goes with --copy");
    return undefined;
  }
  if (destination === "-") throw usageError("--copy=-: standard output takes one archive, with kubectl checkpoint cp NODE:ARCHIVE -");
  return {
    destination: destination === "" ? undefined : destination,
    remove: flags.on("remove"),
    force: flags.on("force"),
    codec: (flags.text("compress") ?? "auto") as Codec | "auto",
  };
}

function seriesOptions(flags: Flags): SeriesOptions | undefined {
  const every = flags.text("every");
  const [turns, keep] = ["count", "keep"].map((flag) => {
    if (flags.text(flag) !== undefined && every === undefined) throw usageError(`--${flag} goes with --every`);
    return count(flags, flag);
  });
  if (every === undefined) return undefined;
  const everyMs = parseDuration(every, "--every");
  if (everyMs < 1000) throw usageError("--every must be at least 1s");
  return { everyMs, count: turns, keep };
}

function count(flags: Flags, flag: string): number | undefined {
  const text = flags.text(flag);
  return text === undefined ? undefined : parseCount(text, `--${flag}`);
}
