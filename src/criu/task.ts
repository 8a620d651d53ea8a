import type { PosixTimerEntry, SiginfoEntry, TaskRlimitsEntry, TaskTimersEntry } from "./gen/process_pb.ts";
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

/** Signals that were sent and not yet taken: the number comes first, in the byte order of its machine. */
export function pendingSignals(signals: readonly SiginfoEntry[]): string[] {
  return signals.map(({ siginfo }) => signalName(siginfo[0] || (siginfo[3] ?? 0)));
}

/** A timer that is set. */
export interface Timer {
  /** "real", "virtual" and "profiling" are those of setitimer(2). */
  readonly kind: "real" | "virtual" | "profiling" | "posix";
  /** Of a POSIX timer. */
  readonly id?: number;
  readonly clock?: string;
  /** What it sends when it expires; absent where it sends nothing. */
  readonly signal?: string;
  readonly expiresInSeconds: number;
  /** 0 where it expires once. */
  readonly everySeconds: number;
}

const CLOCKS: Readonly<Record<number, string>> = {
  0: "realtime",
  1: "monotonic",
  2: "process CPU time",
  3: "thread CPU time",
  7: "boottime",
  8: "realtime-alarm",
  9: "boottime-alarm",
  11: "tai",
};

/** A clock of clock_gettime(2) by its number. */
export function clockName(clock: number): string {
  return CLOCKS[clock] ?? String(clock);
}

/** The interval and POSIX timers that are set. */
export function timers(entry: TaskTimersEntry | undefined): Timer[] {
  const { real, virt, prof, posix = [] } = entry ?? {};
  const intervals = [
    ["real", "ALRM", real],
    ["virtual", "VTALRM", virt],
    ["profiling", "PROF", prof],
  ] as const;
  const set = intervals.flatMap(([kind, signal, timer]) => {
    if (timer === undefined || (timer.vsec === 0n && timer.vusec === 0n)) return [];
    const { isec, iusec, vsec, vusec } = timer;
    return [{ kind, signal, expiresInSeconds: seconds(vsec, vusec, 1e6), everySeconds: seconds(isec, iusec, 1e6) }];
  });
  return [...set, ...posix.map(posixTimer)];
}

function posixTimer({ itId, clockId, siSigno, isec, insec, vsec, vnsec }: PosixTimerEntry): Timer {
  return {
    kind: "posix",
    id: itId,
    clock: clockName(clockId),
    ...(siSigno === 0 ? {} : { signal: signalName(siSigno) }),
    expiresInSeconds: seconds(vsec, vnsec, 1e9),
    everySeconds: seconds(isec, insec, 1e9),
  };
}

/** Seconds and the parts of one, of which there are so many. */
export function seconds(whole: bigint, parts: bigint, perSecond: number): number {
  return Number(whole) + Number(parts) / perSecond;
}
