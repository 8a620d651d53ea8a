import { command, say } from "../../model/phrase.ts";
import { baseName, commandLine, processName, type FindingKind, type ProcessFacts } from "../facts.ts";

/** Programs that run what others wrote: their processes may be called like that. */
const INTERPRETER =
  /^(busybox|toybox|coreutils|python|perl|ruby|node|nodejs|php|lua|java|dotnet|mono|bash|dash|ash|sh|zsh|ksh|tclsh|guile|erl|beam|deno|bun|ld-|qemu-|Rscript|R$)/;

/** Processes whose names disagree. */
export const NAMES: readonly FindingKind[] = [
  {
    id: "KernelThreadName",
    about: "A process is called like a thread of the kernel ([kworker/0:1]), and is none",
    *find({ file, processes }) {
      for (const { item, exe } of processes) {
        const [first = ""] = item.args ?? [];
        if (exe === undefined || !(isBracketed(first) || KERNEL_NAME.test(item.comm))) continue;
        yield {
          severity: "high",
          title: say`process ${item.pid} is called ${first.startsWith("[") ? first : item.comm}, and runs ${exe}`,
          detail: say`that is what a thread of the kernel is called; none is in a container, and none has a program`,
          command: command`kubectl checkpoint inspect ${file} --ps --files --pid ${item.pid}`,
          pid: item.pid,
          path: exe,
        };
      }
    },
  },
  {
    id: "FalseName",
    about: "The name of a process, its first argument and its program disagree",
    *find({ file, processes }) {
      for (const facts of processes) {
        const { item, exe, origin } = facts;
        const [first = ""] = item.args ?? [];
        if (exe === undefined || isBracketed(first) || KERNEL_NAME.test(item.comm) || !isFalse(facts)) continue;
        yield {
          severity: origin === "image" || origin === "mounted" ? "note" : "high",
          title: say`${processName(item)} says that it is ${first.split(/\s/, 1)[0] ?? ""}, and runs ${exe}`,
          detail: say`its name, its first argument and its program disagree: ${commandLine(item)}`,
          command: command`kubectl checkpoint inspect ${file} --ps --files --pid ${item.pid}`,
          pid: item.pid,
          path: exe,
        };
      }
    },
  },
];

const KERNEL_NAME = /^(kworker\/|ksoftirqd\/|kthreadd$|migration\/|rcu_(sched|preempt|bh)$|kswapd\d|jbd2\/|watchdog\/)/;

/** "[kworker/0:1]". Celery calls its workers "[celeryd: celery@host:MainProcess]": what has a space in it is no thread's name, but for those that are known. */
function isBracketed(name: string): boolean {
  const inner = /^\[(.+)\]$/.exec(name)?.[1];
  return inner !== undefined && (!/\s/.test(inner) || KERNEL_NAME.test(inner));
}

/** Neither what it is called by nor its first argument has anything in common with its program. */
function isFalse({ item, exe }: ProcessFacts): boolean {
  const program = baseName(exe).replace(/^memfd:/, "");
  const first = (item.args?.[0] ?? "").replace(/^-/, "").split(/[\s:]/, 1)[0] ?? "";
  const called = baseName(first);
  if (called === "" || program === "") return false;
  if (INTERPRETER.test(program)) {
    // An interpreter may be called what it likes, but not by the path of another program, unless it is a program of many names.
    return (
      first.startsWith("/") && !/^(busybox|toybox|coreutils)$/.test(program) && !isAlike(called, program) && !isAlike(item.comm, called)
    );
  }
  return !isAlike(called, program);
}

/** One begins with the other, ends with it, or both begin alike. */
function isAlike(a: string, b: string): boolean {
  const [one, other] = [a.toLowerCase(), b.toLowerCase()];
  return one.includes(other) || other.includes(one) || (one.length >= 3 && other.slice(0, 3) === one.slice(0, 3));
}
