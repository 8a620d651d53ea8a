import { WHOLE } from "../model/context.ts";
import { say, type Phrase } from "../model/phrase.ts";
import { formatSeconds } from "../model/units.ts";
import type { Renderer } from "./render.ts";
import { cut } from "./shorten.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const LOG_EVERY = 10_000;
const DRAW_EVERY = 100;

interface Lane {
  text: Phrase;
  lead: Phrase | undefined;
  readonly since: number;
  logged: number;
}

/**
 * What is going on, on stderr: on a terminal one live line a lane, the whole first, and no more lanes than there is room for; elsewhere a
 * log line for a lane that has been busy for 10 s, and every 10 s after that; of many lanes that are summed up, for the sum alone.
 */
export class Progress {
  readonly #stderr: NodeJS.WriteStream;
  readonly #renderer: Renderer;
  readonly #live: boolean;
  readonly #now: () => number;
  readonly #lanes = new Map<string, Lane>();
  #timer: NodeJS.Timeout | undefined;
  #drawn = 0;
  #frame = 0;

  constructor(options: { stderr: NodeJS.WriteStream; renderer: Renderer; live: boolean; now: () => number }) {
    this.#stderr = options.stderr;
    this.#renderer = options.renderer;
    this.#live = options.live;
    this.#now = options.now;
  }

  activity(lane: string, text: Phrase, lead?: Phrase): void {
    const known = this.#lanes.get(lane);
    if (known === undefined) this.#lanes.set(lane, { text, lead, since: this.#now(), logged: this.#now() });
    else Object.assign(known, { text, lead });
    this.#timer ??= setInterval(() => (this.#live ? this.#draw() : this.#log()), this.#live ? DRAW_EVERY : 500).unref();
  }

  idle(lane: string): void {
    this.#lanes.delete(lane);
    if (this.#lanes.size === 0) this.stop();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#lanes.clear();
    this.clear();
  }

  /** Takes the live lines off the screen, so that something else can be printed; the next tick draws them again. */
  clear(): void {
    if (this.#drawn > 0) this.#stderr.write(`\u001b[${this.#drawn}A\r\u001b[J`);
    this.#drawn = 0;
  }

  #draw(): void {
    this.#frame = (this.#frame + 1) % FRAMES.length;
    const width = (this.#stderr.columns || 80) - 1;
    // The command line that started it stays on the screen.
    const room = Math.max(1, (this.#stderr.rows || 24) - 2);
    const lanes = this.#inOrder();
    const shown = lanes.length <= room ? lanes : lanes.slice(0, Math.max(1, room - 1));
    const lines = shown.map((lane) => this.#line(lane, width));
    if (shown.length < lanes.length) lines.push(cut(`  and ${lanes.length - shown.length} more`, width));
    this.clear();
    this.#stderr.write(lines.map((line) => `${line}\n`).join(""));
    this.#drawn = lines.length;
  }

  #inOrder(): Lane[] {
    const whole = this.#lanes.get(WHOLE);
    const others = [...this.#lanes.values()].filter((lane) => lane !== whole);
    return whole === undefined ? others : [whole, ...others];
  }

  #line({ text, lead, since }: Lane, width: number): string {
    const first = lead ?? say`${formatSeconds((this.#now() - since) / 1000)}`;
    return this.#renderer.inOneLine(say`${FRAMES[this.#frame] ?? ""} ${first} ${text}`, width);
  }

  #log(): void {
    const whole = this.#lanes.get(WHOLE);
    for (const lane of whole === undefined ? this.#lanes.values() : [whole]) {
      if (this.#now() - lane.logged < LOG_EVERY) continue;
      lane.logged = this.#now();
      const lead = lane.lead === undefined ? say`` : say`${lane.lead}, `;
      const elapsed = formatSeconds((this.#now() - lane.since) / 1000);
      this.#stderr.write(`${this.#renderer.phrase(say`${lane.text} (${lead}${elapsed})`)}\n`);
    }
  }
}
