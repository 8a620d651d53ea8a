import type { MemoryItem, ProcessItem, ThreadItem, TimerItem, UserIdsItem, VariableItem } from "../../model/inspection.ts";
import { hanging, say, type Phrase } from "../../model/phrase.ts";
import { formatBytes } from "../../model/units.ts";
import type { View } from "./view.ts";

/** What a process is and may do, a line each. */
export function* processView(process: ProcessItem): Generator<Phrase> {
  const { comm, state, pid, ppid, pgid, sid, executable, cwd, root, umask, threads, oomScoreAdjust, signals, timers, limits } = process;
  const { subreaper, loginUid, dumpable, namespaces, cgroups = [] } = process;
  yield line("name", say`${comm}, ${state}`);
  yield line("parent", say`${ppid ?? "unknown"}, group ${pgid ?? "unknown"}, session ${sid ?? "unknown"}`);
  if (executable !== undefined) yield line("executable", say`${executable}`);
  if (cwd !== undefined) yield line("directory", say`${cwd}, root ${root ?? "unknown"}, umask ${umask ?? "unknown"}`);
  const leader = threads.find(({ tid }) => tid === pid);
  if (leader !== undefined) yield* credentialsView(leader);
  for (const thread of threads) if (thread !== leader || threads.length > 1) yield line("thread", threadText(thread, leader));
  if (signals.pending.length > 0) yield line("pending", say`signals ${signals.pending.join(" ")}`);
  if (signals.blocked.length > 0) yield line("blocked", say`signals ${signals.blocked.join(" ")}`);
  for (const timer of timers) yield line("timer", say`${timerText(timer)}`);
  if (subreaper) yield line("subreaper", say`children of its descendants become its own`);
  if (loginUid !== undefined) yield line("login", say`user ${loginUid}`);
  if (dumpable === false) yield line("dumpable", say`no: only root may look at it`);
  if (namespaces !== undefined)
    yield line(
      "namespaces",
      say`${Object.entries(namespaces)
        .map((pair) => pair.join(" "))
        .join(", ")}`,
    );
  for (const [path, same] of Map.groupBy(cgroups, (group) => group.path))
    yield line("cgroup", say`${path}${say` (${same.map(({ controllers }) => controllers || "v2").join(", ")})`}`);
  if (oomScoreAdjust !== undefined && oomScoreAdjust !== 0) yield line("oom", say`score adjusted by ${oomScoreAdjust}`);
  const limited = Object.entries(limits).filter(([, { soft }]) => soft !== "unlimited");
  if (limited.length > 0)
    yield line(
      "limits",
      say`${limited.map(([name, { soft, hard }]) => `${name} ${soft === hard ? soft : `${soft} (${hard})`}`).join(", ")}`,
    );
}

function timerText({ kind, id, clock, signal, expiresInSeconds, everySeconds }: TimerItem): string {
  const name = id === undefined ? kind : `${kind} ${id}`;
  const when = `in ${rounded(expiresInSeconds)}s${everySeconds === 0 ? "" : `, every ${rounded(everySeconds)}s`}`;
  return [name, clock, signal === undefined ? undefined : `sends ${signal}`, when].filter((part) => part !== undefined).join(", ");
}

function rounded(seconds: number): number {
  return Number(seconds.toFixed(3));
}

