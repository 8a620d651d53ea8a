import { HUNG_CRIU, IO_URING_FIX } from "../../kubelet/criu-causes.ts";
import type { CheckpointTarget } from "../../kubelet/target.ts";
import { command, joined, say, type Phrase } from "../../model/phrase.ts";
import { counted, formatBytes } from "../../model/units.ts";
import type { CriuOptions } from "../facts/deep.ts";
import type { DeletedFile, ProcessFacts, Processes } from "../facts/processes.ts";
import { fail, ok, skip, warn, type Check } from "../finding.ts";
import { sleepOf } from "../programs.ts";

/** A container's processes, and what of the node decides what they mean. */
export interface JudgedProcesses {
  readonly processes: Processes;
  /** What the commands of fixes name. */
  readonly target: CheckpointTarget;
  /** Of the container's ID: "containerd://…". */
  readonly containerID: string;
  /** "amd64". */
  readonly architecture: string;
  /** What the node's own configuration lets CRIU do. */
  readonly options: CriuOptions;
  /** Whether the node itself runs under a seccomp filter. */
  readonly nodeFiltered: boolean;
}

/** CRIU's own default of ghost-limit. */
const GHOST_LIMIT = 1 << 20;
/** How many of what was found a message names. */
const NAMED = 3;
/** What is deleted by its nature: memory that CRIU dumps as such. */
const NO_FILE = /^(\/memfd:|\/dev\/zero$|\/SYSV|\/\[aio\]|\/anon_hugepage|\/secretmem)/;
/** Types of file handles of overlay file systems, which cannot be opened by them. */
const OVERLAY_HANDLE = /^(f8|fb)$/;
const GPU_DEVICE = /^\/dev\/(nvidia|dri|kfd)/;
const ORDINARY = /^\/dev\/(null|zero|full|u?random|tty|ptmx|pts\/\d+|console|shm\/.*|mqueue\/.*|stdin|stdout|stderr)( \(deleted\))?$/;
const SPECIAL = /^anon_inode:\[?(perf_event|bpf|userfaultfd|kvm|secretmem|fanotify|landlock)/;
const ESTABLISHED = "01";
const LISTENS = "0A";

/** What may keep the processes of a container from being dumped, or what a dump does to them. */
export const PROCESS_CHECKS: readonly Check<JudgedProcesses>[] = [
  {
    name: "frozen",
    decides: ["checkpoint"],
    judge: ({ processes, containerID }) => {
      if (!processes.frozen) return undefined;
      const id = containerID.replace(/^.*\/\//, "");
      const resume = containerID.startsWith("cri-o")
        ? command`runc --root /run/runc resume ${id}`
        : command`ctr -n k8s.io task resume ${id}`;
      return fail(
        "it is frozen: a checkpoint is in progress, or a failed one left it so (runc#3577)",
        say`if no checkpoint is in progress, on the node: ${resume}; if that hangs, CRIU waits for a stopped process: ${HUNG_CRIU}`,
      );
    },
  },
  {
    name: "process-1",
    decides: ["checkpoint"],
    judge: ({ processes, architecture }) => {
      const [first] = processes.own;
      const sleeps = first === undefined ? undefined : sleepOf(first, architecture);
      if (first === undefined || sleeps === undefined) return undefined;
      const { call, program, fate } = sleeps;
      const what = say`process 1 (${program}) is in ${call}, which a checkpoint interrupts`;
      if (fate === "continues") return ok(say`${what}: it repeats the call`);
      if (fate === "ends")
        return warn(
          say`${what}: ${program} then ends, and the container with it. The archive has it as it was before`,
          say`to keep the container, give it another command: GNU sleep, or a shell's loop: while true; do sleep 60; done`,
        );
      // Loops around poll, epoll_wait and futex are the rule; a plain sleep is often not repeated.
      const unknown = say`${what}: whether it repeats the call is unknown`;
      return /sleep/.test(call) ? warn(unknown, "capture it where its end would not matter, or first in a copy") : ok(unknown);
    },
  },
  {
    name: "deleted-files",
    decides: ["checkpoint"],
    sees: ["ghost-files", "link-remap"],
    judge: ({ processes, options, target }) => {
      if (!processes.looked.has("readlink")) return skip("the helper image cannot see open files (no readlink)");
      const limit = options.ghostLimit ?? GHOST_LIMIT;
      const files = deletedFiles(processes.own);
      const large = files.filter(({ names, bytes }) => names === 0 && (bytes ?? 0) > limit);
      const renamed = files.filter(({ names }) => (names ?? 0) > 0);
      const unknown = files.filter(({ bytes }) => bytes === undefined);
      if (large.length > 0) {
        const most = Math.max(...large.map(({ bytes }) => bytes ?? 0));
        return fail(
          say`deleted files are open, run or mapped that are larger than CRIU saves (${formatBytes(limit)}): ${named(large.map(fileText))}`,
          withOption(target, `ghost-limit=${Math.max(2, 2 ** Math.ceil(Math.log2(most / 2 ** 20 + 1)))}M`),
        );
      }
      if (renamed.length > 0 && !options.names.has("link-remap"))
        return fail(
          say`deleted files are open that still have other names: ${named(renamed.map(fileText))}`,
          withOption(target, "link-remap"),
        );
      if (unknown.length > 0)
        return skip(say`the helper image cannot see how large deleted files are (no stat): ${named(unknown.map(fileText))}`);
      return ok(files.length === 0 ? "none is open" : say`${counted(files.length, "deleted file")} open, small enough for CRIU`);
    },
  },
  {
    name: "file-locks",
    decides: ["checkpoint"],
    sees: ["file-locks"],
    judge: ({ processes, options, containerID, target }) => {
      const locks = processes.own.reduce((sum, process) => sum + process.locks, 0);
      if (locks === 0) return undefined;
      const what = counted(locks, "file lock");
      // CRI-O passes --file-locks itself.
      if (options.names.has("file-locks") || containerID.startsWith("cri-o")) return ok(what);
      return fail(`${what}: CRIU dumps them only with an option`, withOption(target, "file-locks"));
    },
  },
  {
    name: "file-watches",
    decides: ["checkpoint"],
    sees: ["inotify"],
    judge: ({ processes, options, target }) => {
      const watches = processes.own.flatMap((process) => process.watches);
      if (watches.length === 0) return undefined;
      const what = counted(watches.length, "watch", "es");
      const lost = watches.filter((type) => type === "none" || OVERLAY_HANDLE.test(type)).length;
      if (lost === 0 || options.names.has("irmap-scan-path")) return ok(`${what} of files (inotify)`);
      return fail(
        `${what} of files (inotify), ${lost} of them on a file system where CRIU cannot find the files again (overlay)`,
        say`with the directory that is watched: ${withOption(target, "irmap-scan-path=/DIRECTORY")}`,
      );
    },
  },
  {
    name: "connections",
    decides: ["checkpoint"],
    sees: ["tcp-established", "tcp-in-flight"],
    judge: ({ processes, options, target }) => {
      const knowsOwner = processes.looked.has("readlink");
      const owned = filesOf(processes.own);
      const sockets = processes.tcp.filter(({ inode }) => inode !== "0" && (!knowsOwner || owned.has(`socket:[${inode}]`)));
      const established = new Set(sockets.filter(({ state }) => state === ESTABLISHED).map(({ inode }) => inode)).size;
      const waiting = sockets.filter(({ state }) => state === LISTENS).reduce((sum, socket) => sum + socket.waiting, 0);
      const count = say`${counted(established, "established TCP connection")}${knowsOwner ? say`` : say` in the pod`}`;
      const dumped = options.names.has("tcp-established") || options.names.has("tcp-close");
      if (established > 0 && !dumped)
        return fail(say`${count}: CRIU dumps them only with an option`, withOption(target, "tcp-established"));
      if (waiting > 0 && !options.names.has("skip-in-flight"))
        return warn(
          say`${count}; ${counted(waiting, "connection")} not yet accepted, which CRIU does not dump`,
          "rerun later, when they are accepted",
        );
      return ok(count);
    },
  },
  {
    name: "unix-sockets",
    decides: ["checkpoint"],
    sees: ["unix-sockets"],
    judge: ({ processes, options, target }) => {
      const owned = filesOf(processes.own);
      const own = (inode: string): boolean => owned.has(`socket:[${inode}]`);
      const outside = new Set(processes.unix.filter(([inode, peer]) => own(inode) && !own(peer)).map(([inode]) => inode)).size;
      if (outside === 0) return undefined;
      const what = say`${counted(outside, "Unix socket")} connected to a process outside of the container`;
      return options.names.has("ext-unix-sk")
        ? ok(what)
        : fail(say`${what}: CRIU dumps them only with an option`, withOption(target, "ext-unix-sk"));
    },
  },
  {
    name: "open-files",
    decides: ["checkpoint"],
    sees: ["io-uring", "special-files", "devices"],
    judge: ({ processes }) => {
      if (!processes.looked.has("readlink")) return skip("the helper image cannot see open files (no readlink)");
      const files = [...filesOf(processes.own)];
      const secret = processes.own.some(({ deleted }) => deleted.some(({ path }) => path === "/secretmem"));
      if (files.includes("anon_inode:[io_uring]")) return fail("it uses io_uring, which CRIU cannot dump", IO_URING_FIX);
      const special = [...files.filter((file) => SPECIAL.test(file)), ...(secret ? ["secretmem"] : [])];
      if (special.length > 0)
        return fail(
          say`files are open of a kind that CRIU cannot dump: ${named(special)}`,
          "stop what uses them while the checkpoint is taken",
        );
      const devices = devicesOf(processes).filter((path) => !GPU_DEVICE.test(path) && path !== "/dev/fuse");
      return devices.length === 0
        ? ok("nothing that CRIU is known not to dump")
        : warn(say`devices are open: ${named(devices)}; CRIU cannot dump most`, "stop what uses them while the checkpoint is taken");
    },
  },
  {
    name: "gpu-devices",
    decides: ["checkpoint"],
    sees: ["gpu-nvidia", "gpu"],
    judge: ({ processes }) => {
      const devices = devicesOf(processes).filter((path) => GPU_DEVICE.test(path));
      return devices.length === 0
        ? undefined
        : warn(
            say`a GPU is in use (${named(devices)}), whose state CRIU has only with a plugin`,
            "on the node: CRIU's CUDA or AMD GPU plugin (criu#2397)",
          );
    },
  },
  {
    name: "fuse",
    decides: ["checkpoint"],
    sees: ["fuse"],
    judge: ({ processes }) => {
      const mounts = processes.mounts.filter(({ type }) => /^fuse(\.|$)/.test(type)).map(({ path }) => `FUSE at ${path}`);
      const found = [...new Set([...mounts, ...devicesOf(processes).filter((path) => path === "/dev/fuse")])];
      return found.length === 0
        ? undefined
        : fail(say`${named(found)}: CRIU dumps neither what serves FUSE nor what uses it`, "leave FUSE to another container");
    },
  },
  {
    name: "nested-namespaces",
    decides: ["checkpoint"],
    sees: ["nested-namespaces"],
    judge: ({ processes }) => {
      const [first] = processes.own;
      const nested = processes.own.filter(
        ({ pidNamespace, userNamespace }) => pidNamespace !== first?.pidNamespace || userNamespace !== first?.userNamespace,
      );
      return nested.length === 0
        ? undefined
        : fail(
            say`processes have PID or user namespaces of their own: ${named(nested.map(processText))}; CRIU cannot dump these`,
            "stop what makes them before the checkpoint",
          );
    },
  },
  {
    name: "stopped",
    decides: ["checkpoint"],
    judge: ({ processes, target: { node, namespace, pod, container } }) => {
      // What kubectl exec started is frozen with the container, and CRIU waits for it too.
      const stopped = [...processes.own, ...processes.others].filter(({ state }) => state === "T");
      return stopped.length === 0
        ? undefined
        : fail(
            say`processes are stopped (SIGSTOP, Ctrl-Z): ${named(stopped.map(processText))}; CRIU waits for them without end, and the container stays frozen (criu#1905)`,
            // Of another user, or where the container has no shell, only the node can.
            say`continue or end them first:
${command`kubectl exec ${pod} -n ${namespace} -c ${container} -- sh -c ${`kill -CONT ${stopped.map(({ inside }) => inside).join(" ")}`}`}
or, as root on ${node}: ${command`kill -CONT ${stopped.map(({ pid }) => pid)}`}`,
          );
    },
  },
  {
    name: "uninterruptible",
    decides: ["checkpoint"],
    sees: ["unstoppable"],
    judge: ({ processes }) => {
      // Of a frozen container, version 1 of cgroups says this of all processes.
      if (processes.frozen) return undefined;
      const stuck = processes.own.filter(({ state }) => state === "D");
      return stuck.length === 0
        ? undefined
        : warn(
            say`processes wait where nothing can stop them (state D): ${named(stuck.map(processText))}; CRIU gives up after 10 s`,
            "rerun the doctor: if they still wait, their disk or file server does not answer",
          );
    },
  },
  {
    name: "seccomp",
    decides: ["checkpoint"],
    sees: ["seccomp"],
    judge: ({ processes, nodeFiltered }) => {
      if (!nodeFiltered || processes.own.every(({ seccomp }) => seccomp === 0)) return undefined;
      return fail(
        "it has a seccomp filter, and the node itself runs under one (a node in a container, WSL2): CRIU may not suspend the filter (criu#2391)",
        "in the pod: securityContext: {seccompProfile: {type: Unconfined}}; or run the node without a filter",
      );
    },
  },
  {
    name: "exec-sessions",
    decides: [],
    sees: ["terminal"],
    judge: ({ processes }) =>
      processes.others.length === 0
        ? undefined
        : warn(
            say`processes that kubectl exec, or a probe, started are not in an archive: ${named(processes.others.map(processText))}`,
            "end open kubectl exec sessions",
          ),
  },
];

function withOption({ namespace, pod, container }: CheckpointTarget, option: string): Phrase {
  return command`kubectl checkpoint ${`pod/${pod}`} -c ${container} -n ${namespace} --criu-option ${option}`;
}

function filesOf(processes: readonly ProcessFacts[]): Set<string> {
  return new Set(processes.flatMap(({ files }) => [...files]));
}

function devicesOf({ own }: Processes): string[] {
  return [...filesOf(own)].filter((file) => file.startsWith("/dev/") && !ORDINARY.test(file)).sort();
}

/** Each once, whoever has it open. */
function deletedFiles(processes: readonly ProcessFacts[]): DeletedFile[] {
  const files = processes.flatMap(({ deleted }) => deleted).filter(({ path }) => !NO_FILE.test(path));
  // The size of a mapping's file may be unknown where that of the same open file is not.
  const known = files.toSorted((one, other) => Number(one.bytes === undefined) - Number(other.bytes === undefined));
  return [...new Map(known.toReversed().map((file) => [file.path, file])).values()];
}

function fileText({ path, bytes, how }: DeletedFile): Phrase {
  const what = how === "exe" ? say` (the program itself` : how === "map" ? say` (mapped` : say` (open`;
  return say`${path}${what}${bytes === undefined ? say`` : say`, ${formatBytes(bytes)}`})`;
}

function processText({ inside, name }: ProcessFacts): Phrase {
  return say`${inside} (${name})`;
}

function named(found: readonly (Phrase | string)[]): Phrase {
  const more = found.length - NAMED;
  return say`${joined(found.slice(0, NAMED), ", ")}${more > 0 ? say` and ${more} more` : say``}`;
}
