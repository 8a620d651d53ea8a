import { createPrompt, isDownKey, isEnterKey, isTabKey, isUpKey, useEffect, useKeypress, useRef, useState } from "@inquirer/core";
import { styleText } from "node:util";
import type { Detail, Picker } from "../../model/context.ts";
import { escapeText } from "../escape.ts";
import { shortened } from "../shorten.ts";
import { fitted, layout, matching, prepareRow, sorted, type Order, type Row } from "./rows.ts";

/** The answer where nothing was picked: Esc on an empty term. */
export const CANCELLED = Symbol("cancelled");

interface PickConfig extends Picker<unknown> {
  /** The stream that is drawn on. */
  readonly screen: NodeJS.WriteStream;
}

type Arrival = { readonly state: "arriving" | "complete" } | { readonly state: "failed"; readonly error: Error };

/** Redraws while rows arrive, at most this often: typing comes first. */
const REDRAW_MS = 100;
/** Lines around the rows: question, headings, what the marked row is, count and keys. */
const FRAME_LINES = 5;
/** What a terminal does for a screen of its own, and what clears it: nothing of what was drawn for another size stays. */
export const OWN_SCREEN = "\u001b[?1049h\u001b[H";
export const FORMER_SCREEN = "\u001b[?1049l";
const CLEAR = "\u001b[H\u001b[2J";

/**
 * A list that one filters by typing, on rows that are still arriving (inquirer's own search prompt asks for rows only
 * when the term changes). Enter takes the marked row, or those that Tab has selected; arrows, page keys, Home and End move; Ctrl-S sorts;
 * Esc clears the term and then cancels.
 */