function* credentialsView({ credentials, seccomp, seccompFilters, seccompFilter, parentDeathSignal }: ThreadItem): Generator<Phrase> {
  if (parentDeathSignal !== undefined) yield line("parent death", say`sends ${parentDeathSignal}`);
  if (credentials === undefined) return;
  const { uid, gid, groups, capabilities, noNewPrivileges, secureBits, profile } = credentials;
  yield line("user", say`${ids(uid)}, group ${ids(gid)}${groups.length === 0 ? "" : `, groups ${groups.join(" ")}`}`);
  for (const [name, set] of Object.entries(capabilities)) {
    if (set.length > 0 && !(name === "permitted" && set.join() === capabilities.effective.join())) yield line(name, say`${set.join(" ")}`);
  }
  if (capabilities.effective.length === 0) yield line("effective", say`no capabilities`);
  const confinement = [
    noNewPrivileges ? "no new privileges" : "",
    secureBits.length === 0 ? "" : `secure bits ${secureBits.join(" ")}`,
    seccomp === "disabled"
      ? "no seccomp"
      : seccompFilters === undefined
        ? `seccomp ${seccomp}`
        : `seccomp with ${seccompFilters} filter${seccompFilters === 1 ? "" : "s"}, the first ${seccompFilter}`,
    profile === "" ? "" : `profile ${profile}`,
  ];
  yield line("confined", say`${confinement.filter((part) => part !== "").join(", ")}`);
}

/** One number where all four are the same. */
function ids({ real, effective, saved, filesystem, outside }: UserIdsItem): string {
  const inside =
    real === effective && real === saved && real === filesystem
      ? String(real)
      : `${real} (effective ${effective}, saved ${saved}, file system ${filesystem})`;
  return outside === undefined ? inside : `${inside} (${outside === null ? "none" : outside} on the node)`;
}

function threadText(
  { tid, comm, nice, scheduling, priority, seccomp, credentials, parentDeathSignal }: ThreadItem,
  leader: ThreadItem | undefined,
): Phrase {
  const differs =
    leader !== undefined && (JSON.stringify(credentials) !== JSON.stringify(leader.credentials) || seccomp !== leader.seccomp);
  const special = scheduling === "other" ? "" : `, scheduling ${scheduling}${priority === 0 ? "" : ` with priority ${priority}`}`;
  const death = parentDeathSignal === undefined || leader?.tid === tid ? "" : `, ${parentDeathSignal} when its parent ends`;
  return say`${tid} ${comm}${nice === 0 ? "" : `, nice ${nice}`}${special}${death}${differs ? ", with other credentials than the process (-o json has them)" : ""}`;
}

function line(label: string, text: Phrase): Phrase {
  return hanging(say`  ${label.padEnd(12)}${text}`, 14);
}

export function* environmentView(env: readonly VariableItem[]): Generator<Phrase> {
  for (const { name, value } of env) yield value === undefined ? say`${name}` : say`${name}=${value}`;
  if (env.length === 0) yield say`empty: programs that set their own title write over it; copies can be in memory (search)`;
}

/** The memory of a process: what each kind of region comes to, then the regions. */
export function* memoryView(memory: MemoryItem): Generator<View> {
  const { kinds, regions, mappedBytes, archivedBytes, elsewhereBytes } = memory;
  const count = kinds.reduce((sum, kind) => sum + kind.regions, 0);
  yield {
    columns: ["KIND", "REGIONS", "MAPPED", "IN ARCHIVE"],
    rows: [
      ...kinds.map((kind) => [kind.kind, kind.regions, formatBytes(kind.mappedBytes), formatBytes(kind.archivedBytes)]),
      ["all", count, formatBytes(mappedBytes), formatBytes(archivedBytes)],
    ],
  };
  if (elsewhereBytes > 0)
    yield say`${formatBytes(elsewhereBytes)} more are in an earlier checkpoint or were left on the node: not in this archive`;
  if (regions === undefined) return;
  yield say``;
  yield {
    columns: ["ADDRESS", "ACCESS", "KIND", "MAPPED", "IN ARCHIVE", "NAME"],
    rows: regions.map(({ start, end, access, kind, mappedBytes, archivedBytes, name, growsDown, advice = [] }) => [
      `${start}-${end}`,
      access,
      kind,
      formatBytes(mappedBytes),
      archivedBytes === 0 ? "-" : formatBytes(archivedBytes),
      [name, growsDown ? "(grows down)" : "", ...advice.map((one) => `(${one})`)].filter((part) => part !== "").join(" "),
    ]),
    // How much is mapped, the addresses say too.
    narrow: { without: ["MAPPED", "KIND", "ACCESS"], shorten: [{ NAME: "middle" }] },
  };
}
