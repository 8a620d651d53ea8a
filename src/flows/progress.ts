import type { Context } from "../model/context.ts";
import { say, type Phrase } from "../model/phrase.ts";
import { formatBytes, formatSeconds } from "../model/units.ts";

const EMIT_EVERY_MS = 100;
/** The rate is that of the last seconds, not of the whole. */
const WINDOW_MS = 5000;

/** Where the bytes of one thing go; `end` when there is no more to say. */
export interface ByteProgress {
  update(bytes: number, how?: string): void;
  end(): void;
}

/** Bytes, rate and time left of one thing, often enough to be seen moving. `how` is said last: the codec. */
export function byteProgress({ emit }: Pick<Context, "emit">, lane: string, what: Phrase, total: number | undefined): ByteProgress {
  let window: { at: number; bytes: number }[] = [];
  let emitted = -Infinity;
  return {
    update(bytes, how) {
      const at = performance.now();
      if (at - emitted < EMIT_EVERY_MS) return;
      emitted = at;
      // Sent again from an earlier place: what was counted does not count.
      window = window.filter((point) => at - point.at <= WINDOW_MS && point.bytes <= bytes);
      const since = window[0] ?? { at, bytes };
      window.push({ at, bytes });
      const rate = (1000 * (bytes - since.bytes)) / Math.max(1, at - since.at);
      const known = total !== undefined && total >= bytes && total > 0;
      const parts = [
        ...(known ? [`${Math.floor((100 * bytes) / total)}%`] : []),
        `${formatBytes(Math.round(rate))}/s`,
        ...(known && rate > 0 ? [`${formatSeconds((total - bytes) / rate)} left`] : []),
      ];
      const of = total === undefined ? say`` : say` of ${formatBytes(total)}`;
      const last = how === undefined ? say`` : say`, ${how}`;
      emit({ kind: "activity", lane, text: say`${what} (${formatBytes(bytes)}${of}${last})`, lead: say`${parts.join(", ")}` });
    },
    end: () => emit({ kind: "idle", lane }),
  };
}
