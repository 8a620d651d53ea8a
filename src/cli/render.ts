import type { ChalkInstance } from "chalk";
import type { Phrase, PhraseValue, Style, Table } from "../model/phrase.ts";
import { shellWord } from "../model/shell.ts";
import { escapeText } from "./escape.ts";

/** Phrases and tables as text for one stream: values escaped, styles as colours where the stream has them. */
export class Renderer {
  readonly #chalk: ChalkInstance;

  constructor(chalk: ChalkInstance) {
    this.#chalk = chalk;
  }

  phrase({ literals, values, style }: Phrase): string {
    let text = literals[0] ?? "";
    for (const [index, value] of values.entries()) text += this.#value(value) + (literals[index + 1] ?? "");
    return style === undefined ? text : this.#style(style)(text);
  }

  /** Columns three spaces apart, as kubectl get prints; the last one is not padded. */
  table({ columns, rows }: Table): string {
    const cells = rows.map((row) => row.map((value) => ({ plain: plainText(value), shown: this.#value(value) })));
    // Not by Math.max(...): a table may have more rows than a call has arguments.
    const widths = columns.map((heading, column) =>
      cells.reduce((widest, row) => Math.max(widest, row[column]?.plain.length ?? 0), heading.length),
    );
    const line = (row: readonly { plain: string; shown: string }[]): string =>
      row
        .map(({ plain, shown }, column) =>
          column === row.length - 1 ? shown : shown + " ".repeat((widths[column] ?? 0) - plain.length + 3),
        )
        .join("");
    return [line(columns.map((heading) => ({ plain: heading, shown: heading }))), ...cells.map(line)].join("\n");
  }

  #value(value: PhraseValue): string {
    return typeof value === "object" && !("word" in value) ? this.phrase(value) : plainText(value);
  }

  #style(style: Style): (text: string) => string {
    const { bold, dim, green, yellow, red } = this.#chalk;
    return { strong: bold, dim, good: green, warn: yellow, bad: red }[style];
  }
}

/** A value escaped and without styles: what its width is measured by. */
export function plainText(value: PhraseValue): string {
  if (typeof value !== "object") return escapeText(String(value));
  if ("word" in value) return escapeText(shellWord(value.word));
  return value.literals
    .map((literal, index) => literal + (index < value.values.length ? plainText(value.values[index] ?? "") : ""))
    .join("");
}
