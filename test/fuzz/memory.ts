/** Bytes of garbage that are let be: collecting takes longer than most cases. */
const COLLECT_FROM = 60e6;

let atFirst: number | undefined;

/** What one command has left to the garbage collector is not the next one's. Needs node --expose-gc. */
export function collectGarbage(): void {
  const { heapUsed, external } = process.memoryUsage();
  atFirst ??= heapUsed + external;
  if (heapUsed + external > atFirst + COLLECT_FROM) globalThis.gc?.();
}
