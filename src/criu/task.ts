import type { TaskRlimitsEntry, TaskTimersEntry } from "./gen/process_pb.ts";
import { signalName } from "./signals.ts";

/** How a process ended. */
export type Exit = { readonly code: number } | { readonly signal: string };

export interface Limit {
  readonly soft: number | "unlimited";
  readonly hard: number | "unlimited";
}

/** What wait(2) would tell. */
export function exit(status: number): Exit {
  const signal = status & 127;
  return signal === 0 ? { code: (status >> 8) & 255 } : { signal: signalName(signal) };
}

/** From sys/resource.h, by number. */
const LIMITS = "cpu fsize data stack core rss nproc nofile memlock as locks sigpending msgqueue nice rtprio rttime".split(" ");

/** By name, as ulimit and prlimit have them. */
export function limits(entry: TaskRlimitsEntry | undefined): Record<string, Limit> {
  const value = (limit: bigint): number | "unlimited" => (limit === 2n ** 64n - 1n ? "unlimited" : Number(limit));
  const all = (entry?.rlimits ?? [])
    .slice(0, LIMITS.length)
    .map(({ cur, max }, index) => [LIMITS[index], { soft: value(cur), hard: value(max) }]);
  return Object.fromEntries(all) as Record<string, Limit>;
}

/** The interval and POSIX timers that are set. */
export function timers(entry: TaskTimersEntry | undefined): string[] {
  const { real, virt, prof, posix = [] } = entry ?? {};
  const set = (["real", "virtual", "profiling"] as const).filter((_, index) => {
    const timer = [real, virt, prof][index];
    return timer !== undefined && (timer.vsec !== 0n || timer.vusec !== 0n);
  });
  return [...set, ...posix.map(({ itId, siSigno }) => `posix ${itId}${siSigno === 0 ? "" : ` (${signalName(siSigno)})`}`)];
}
