import type { Context } from "../../../model/context.ts";
import { say, type Phrase } from "../../../model/phrase.ts";
import { formatBytes, formatSeconds } from "../../../model/units.ts";

const TELL_EVERY_MS = 100;
/** The rate is that of the last seconds, not of the whole. */
const WINDOW_MS = 5000;

/** Bytes, rate and time left of one thing that goes on, told often enough to be seen moving. */
export function byteProgress({ emit }: Pick<Context, "emit">, lane: string, what: Phrase, total: number | undefined) {
  let window: { at: number; bytes: number }[] = [];
  let told = -Infinity;
  return {
    update: (bytes: number): void => {
      const at = performance.now();
      if (at - told < TELL_EVERY_MS) return;
      told = at;
      // Sent again from an earlier place: what was counted does not count.
      window = window.filter((point) => at - point.at <= WINDOW_MS && point.bytes <= bytes);
      const since = window[0] ?? { at, bytes };
      window.push({ at, bytes });
      const rate = (1000 * (bytes - since.bytes)) / Math.max(1, at - since.at);
      const of = total === undefined ? say`` : say` of ${formatBytes(total)}`;
      const left = rate > 0 && total !== undefined && total >= bytes ? say`, ${formatSeconds((total - bytes) / rate)} left` : say``;
      emit({ kind: "activity", lane, text: say`${what}: ${formatBytes(bytes)}${of}, ${formatBytes(Math.round(rate))}/s${left}` });
    },
    end: (): void => emit({ kind: "idle", lane }),
  };
}
