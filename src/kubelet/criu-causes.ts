import { command, joined, say, type Phrase, type Text } from "../model/phrase.ts";

/** One cause of failed checkpoints that is known by what CRIU's log says of it. */
export interface Cause {
  /** Stable: what the doctor's checks say that they would have seen (test/doctor). */
  readonly name: string;
  readonly line: RegExp;
  readonly why: string;
  readonly fix: Phrase;
}

/** On a node: a dump that hangs on a process that is both stopped and frozen ends when CRIU is killed, and the runtime lets the container run. */
export const HUNG_CRIU = "kill -9 the criu process that ps -eo pid,wchan:20,args shows in ptrace_attach";

/** Options of CRIU by its configuration file, which runc and crun let it read. */
function option(line: string): Phrase {
  return say`--criu-option ${line} sets it for one checkpoint; for all of the node, add the line ${line.replace("=", " ")} to /etc/criu/runc.conf (crun: /etc/criu/crun.conf) there`;
}

/** Tried with Debian's Node.js 24, for which UV_USE_IO_URING=0 is not enough. */
export const IO_URING_FIX = say`keep it from the container: securityContext: {seccompProfile: {type: RuntimeDefault}} in its pod. The default profiles of containerd 2 and CRI-O do not allow io_uring, and programs work without it`;
const NEWER_CRIU = "install CRIU 4.2 or later on the node";
const STOP = say`stop what uses it in the container while the checkpoint is taken`;

