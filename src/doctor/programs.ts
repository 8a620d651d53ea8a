import type { ProcessFacts } from "./facts/processes.ts";

/** System calls that a checkpoint interrupts, by number. Sources: arch/x86/entry/syscalls/syscall_64.tbl, scripts/syscall.tbl of Linux. */
const SLEEPS: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  amd64: {
    7: "poll",
    23: "select",
    35: "nanosleep",
    202: "futex",
    219: "restart_syscall",
    230: "clock_nanosleep",
    232: "epoll_wait",
    270: "pselect6",
    271: "ppoll",
    281: "epoll_pwait",
  },
  arm64: { 22: "epoll_pwait", 72: "pselect6", 73: "ppoll", 98: "futex", 101: "nanosleep", 115: "clock_nanosleep", 128: "restart_syscall" },
};

/** What becomes of a process whose sleep is interrupted. */
export type Fate = "continues" | "ends" | "unknown";

/** Programs that repeat an interrupted call, seen (test/e2e/proof.test.ts) or read in their sources. */
const CONTINUE = /^(sleep|coreutils|python[\d.]*|redis-server|valkey-server|node|nginx|java|bash|dash|(busybox|toybox) (sh|ash))$/;

/** The call that process 1 sleeps in, and what an interruption does to the program that it is; undefined where it sleeps in none of them. */
export function sleepOf(
  process: ProcessFacts,
  architecture: string,
): { readonly call: string; readonly program: string; readonly fate: Fate } | undefined {
  const call = process.call === undefined ? undefined : SLEEPS[architecture]?.[process.call];
  if (call === undefined) return undefined;
  const executable = baseName(process.exe?.replace(/ \(deleted\)$/, "") ?? "");
  const applet = baseName(process.arg);
  // One program of many names: the name that it was called by says which.
  const program = executable === "busybox" || executable === "toybox" ? `${executable} ${applet}` : executable || process.name;
  const fate = /^(busybox|toybox) sleep$/.test(program) ? "ends" : CONTINUE.test(program) ? "continues" : "unknown";
  return { call, program, fate };
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
