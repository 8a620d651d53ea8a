import { createPrompt, isDownKey, isEnterKey, isUpKey, useEffect, useKeypress, useRef, useState } from "@inquirer/core";
import { styleText } from "node:util";
import type { Picker } from "../../model/context.ts";
import { layout, matching, prepareRow, type Row } from "./rows.ts";

/** The answer where nothing was picked: Esc on an empty term. */
export const CANCELLED = Symbol("cancelled");

interface PickConfig extends Picker<unknown> {
  /** The stream that is drawn on. */
  readonly screen: NodeJS.WriteStream;
}

type Arrival = { readonly state: "arriving" | "complete" } | { readonly state: "failed"; readonly error: Error };

/** Redraws while rows arrive, at most this often: typing comes first. */
const REDRAW_MS = 100;
/** Lines around the rows: question, headings, count. */
const FRAME_LINES = 4;

/**
 * A list that one filters by typing, on rows that are still arriving (inquirer's own search prompt asks for rows only
 * when the term changes). Enter takes the marked row, arrows and page keys move, Esc clears the term and then cancels.
 */
export const pick = createPrompt<unknown, PickConfig>((config, done) => {
  const rows = useRef<Row<unknown>[]>([]);
  const details = useRef(new Map<unknown, string>());
  const [, redraw] = useState(0);
  const [arrival, setArrival] = useState<Arrival>({ state: "arriving" });
  const [term, setTerm] = useState("");
  const [active, setActive] = useState(0);
  const draws = useRef(0);
  const drawAgain = (): void => redraw((draws.current += 1));
  // Many details arrive at once: one drawing shows them all.
  const waiting = useRef<NodeJS.Timeout | undefined>(undefined);
  const drawSoon = (): void => {
    waiting.current ??= setTimeout(() => {
      waiting.current = undefined;
      drawAgain();
    }, REDRAW_MS);
  };

  useEffect(() => collect(config.rows, rows.current, drawAgain, setArrival), []);
  useEffect(() => {
    config.screen.on("resize", drawAgain);
    return () => {
      config.screen.off("resize", drawAgain);
      clearTimeout(waiting.current);
    };
  }, []);

  if (arrival.state === "failed") throw arrival.error;
  const shown = matching(rows.current, term);
  const marked = Math.min(active, Math.max(0, shown.length - 1));
  const height = Math.max(3, (config.screen.rows || 24) - FRAME_LINES);
  const top = Math.max(0, Math.min(marked - Math.floor(height / 2), shown.length - height));
  const visible = shown.slice(top, top + height);

  useEffect(() => {
    for (const row of config.detail === undefined ? [] : visible) {
      if (details.current.has(row.value)) continue;
      details.current.set(row.value, "");
      void fetchDetail(config, row, details.current).then(drawSoon);
    }
  }, [visible.map((row) => row.haystack).join("\n")]);

  useKeypress((key, readline) => {
    const move = { pageup: -height, pagedown: height }[key.name] ?? (isUpKey(key) ? -1 : isDownKey(key) ? 1 : 0);
    if (isEnterKey(key)) {
      const row = shown[marked];
      if (row === undefined) readline.write(term);
      else done(row.value);
    } else if (key.name === "escape") {
      readline.clearLine(0);
      if (term === "") done(CANCELLED);
      else setTerm("");
    } else if (move !== 0) {
      readline.clearLine(0);
      readline.write(term);
      setActive(Math.max(0, Math.min(shown.length - 1, marked + move)));
    } else {
      setTerm(readline.line);
      setActive(0);
    }
  });

  const headings = [...config.columns, ...(config.detail === undefined ? [] : [config.detail.column])];
  const cells = visible.map((row) => [...row.cells, ...(config.detail === undefined ? [] : [details.current.get(row.value) ?? ""])]);
  const width = (config.screen.columns || 80) - 3;
  const [heading = "", ...lines] = layout([headings, ...cells], width);
  const drawn = lines.map((line, index) => (top + index === marked ? styleText("cyan", `> ${line}`) : `  ${line}`));
  const [count = ""] = layout([[counted(shown.length, rows.current.length, arrival.state)]], width);
  return [
    `${styleText("bold", config.question)} ${term}`,
    [styleText("dim", `  ${heading}`), ...drawn, styleText("dim", `  ${count}`)].join("\n"),
  ];
});

async function fetchDetail({ detail }: PickConfig, { value }: Row<unknown>, into: Map<unknown, string>): Promise<void> {
  into.set(value, (await detail?.of(value)) ?? "");
}

/** Adds rows as they arrive; the first ones are drawn at once. */
function collect(source: PickConfig["rows"], into: Row<unknown>[], draw: () => void, setArrival: (arrival: Arrival) => void): () => void {
  let stopped = false;
  let drawn = 0;
  const read = async (): Promise<void> => {
    for await (const batch of source) {
      if (stopped) return;
      into.push(...batch.map(prepareRow));
      if (performance.now() - drawn < REDRAW_MS) continue;
      drawn = performance.now();
      draw();
    }
    setArrival({ state: "complete" });
  };
  read().catch((error: unknown) => setArrival({ state: "failed", error: error as Error }));
  return () => {
    stopped = true;
  };
}

function counted(shown: number, all: number, state: Arrival["state"]): string {
  const number = (value: number): string => value.toLocaleString("en-US");
  if (state === "complete" && all === 0) return "no running containers (Esc: cancel)";
  const rest = state === "complete" ? "" : ", loading";
  return `${number(shown)} of ${number(all)}${rest} · type to filter, ↑↓: move, Enter: select, Esc: cancel`;
}
