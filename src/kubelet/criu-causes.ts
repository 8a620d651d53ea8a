import { joined, say, type Text } from "../model/phrase.ts";
/** One cause of failed checkpoints that is known by what CRIU's log says of it. */
interface Cause {
  readonly line: RegExp;
  readonly why: string;
  readonly fix: string;
}

/** Where runc and crun let CRIU read options from. */
const CONFIG = "/etc/criu/runc.conf (crun: /etc/criu/crun.conf)";

function option(name: string): string {
  return `on the node, as a line of ${CONFIG}: ${name}`;
}

/** Tried with Debian's Node.js 24, for which UV_USE_IO_URING=0 is not enough. */
export const IO_URING_FIX =
  "keep it from the container: securityContext: {seccompProfile: {type: RuntimeDefault}} in its pod; the profile of containerd 2 has no io_uring, and programs go on without it";
const NEWER_CRIU = "install CRIU 4.2 or later on the node";

/** The first that fits counts: what is particular comes before what is general. */
const CAUSES: readonly Cause[] = [
  { line: /anon_inode:\[io_uring\]/, why: "a process uses io_uring, which CRIU cannot dump", fix: IO_URING_FIX },
  {
    line: /vdso: Unexpected rt vDSO area bounds/,
    why: "the CRIU on the node is too old for its kernel: since 6.13 the vDSO is laid out in another way (criu#2532)",
    fix: `${NEWER_CRIU}: 4.1 is the first that knows it`,
  },
  {
    line: /Can't get 1:(16|34) opt/,
    why: "the CRIU on the node is too old for its kernel: since 6.16 internet sockets do not answer what it asks them (criu#2705)",
    fix: NEWER_CRIU,
  },
  {
    line: /Connected TCP socket|tcp-established option/,
    why: "a process has established TCP connections (criu#2535)",
    fix: `${option("tcp-established")}; the connections break when the checkpoint is restored elsewhere`,
  },
  {
    line: /In-flight connection|skip-in-flight/,
    why: "a TCP connection was just being set up",
    fix: `try again; or ${option("skip-in-flight")}`,
  },
  {
    line: /External socket is used|Can't dump half of (a )?stream unix connection|Cannot dump half of/,
    why: "a process is connected by a Unix socket to one outside of the container",
    fix: `${option("ext-unix-sk")}; the connection breaks when the checkpoint is restored`,
  },
  {
    line: /Can't dump ghost file.*increase limit|ghost file.* of \d+ size/i,
    why: "a process holds a large deleted file open, larger than CRIU saves by itself",
    fix: option("ghost-limit 512M (larger than the file)"),
  },
  {
    line: /[Ff]ile locks are h[eo]ld/,
    why: "a process holds file locks",
    fix: option("file-locks"),
  },
  {
    line: /fsnotify:.*Can't dump that handle|inotify.*irmap/,
    why: "a process watches files (inotify) that CRIU cannot find by name",
    fix: option("force-irmap"),
  },
  {
    line: /\(chr 195:|\(chr 5\d\d:|\/dev\/nvidia|nvidia/i,
    why: "a process uses an NVIDIA GPU, whose state CRIU does not have (criu#2397)",
    fix: "CRIU's CUDA plugin (criu 4.0 or later, with cuda-checkpoint and a driver of 550 or later) on the node",
  },
  {
    line: /\(chr 226:|\/dev\/(dri|kfd)/,
    why: "a process uses a GPU, whose state CRIU does not have",
    fix: "CRIU's AMD GPU plugin on the node, where the GPU is AMD's; there is none for others",
  },
  {
    line: /\(chr 10:229\)|fuse/i,
    why: "a process serves or uses a FUSE file system, which CRIU cannot dump",
    fix: "stop what uses FUSE in the container, or leave it to another container",
  },
  {
    line: /doesn't have a proper root mount|unreachable sharing|enable-external-masters/,
    why: "something is mounted in the container that CRIU finds no origin of",
    fix: "leave out the mount that the log names (subPath volumes and device plugins' files do this)",
  },
  {
    line: /No space left on device/,
    why: "the node has no space for CRIU's images: they go through /tmp, or the runtime's directory",
    fix: "make room there: kubectl checkpoint doctor node/NODE --deep says how much there is",
  },
  {
    line: /transport socket: Permission denied|Can't (seize|ptrace)|ptrace.*(Permission denied|not permitted)/i,
    why: "the node's SELinux or AppArmor policy keeps CRIU from the processes",
    fix: "look for what it denies on the node: ausearch -m avc -ts recent; dmesg | grep DENIED",
  },
  {
    line: /Unseizable non-zombie \d+ found, state D/,
    why: "a process could not be stopped within CRIU's 10 s: it was between vfork and exec, starting a program, or it waits for a disk",
    fix: "try again: where a program was being started, that moment is over",
  },
  {
    line: /nested (pid|net|uts|ipc|user|time) ?n(ame)?s|Can't dump nested/i,
    why: "a process in the container has namespaces of its own inside it (containers in the container, sandboxes of browsers), which CRIU cannot dump",
    fix: "stop what makes them before the checkpoint",
  },
  {
    line: /dangling tty|consider using --shell-job|shell-job/,
    why: "a process uses a terminal that was opened outside of the container, as kubectl exec -it and attach do",
    fix: "end the open kubectl exec and attach sessions, then try again",
  },
  {
    line: /anon_inode:\[?(perf_event|bpf|userfaultfd|kvm|secretmem)/,
    why: "a process has a file open of a kind that CRIU cannot dump",
    fix: "stop what uses it in the container, for the time of the checkpoint",
  },
  {
    line: /Can't dump file \d+ of that type|Can't handle non-regular mapping/,
    why: "a process has a device or another file open, or mapped, that CRIU cannot dump",
    fix: "stop what uses it in the container, for the time of the checkpoint; the log names its number",
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
      if (proof !== undefined) return { why: say`${why}\n${proof}`, fix };
    }
    const shown = (telling.length > 0 ? telling : this.#errors).slice(-SHOWN);
    return { why: shown.length === 0 ? "its log has no error in it" : say`its log says:\n${joined(shown, "\n")}`, fix: undefined };
  }

  #keep(line: string): void {
    if (!line.includes("Error (")) return;
    this.#errors.push(Buffer.from(line.slice(0, LONGEST_LINE), "latin1").toString("utf8").trim());
    if (this.#errors.length > MOST_LINES) this.#errors.shift();
  }
}
