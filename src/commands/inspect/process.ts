import type { CredentialsItem, MemoryItem, ProcessItem, ThreadItem } from "../../model/inspection.ts";
import { say, type Phrase } from "../../model/phrase.ts";
import { formatBytes } from "../../model/units.ts";
import type { View } from "./view.ts";

/** What a process is and may do, a line each. */
export function* processView(process: ProcessItem): Generator<Phrase> {
  const { comm, state, pid, ppid, pgid, sid, executable, cwd, root, umask, threads, oomScoreAdjust, signals, timers, limits } = process;
  yield line("name", say`${comm}, ${state}`);
  yield line("parent", say`${ppid}, group ${pgid}, session ${sid}`);
  if (executable !== undefined) yield line("executable", say`${executable}`);
  if (cwd !== undefined) yield line("directory", say`${cwd}, root ${root ?? "unknown"}, umask ${umask ?? "unknown"}`);
  const leader = threads.find(({ tid }) => tid === pid);
  if (leader !== undefined) yield* credentialsView(leader);
  for (const thread of threads) if (thread !== leader || threads.length > 1) yield line("thread", threadText(thread, leader));
  if (signals.pending.length > 0) yield line("pending", say`signals ${signals.pending.join(" ")}`);
  if (signals.blocked.length > 0) yield line("blocked", say`signals ${signals.blocked.join(" ")}`);
  if (timers.length > 0) yield line("timers", say`${timers.join(", ")}`);
  if (oomScoreAdjust !== undefined && oomScoreAdjust !== 0) yield line("oom", say`score adjusted by ${oomScoreAdjust}`);
  const limited = Object.entries(limits).filter(([, { soft }]) => soft !== "unlimited");
  if (limited.length > 0)
    yield line(
      "limits",
      say`${limited.map(([name, { soft, hard }]) => `${name} ${soft === hard ? soft : `${soft} (${hard})`}`).join(", ")}`,
    );
}

function* credentialsView({ credentials, seccomp }: ThreadItem): Generator<Phrase> {
  if (credentials === undefined) return;
  const { uid, gid, groups, capabilities, noNewPrivileges, profile } = credentials;
  yield line("user", say`${ids(uid)}, group ${ids(gid)}${groups.length === 0 ? "" : `, groups ${groups.join(" ")}`}`);
  for (const [name, set] of Object.entries(capabilities)) {
    if (set.length > 0 && !(name === "permitted" && set.join() === capabilities.effective.join())) yield line(name, say`${set.join(" ")}`);
  }
  if (capabilities.effective.length === 0) yield line("effective", say`no capabilities`);
  const held = [
    noNewPrivileges ? "no new privileges" : "",
    seccomp === "disabled" ? "no seccomp" : `seccomp ${seccomp}`,
    profile === "" ? "" : `profile ${profile}`,
  ];
  yield line("confined", say`${held.filter((part) => part !== "").join(", ")}`);
}

/** One number where all four are the same. */
function ids({ real, effective, saved, filesystem }: CredentialsItem["uid"]): string {
  if (real === effective && real === saved && real === filesystem) return String(real);
  return `${real} (effective ${effective}, saved ${saved}, file system ${filesystem})`;
}

function threadText({ tid, comm, nice, seccomp, credentials }: ThreadItem, leader: ThreadItem | undefined): Phrase {
  const differs =
    leader !== undefined && (JSON.stringify(credentials) !== JSON.stringify(leader.credentials) || seccomp !== leader.seccomp);
  return say`${tid} ${comm}${nice === 0 ? "" : `, nice ${nice}`}${differs ? ", with other credentials than the process (-o json has them)" : ""}`;
}

function line(label: string, text: Phrase): Phrase {
  return say`  ${label.padEnd(12)}${text}`;
}

export function* environmentView(env: Readonly<Record<string, string>>): Generator<Phrase> {
  const variables = Object.entries(env);
  for (const [name, value] of variables) yield say`${name}=${value}`;
  if (variables.length === 0) yield say`empty: programs that set their own title write over it; copies can be in memory (search)`;
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
    rows: regions.map(({ start, end, access, kind, mappedBytes, archivedBytes, name }) => [
      `${start}-${end}`,
      access,
      kind,
      formatBytes(mappedBytes),
      archivedBytes === 0 ? "-" : formatBytes(archivedBytes),
      name,
    ]),
  };
}