export const pick = createPrompt<readonly unknown[] | typeof CANCELLED, PickConfig>((config, done) => {
  const rows = useRef<Row<unknown>[]>([]);
  const details = useRef(new Map<unknown, Detail>());
  const selected = useRef(new Set<Row<unknown>>());
  const { left, id = () => "" } = config;
  const [order, setOrder] = useState<Order>(left?.order ?? "list");
  const [, redraw] = useState(0);
  const [arrival, setArrival] = useState<Arrival>({ state: "arriving" });
  const [term, setTerm] = useState(left?.term ?? "");
  // Undefined: where the mark was when the list was left.
  const [active, setActive] = useState<number | undefined>(undefined);
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

  useEffect((readline) => {
    readline.write(term);
    const add = (row: Row<unknown>): void => {
      rows.current.push(row);
      if (left?.selected.has(id(row.value)) === true) selected.current.add(row);
    };
    return collect(config.rows, add, drawAgain, setArrival);
  }, []);
  useEffect(() => {
    const resized = (): void => {
      config.screen.write(CLEAR);
      drawAgain();
    };
    config.screen.on("resize", resized);
    return () => {
      config.screen.off("resize", resized);
      clearTimeout(waiting.current);
    };
  }, []);

  if (arrival.state === "failed") throw arrival.error;
  const shown = sorted(matching(rows.current, term), order, details.current);
  const former = left?.marked === undefined ? -1 : shown.findIndex(({ value }) => id(value) === left.marked);
  const marked = Math.max(0, Math.min(active ?? former, shown.length - 1));
  const height = Math.max(3, (config.screen.rows || 24) - FRAME_LINES);
  const top = Math.max(0, Math.min(marked - Math.floor(height / 2), shown.length - height));
  const visible = shown.slice(top, top + height);

  useEffect(() => {
    // Whoever sorts by it wants to know it of all.
    for (const row of config.detail === undefined ? [] : order === "detail" ? shown : visible) {
      if (details.current.has(row.value)) continue;
      details.current.set(row.value, { text: "" });
      void fetchDetail(config, row, details.current).then(drawSoon);
    }
  }, [order, shown.length, visible.map((row) => row.haystack).join("\n")]);

  const orders: readonly Order[] = ["list", "age", ...(config.detail === undefined ? [] : (["detail"] as const))];
  useKeypress((key, readline) => {
    const last = shown.length - 1;
    const moves: Readonly<Record<string, number>> = { pageup: -height, pagedown: height, home: -last, end: last };
    const move = moves[key.name] ?? (isUpKey(key) ? -1 : isDownKey(key) ? 1 : undefined);
    const keepTerm = (): void => {
      readline.clearLine(0);
      readline.write(term);
    };
    const go = (by: number): void => setActive(Math.max(0, Math.min(last, marked + by)));
    const row = shown[marked];
    if (isEnterKey(key)) {
      const all = selected.current.size > 0 ? rows.current.filter((one) => selected.current.has(one)) : row === undefined ? [] : [row];
      if (all.length === 0) readline.write(term);
      else {
        const ids = [...selected.current].map(({ value }) => id(value));
        if (left !== undefined) Object.assign(left, { term, order, marked: row && id(row.value), selected: new Set(ids) });
        done(all.map(({ value }) => value));
      }
    } else if (key.name === "escape") {
      readline.clearLine(0);
      if (term === "") done(CANCELLED);
      else {
        setTerm("");
        setActive(0);
      }
    } else if (isTabKey(key)) {
      keepTerm();
      if (!config.several || row === undefined) return;
      if (!selected.current.delete(row)) selected.current.add(row);
      if (marked < last) go(1);
      else drawAgain();
    } else if (key.ctrl && key.name === "s") {
      keepTerm();
      setOrder(orders[(orders.indexOf(order) + 1) % orders.length] ?? "list");
      setActive(0);
    } else if (move !== undefined) {
      keepTerm();
      go(move);
    } else {
      setTerm(readline.line);
      setActive(0);
    }
  });

  const { detail } = config;
  const headings = [...config.columns, ...(detail === undefined ? [] : [detail.column])];
  const cells = visible.map((row) => [...row.cells, ...(detail === undefined ? [] : [details.current.get(row.value)?.text ?? ""])]);
  const width = (config.screen.columns || 80) - 3;
  const [heading = "", ...lines] = layout([headings, ...cells], width);
  const drawn = lines.map((line, index) => {
    const [isMarked, row] = [top + index === marked, visible[index]];
    const text = `${isMarked ? ">" : " "}${row !== undefined && selected.current.has(row) ? "*" : " "}${line}`;
    return isMarked ? styleText("cyan", text) : text;
  });
  const about = shown[marked] === undefined ? "" : preview(shown[marked], details.current, detail?.column);
  const count = counted(shown.length, rows.current.length, selected.current.size, arrival.state);
  const sorting = order === "list" ? "" : ` (by ${order === "age" ? "age" : (detail?.column.toLowerCase() ?? "")})`;
  // In the order of their importance: where there is no room, the last are not shown.
  const keys = [
    "type to filter",
    config.several ? "Tab: several" : "",
    `Ctrl-S: sort${sorting}`,
    term === "" ? "Esc: cancel" : "Esc: clear",
    "Enter: select",
    "↑↓: move",
  ];
  const noMatch = shown.length === 0 && term !== "" && rows.current.length > 0;
  const help = noMatch ? [`nothing matches "${escapeText(term)}": type less, or Esc to clear`] : keys.filter((key) => key !== "");
  const status = fitted([count, ...help], width);
  return [
    `${styleText("bold", config.question)} ${term}`,
    [styleText("dim", `  ${heading}`), ...drawn, styleText("dim", `  ${shortened(about, width)}`), styleText("dim", `  ${status}`)].join(
      "\n",
    ),
  ];
});

/** What the marked row is: its image, its restarts, its memory. */
function preview({ value, about }: Row<unknown>, details: ReadonlyMap<unknown, Detail>, column = ""): string {
  const text = details.get(value)?.text ?? "";
  return [about, text === "" ? "" : `${column.toLowerCase()} ${text}`].filter((part) => part !== "").join(", ");
}

async function fetchDetail({ detail }: PickConfig, { value }: Row<unknown>, into: Map<unknown, Detail>): Promise<void> {
  into.set(value, (await detail?.of(value)) ?? { text: "" });
}

/** Adds rows as they arrive; the first ones are drawn at once. */
function collect(
  source: PickConfig["rows"],
  add: (row: Row<unknown>) => void,
  draw: () => void,
  setArrival: (arrival: Arrival) => void,
): () => void {
  let stopped = false;
  let drawn = 0;
  const read = async (): Promise<void> => {
    for await (const batch of source) {
      if (stopped) return;
      for (const row of batch) add(prepareRow(row));
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

function counted(shown: number, all: number, selected: number, state: Arrival["state"]): string {
  const number = (value: number): string => value.toLocaleString("en-US");
  if (state === "complete" && all === 0) return "no running containers";
  const rest = state === "complete" ? "" : ", loading";
  return `${number(shown)} of ${number(all)}${rest}${selected === 0 ? "" : `, ${number(selected)} selected`}`;
}