/** The first that fits counts: what is particular comes before what is general. */
export const CAUSES: readonly Cause[] = [
  { name: "io-uring", line: /anon_inode:\[io_uring\]/, why: "a process uses io_uring, which CRIU cannot dump", fix: IO_URING_FIX },
  {
    name: "vdso",
    line: /vdso: Unexpected rt vDSO area bounds/,
    why: "the CRIU on the node is too old for its kernel: since 6.13 the vDSO has another layout (criu#2532)",
    fix: say`${NEWER_CRIU}: 4.1 is the first that knows it`,
  },
  {
    name: "socket-options",
    line: /Can't get 1:(16|34) opt/,
    why: "the CRIU on the node is too old for its kernel: since 6.16 internet sockets do not answer what it asks them (criu#2705)",
    fix: say`${NEWER_CRIU}`,
  },
  {
    name: "seccomp",
    line: /suspending seccomp failed/i,
    why: "CRIU may not suspend the seccomp filter of a process: the kernel is old, or the node itself runs under a seccomp filter (a node in a container, WSL2; criu#2391)",
    fix: say`run the node without a seccomp filter of its own, or the pod with securityContext: {seccompProfile: {type: Unconfined}}`,
  },
  {
    name: "tcp-established",
    line: /Connected TCP socket|tcp-established option/,
    why: "a process has established TCP connections (criu#2535)",
    fix: say`${option("tcp-established")}. The connections break when the checkpoint is restored elsewhere`,
  },
  {
    name: "tcp-in-flight",
    line: /In-flight connection|skip-in-flight/,
    why: "a TCP connection was just being set up",
    fix: say`rerun; or, for all checkpoints on the node, add the line skip-in-flight to /etc/criu/runc.conf (crun: /etc/criu/crun.conf) there`,
  },
  {
    name: "unix-sockets",
    line: /External socket is used|Can't dump half of (a )?stream unix connection|Cannot dump half of/,
    why: "a process is connected by a Unix socket to a process outside of the container",
    fix: say`${option("ext-unix-sk")}. The connection breaks when the checkpoint is restored`,
  },
  {
    name: "ghost-files",
    line: /Can't dump ghost file.*increase limit|ghost file.* of \d+ size/i,
    why: "a process has a deleted file open, or runs from one, that is larger than CRIU saves by default (1 MiB)",
    fix: say`give a limit larger than the file: ${option("ghost-limit=64M")}`,
  },
  {
    name: "link-remap",
    line: /link-remap|Can't create link remap/,
    why: "a process has a deleted file open that still has another name",
    fix: option("link-remap"),
  },
  {
    name: "file-locks",
    line: /[Ff]ile locks are h[eo]ld/,
    why: "a process has file locks",
    fix: option("file-locks"),
  },
  {
    name: "inotify",
    line: /fsnotify:.*Can't dump that handle|inotify.*irmap|irmap/,
    why: "a process watches files (inotify) that CRIU cannot find by name",
    fix: say`give the directory that is watched: ${option("irmap-scan-path=/DIRECTORY")} (criu#2854; force-irmap does not help)`,
  },
  {
    name: "gpu-nvidia",
    // Other majors of NVIDIA's are given to whoever asks first.
    line: /\(chr 195:|\/dev\/nvidia|\/driver\/nvidia|\bnvidia-(?:uvm|modeset|caps|smi|persistenced)|\blibnvidia/i,
    why: "a process uses an NVIDIA GPU, whose state CRIU does not have (criu#2397)",
    fix: say`CRIU's CUDA plugin (criu 4.0 or later, with cuda-checkpoint and a driver of 550 or later) on the node`,
  },
  {
    name: "gpu",
    line: /\(chr 226:|\/dev\/(dri|kfd)/,
    why: "a process uses a GPU, whose state CRIU does not have",
    fix: say`CRIU's AMD GPU plugin on the node, where the GPU is AMD's; there is none for others`,
  },
  {
    name: "fuse",
    // Not "refused".
    line: /\(chr 10:229\)|\bfuse(?:blk|ctl)?\b/i,
    why: "a process serves or uses a FUSE file system, which CRIU cannot dump",
    fix: say`stop what uses FUSE in the container, or leave it to another container`,
  },
  {
    name: "mounts",
    line: /doesn't have a proper root mount|unreachable sharing|enable-external-masters/,
    why: "CRIU cannot find the origin of a mount in the container",
    fix: say`remove the mount that the log names (subPath volumes and device plugins' files do this)`,
  },
  {
    name: "masked-paths",
    line: /No mapping for \d+:\(null\) mountpoint/,
    why: "the checkpoint was made with another OCI runtime than this node's: runc and crun mask files in different ways, and neither restores what the other made",
    fix: say`restore it on a node whose pods run with the OCI runtime that made it`,
  },
  {
    name: "disk",
    line: /No space left on device/,
    why: "the node has no space for CRIU's images: containerd keeps them in /tmp first, CRI-O in /var/lib/containers",
    fix: command`free space there: kubectl checkpoint doctor node/NODE --deep shows how much there is`,
  },
  {
    name: "policy",
    line: /transport socket: Permission denied|Can't (seize|ptrace)|ptrace.*(Permission denied|not permitted)/i,
    why: "the node's SELinux or AppArmor policy keeps CRIU from the processes",
    fix: say`look for what it denies on the node: ausearch -m avc -ts recent; dmesg | grep DENIED`,
  },
  {
    name: "unstoppable",
    line: /Unseizable non-zombie \d+ found, state D/,
    why: "a process could not be stopped within CRIU's 10 s: it was between vfork and exec, starting a program, or it waits for a disk",
    fix: say`rerun: where a program was being started, that moment has passed`,
  },
  {
    name: "nested-namespaces",
    line: /nested (pid|net|uts|ipc|user|time) ?n(ame)?s|Can't dump nested/i,
    why: "a process in the container has namespaces of its own inside it (containers in the container, sandboxes of browsers), which CRIU cannot dump",
    fix: say`stop what makes them before the checkpoint`,
  },
  {
    name: "terminal",
    line: /dangling tty|consider using --shell-job|shell-job/,
    why: "a process uses a terminal that was opened outside of the container, as kubectl exec -it and attach do",
    fix: say`end the open kubectl exec and attach sessions, then rerun`,
  },
  {
    name: "special-files",
    line: /anon_inode:\[?(perf_event|bpf|userfaultfd|kvm|secretmem)/,
    why: "a process has a file open of a kind that CRIU cannot dump",
    fix: STOP,
  },
  {
    name: "devices",
    line: /Can't dump file \d+ of that type|Can't handle non-regular mapping/,
    why: "a process has a device or another file open, or mapped, that CRIU cannot dump",
    fix: say`${STOP}; the log names its number`,
  },
];

/** In every log, or about nothing that matters. */
const HARMLESS = /Dirty tracking is OFF|Can't setup RLIMIT_NOFILE|Dumping FAILED|failed with -1$/;

/** Lines that are kept of a log, in characters each. */
const MOST_LINES = 200;
const LONGEST_LINE = 500;
/** Lines that are shown where no cause is known. */
const SHOWN = 10;

/** Why CRIU failed, by its own log. */
export interface Failure {
  /** Whether it is one of the known causes; else `why` shows the log's errors. */
  readonly known: boolean;
  /** Of the log, how many lines say something. */
  readonly lines: number;
  readonly why: Text;
  readonly fix: Text | undefined;
}

/** Reads a log piece by piece. Only its errors are kept: it may be long. */
export class CriuLogReader {
  readonly #errors: string[] = [];
  #rest = "";

  read(piece: Buffer): void {
    // Bytes as they are: a piece may end within a character.
    const lines = (this.#rest + piece.toString("latin1")).split("\n");
    this.#rest = (lines.pop() ?? "").slice(-LONGEST_LINE * 20);
    for (const line of lines) this.#keep(line);
  }

  /** What is known of the errors; else the errors themselves. */
  failure(): Failure {
    this.#keep(this.#rest);
    this.#rest = "";
    const telling = this.#errors.filter((line) => !HARMLESS.test(line));
    for (const { line, why, fix } of CAUSES) {
      const proof = telling.find((error) => line.test(error));
      if (proof !== undefined) return { known: true, lines: telling.length, why: say`${why}\n${proof}`, fix };
    }
    const shown = (telling.length > 0 ? telling : this.#errors).slice(-SHOWN);
    const why = shown.length === 0 ? "its log has no error in it" : say`its log says:\n${joined(shown, "\n")}`;
    return { known: false, lines: telling.length, why, fix: undefined };
  }

  #keep(line: string): void {
    if (!line.includes("Error (")) return;
    this.#errors.push(Buffer.from(line.slice(0, LONGEST_LINE), "latin1").toString("utf8").trim());
    if (this.#errors.length > MOST_LINES) this.#errors.shift();
  }
}
