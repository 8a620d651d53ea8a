import { command, say } from "../../model/phrase.ts";
import { baseName, commandLine, processName, type FindingKind } from "../facts.ts";

const TRACER = /^(gdb|gdbserver|lldb|lldb-server|strace|ltrace|frida-server|bpftrace|perf|py-spy|rr)$/;

/** Processes that are not the entry point's. */
export const TREE: readonly FindingKind[] = [
  {
    id: "OtherNamespace",
    about: "A process is in other namespaces or another control group than the entry point",
    *find({ file, processes: [first, ...others] }) {
      const own = first?.item.namespaces ?? {};
      for (const { item } of others) {
        const differs = Object.entries(item.namespaces ?? {}).filter(([type, id]) => own[type] !== undefined && own[type] !== id);
        if (differs.length === 0) continue;
        const types = differs.map(([type]) => type);
        yield {
          severity: "medium",
          title: say`${processName(item)} has ${types.join(", ")} namespaces of its own: ${commandLine(item)}`,
          detail: say`it has left those of the entry point, or was started from outside`,
          command: command`kubectl checkpoint inspect ${file} --ps --pid ${item.pid}`,
          pid: item.pid,
        };
      }
    },
  },
  {
    id: "OutsideTree",
    about:
      "A process is not below the entry point, or has a session of its own directly below it: kubectl exec starts such, and daemons are such",
    *find({ file, processes: [first, ...others] }) {
      for (const { item, parent } of others) {
        const isRoot = parent === undefined;
        const isDetached = parent === first && item.sid === item.pid && item.state !== "zombie";
        if (!isRoot && !isDetached) continue;
        yield {
          severity: isRoot ? "medium" : "note",
          title: isRoot
            ? say`${processName(item)} is not below the entry point: ${commandLine(item)}`
            : say`${processName(item)} has a session of its own: ${commandLine(item)}`,
          detail: isRoot
            ? say`it was started from outside, as kubectl exec does`
            : say`daemons have that, and what is to live on after kubectl exec`,
          command: command`kubectl checkpoint inspect ${file} --ps --pid ${item.pid}`,
          pid: item.pid,
        };
      }
    },
  },
  {
    id: "Tracer",
    about: "A process traces others, or has the memory of another one open",
    *find({ file, processes }) {
      for (const { item, exe } of processes) {
        const memory = (item.files ?? []).find(({ name }) => /^\/proc\/(?!self\/)\d+\/mem$/.test(name));
        if (memory === undefined && !TRACER.test(baseName(exe))) continue;
        yield {
          severity: "medium",
          title:
            memory === undefined
              ? say`${processName(item)} is a tracer: ${commandLine(item)}`
              : say`${processName(item)} has ${memory.name} open`,
          detail: say`it can read and change other processes`,
          command: command`kubectl checkpoint inspect ${file} --files --pid ${item.pid}`,
          pid: item.pid,
        };
      }
    },
  },
];
