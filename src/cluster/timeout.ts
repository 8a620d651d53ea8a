/** What a timer holds: after that, Node.js' own would end at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** A signal that is aborted after so long; none for 0, and for longer than three weeks. */
export function timeoutSignal(milliseconds: number): AbortSignal[] {
  return milliseconds > 0 && milliseconds <= LONGEST_MS ? [AbortSignal.timeout(Math.ceil(milliseconds))] : [];
}
