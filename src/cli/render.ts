import type { ChalkInstance } from "chalk";
import { say, type Phrase, type PhraseValue, type Shortening, type Style, type Table } from "../model/phrase.ts";
import { shellWord } from "../model/shell.ts";
import { escapeText } from "./escape.ts";
import { laidOut } from "./layout.ts";
import { cut, shortened } from "./shorten.ts";

/** Between two columns: kubectl's three, and less on a terminal where there is no room. */
const GAP = 3;
const NARROW_GAP = 2;
/** Cells are not shortened to less. */
const LEAST: Readonly<Record<Shortening | "wrapped", number>> = { end: 12, middle: 12, address: 22, wrapped: 20 };

/** Phrases and tables as text for one stream: values escaped, styles as colours where the stream has them. */
export class Renderer {
  readonly #chalk: ChalkInstance;
  readonly #width: () => number;

  /** `width`: of the terminal; infinite where there is none, or all is to be shown. */
  constructor(chalk: ChalkInstance, width: () => number = () => Infinity) {
    this.#chalk = chalk;
    this.#width = width;
  }

  /** On a terminal, lines that are wider than that are broken between words. */
  phrase(phrase: Phrase): string {
    const { literals, values, style } = phrase;
    if (phrase.oneLine === true) {
      // With what is painted inside it, it could not be cut; an empty line before it is no part of it.
      const [, before = "", plain = ""] = /^(\n*)(.*)$/s.exec(plainText({ literals, values })) ?? [];
      if (plain.length > this.#width()) return before + this.#painted(cut(plain, this.#width()), style);
    }
    return this.within(phrase, this.#width());
  }

  /** A phrase broken between words for so many columns. */
  within(phrase: Phrase, width: number, hang?: number): string {
    if (
      plainText(phrase)
        .split("\n")
        .every((line) => line.length <= width)
    )
      return this.#flat(phrase);
    return laidOut(phrase, width, (text, style) => this.#style(style)(text), hang);
  }

  #flat({ literals, values, style }: Phrase): string {
    let text = literals[0] ?? "";
    for (const [index, value] of values.entries()) text += this.#value(value) + (literals[index + 1] ?? "");
    return this.#painted(text, style);
  }

  /** In one line of so many characters: the longest of its values are shortened in their middle, then its end is cut. */
  inOneLine(phrase: Phrase, width: number): string {
    let fitted = phrase;
    for (let over = plainText(fitted).length - width; over > 0; over = plainText(fitted).length - width) {
      const longest = longestValue(fitted);
      if (longest.length <= NAME) return cut(plainText(fitted), width);
      fitted = replaced(fitted, longest, shortened(longest, Math.max(NAME, longest.length - over)));
    }
    return this.#flat(fitted);
  }

  /** As kubectl get prints; the last column is not padded. */
  table(table: Table): string {
    return this.tableAndRest(table).text;
  }

  /** `left`: columns that the terminal has no room for. */
  tableAndRest({ columns, rows, narrow }: Table): { readonly text: string; readonly left: readonly string[] } {
    const cells = rows.map((row) => row.map((value) => ({ value, plain: plainText(value), shown: this.#value(value) })));
    // Not by Math.max(...): a table may have more rows than a call has arguments.
    const widths = columns.map((heading, column) =>
      cells.reduce((widest, row) => Math.max(widest, row[column]?.plain.length ?? 0), heading.length),
    );
    const below = this.#fits(widths) ? -1 : columns.indexOf(narrow?.below ?? "");
    const { gap, kept } = this.#room(columns, widths, narrow, below);
    const shortens: Readonly<Record<string, Shortening>> = Object.assign({}, ...(narrow?.shorten ?? []));
    const shown = (cell: Cell, column: number): Cell => {
      const width = widths[column] ?? 0;
      if (cell.plain.length <= width) return cell;
      const text = shortens[columns[column] ?? ""] === "end" ? cut(cell.plain, width) : shortened(cell.plain, width);
      return { value: text, plain: text, shown: text };
    };
    const indent = kept.slice(0, -1).reduce((sum, column) => sum + (widths[column] ?? 0) + gap, 0);
    const line = (row: readonly Cell[]): string => {
      let text = "";
      let gapBefore = "";
      for (const [index, column] of kept.entries()) {
        const cell = row[column];
        if (cell === undefined) continue;
        if (narrow?.wrap === true && index === kept.length - 1) {
          const { from, before } =
            indent + LEAST.wrapped <= this.#width() ? { from: indent, before: gapBefore } : { from: 2, before: "\n  " };
          return text + before + this.within(say`${cell.value}`, this.#width() - from, 0).replaceAll("\n", `\n${" ".repeat(from)}`);
        }
        const { plain, shown: inside } = shown(cell, column);
        text += gapBefore + inside;
        gapBefore = " ".repeat((widths[column] ?? 0) - plain.length + gap);
      }
      return text;
    };
    const apart = below < 0 ? [] : ["", ...cells.map((row) => row[below]?.shown ?? "")];
    return {
      text: [line(columns.map((heading) => ({ value: heading, plain: heading, shown: heading }))), ...cells.map(line), ...apart].join("\n"),
      left: columns.filter((_, column) => column !== below && !kept.includes(column)),
    };
  }

  #fits(widths: readonly number[]): boolean {
    return widths.reduce((sum, width) => sum + width, GAP * (widths.length - 1)) <= this.#width();
  }

  /** Which columns there is room for, how far apart; where it is not enough, `widths` are made smaller. */
  #room(columns: readonly string[], widths: number[], narrow: Table["narrow"], below: number): { gap: number; kept: readonly number[] } {
    let kept = columns.map((_, column) => column).filter((column) => column !== below);
    const room = this.#width();
    const total = (of: readonly number[], gap: number): number =>
      kept.reduce((sum, column) => sum + (of[column] ?? 0), gap * (kept.length - 1));
    if (narrow === undefined || total(widths, GAP) <= room) return { gap: GAP, kept };
    const capped = (group: Readonly<Record<string, Shortening>>, cap: number): number[] =>
      widths.map((width, column) => {
        const heading = columns[column] ?? "";
        const how = group[heading];
        return how === undefined ? width : Math.min(width, Math.max(cap, heading.length, LEAST[how]));
      });
    const tooWide = (): boolean => total(capped(Object.assign({}, ...narrow.shorten), 0), NARROW_GAP) > room;
    for (const spare of narrow.without ?? []) {
      if (!tooWide()) break;
      kept = kept.filter((column) => columns[column] !== spare);
    }
    // The first says what the line is about, the last is often what it is for.
    while (narrow.wrap !== true && kept.length > 2 && tooWide()) kept = kept.toSpliced(-2, 1);
    for (const group of narrow.shorten) {
      // The widest cells that there is room for.
      let cap = Math.min(room, Math.max(0, ...widths));
      while (cap > 0 && total(capped(group, cap), NARROW_GAP) > room) cap -= 1;
      for (const [column, width] of capped(group, cap).entries()) widths[column] = width;
    }
    return { gap: NARROW_GAP, kept };
  }

  #painted(text: string, style: Style | undefined): string {
    return style === undefined ? text : this.#style(style)(text);
  }

  #value(value: PhraseValue): string {
    return typeof value === "object" && !("word" in value) ? this.#flat(value) : plainText(value);
  }

  #style(style: Style): (text: string) => string {
    const { bold, dim, green, yellow, red } = this.#chalk;
    return { strong: bold, dim, good: green, warn: yellow, bad: red }[style];
  }
}

/** Names in a line are not shortened to less. */
const NAME = 20;

function longestValue({ values }: Phrase): string {
  let longest = "";
  for (const value of values) {
    const text = typeof value === "string" ? value : typeof value === "object" && !("word" in value) ? longestValue(value) : "";
    if (text.length > longest.length) longest = text;
  }
  return longest;
}

function replaced(phrase: Phrase, text: string, by: string): Phrase {
  const values = phrase.values.map((value) =>
    value === text ? by : typeof value === "object" && !("word" in value) ? replaced(value, text, by) : value,
  );
  return { ...phrase, values };
}

interface Cell {
  readonly value: PhraseValue;
  readonly plain: string;
  readonly shown: string;
}

/** A value escaped and without styles: what its width is measured by. */
export function plainText(value: PhraseValue): string {
  if (typeof value !== "object") return escapeText(String(value));
  if ("word" in value) return escapeText(shellWord(value.word));
  return value.literals
    .map((literal, index) => literal + (index < value.values.length ? plainText(value.values[index] ?? "") : ""))
    .join("");
}
