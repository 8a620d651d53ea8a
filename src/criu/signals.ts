/** Signals by number, as on x86, Arm, Power, RISC-V and s390x; MIPS numbers those above 6 otherwise. */
const NAMES =
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS".split(
    " ",
  );

export function signalName(signal: number): string {
  return NAMES[signal - 1] ?? (signal >= 34 && signal <= 64 ? `RTMIN+${signal - 34}` : String(signal));
}

/** The signals of a set of the kernel's, where bit 0 stands for signal 1. */
export function signalNames(set: bigint): string[] {
  const names: string[] = [];
  for (let signal = 1; signal <= 64; signal += 1) {
    if ((set >> BigInt(signal - 1)) & 1n) names.push(signalName(signal));
  }
  return names;
}
