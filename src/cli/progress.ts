import type { Phrase } from "../model/phrase.ts";
import { formatSeconds } from "../model/units.ts";
import type { Renderer } from "./render.ts";
import { cut } from "./shorten.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const LOG_EVERY = 10_000;
const DRAW_EVERY = 100;

interface Lane {
  text: Phrase;
  readonly since: number;
  logged: number;
}

/**
 * What is going on, on stderr: one live line a lane on a terminal; elsewhere a log line for a lane that has been busy
 * for 10 s, and every 10 s after that.
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

  activity(lane: string, text: Phrase): void {
    const known = this.#lanes.get(lane);
    if (known === undefined) this.#lanes.set(lane, { text, since: this.#now(), logged: this.#now() });
    else known.text = text;
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
    const width = this.#stderr.columns || 80;
    const lines = [...this.#lanes.values()].map((lane) => {
      const elapsed = formatSeconds((this.#now() - lane.since) / 1000);
      return cut(`${FRAMES[this.#frame]} ${elapsed} ${this.#renderer.phrase(lane.text)}`, width - 1);
    });
    this.clear();
    this.#stderr.write(lines.map((line) => `${line}\n`).join(""));
    this.#drawn = lines.length;
  }

  #log(): void {
    for (const lane of this.#lanes.values()) {
      if (this.#now() - lane.logged < LOG_EVERY) continue;
      lane.logged = this.#now();
      this.#stderr.write(`${this.#renderer.phrase(lane.text)} (${formatSeconds((this.#now() - lane.since) / 1000)})\n`);
    }
  }
}
