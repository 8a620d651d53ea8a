import { say } from "../../../model/phrase.ts";
import { formatBytes, formatSeconds } from "../../../model/units.ts";
import type { FlowContext } from "../../context.ts";

const TELL_EVERY_MS = 100;
/** The rate is that of the last seconds, not of the whole. */
const WINDOW_MS = 5000;

/** Bytes, rate, time left and codec of one transfer, told often enough to be seen moving. */
export function transferProgress({ emit }: FlowContext, name: string, total: number, resumed: number) {
  const lane = `copy ${name}`;
  const window: { at: number; bytes: number }[] = [{ at: performance.now(), bytes: resumed }];
  let told = -Infinity;
  return {
    update: ({ bytes, codec }: { bytes: number; codec: string }): void => {
      const at = performance.now();
      if (at - told < TELL_EVERY_MS) return;
      told = at;
      while (window.length > 1 && at - (window[0]?.at ?? at) > WINDOW_MS) window.shift();
      const since = window[0] ?? { at, bytes };
      window.push({ at, bytes });
      const rate = (1000 * (bytes - since.bytes)) / Math.max(1, at - since.at);
      const left = rate > 0 ? say`, ${formatSeconds((total - bytes) / rate)} left` : say``;
      const how = codec === "none" ? say`` : say`, ${codec}`;
      emit({
        kind: "activity",
        lane,
        text: say`copying ${name}: ${formatBytes(bytes)} of ${formatBytes(total)}, ${formatBytes(Math.round(rate))}/s${left}${how}`,
      });
    },
    end: (): void => emit({ kind: "idle", lane }),
  };
}
