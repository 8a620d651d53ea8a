import type { Explanation } from "../model/error.ts";
import { joined, say, type Phrase } from "../model/phrase.ts";

interface Cause {
  readonly words: RegExp;
  readonly reason: string;
  readonly why: (found: RegExpExecArray) => Phrase;
  readonly fix: Phrase;
}

const OTHER_BASE = say`give the image that the container was made from, by its digest: --base-image=REFERENCE@sha256:…`;
const EXAMINE = say`examine the archive instead: kubectl checkpoint inspect FILE --all`;

/** What CRIU 4.2 writes into its restore.log, each with its cause. Of several, the first in this list is the one. */
const CAUSES: readonly Cause[] = [
  {
    words: /File (\S+) has bad (size|build-ID|mode)/i,
    reason: "BaseImageDiffers",
    why: ([, file = "", what = ""]) =>
      say`the file ${file} has another ${what} than the processes had: the base image is another build than the one that the container was made from`,
    fix: OTHER_BASE,
  },
  {
    words: /Can't open file (\S+) on restore|Can't open file (\S+)/,
    reason: "FileMissing",
    why: ([, file, other]) =>
      say`the processes had the file ${file ?? other ?? ""} open, which is neither in the base image nor in the archive`,
    fix: OTHER_BASE,
  },
  {
    // Not warnings: "cpu: fpu: max xsave frame exceed xsave_struct" is harmless.
    words:
      /(?:cpu: (?:FPU feature required|CPU (?:xfeatures|xsave|instruction|capabilities)|missing support|fpu: (?:No FPU|FP\/SSE))|x86: (?:FPU xsave area|Corruption in)).*/,
    reason: "ProcessorDiffers",
    why: ([line]) => say`the node's processor lacks something that the processes used: ${line}`,
    fix: say`choose a node with the same kind of processor: --node NODE`,
  },
  {
    words: /No space left on device/,
    reason: "NodeDiskFull",
    why: () => say`the node has no space left for the archive`,
    fix: say`free space on the node, or choose another: --node NODE`,
  },
  {
    words: /.*(?:Cannot allocate memory|Can't allocate|killed by signal 9).*/,
    reason: "OutOfMemory",
    why: ([line]) => say`the node or the pod may have no memory left: ${line}`,
    fix: say`choose a node with more free memory: --node NODE`,
  },
  {
    words: /prlimit.*|Can't set rlimit|rlimit .*(?:not permitted)/i,
    reason: "LimitTooHigh",
    why: () => say`the processes had a resource limit above that of the sandbox, and only root of the node may raise it`,
    fix: EXAMINE,
  },
  {
    words: /Found slave peer index|Don't have tty to inherit/,
    reason: "TerminalNotRestored",
    why: () => say`the processes had a terminal that cannot be restored`,
    fix: EXAMINE,
  },
  {
    words: /Can't bind (?:inet )?socket|Address already in use/,
    reason: "PortInUse",
    why: () => say`a port or an address that the processes listened on cannot be had in the sandbox`,
    fix: say`restore it with --network none`,
  },
  {
    words: /Can't mknod|mknod.*not permitted/i,
    reason: "DeviceNotAllowed",
    why: () => say`the processes had a device, which a user namespace does not allow`,
    fix: EXAMINE,
  },
  {
    words: /(?:apparmor|lsm|selinux).*/i,
    reason: "SecurityModuleDiffers",
    why: ([line]) => say`the node's security module differs from that of the node where the checkpoint was made: ${line}`,
    fix: say`choose a node with the same security module: --node NODE`,
  },
  {
    words: /mnt(?:-v2)?: .*/,
    reason: "MountNotRestored",
    why: ([line]) => say`a mount of the container cannot be made in the sandbox: ${line}`,
    fix: EXAMINE,
  },
  {
    words: /vdso: .*|rseq.*/,
    reason: "KernelDiffers",
    why: ([line]) => say`the node's kernel is too different from the one where the checkpoint was made: ${line}`,
    fix: say`choose a node with the same or a newer kernel: --node NODE`,
  },
];

/** Why CRIU did not restore, of the lines with errors in its log. */
export function criuFailure(lines: readonly string[]): Explanation {
  const message = say`CRIU could not restore the processes`;
  const errors = lines.map((line) => line.replace(/^\(\d+\.\d+\)\s*(?:\d+: )?/, "").replace(/^(?:Error|Warn ) *\([^)]*\): */, ""));
  for (const { words, reason, why, fix } of CAUSES) {
    for (const error of errors) {
      const found = words.exec(error);
      if (found !== null) return { reason, message, why: why(found), fix };
    }
  }
  return {
    reason: "RestoreFailed",
    message,
    why: errors.length === 0 ? say`its log names no reason` : joined(errors.slice(0, 5), "\n"),
    fix: say`rerun with --explain to see the whole log of CRIU`,
  };
}
