import type { Detail, PickerLeft, PickerRow } from "../../model/context.ts";
import { escapeText } from "../escape.ts";
import { shortened } from "../shorten.ts";

/** A row made ready to be matched and drawn: escaped once, when it arrives. */
export interface Row<T> {
  readonly value: T;
  readonly cells: readonly string[];
  readonly since: number;
  readonly about: string;
  /** In lower case. */
  readonly haystack: string;
}

export function prepareRow<T>({ value, cells, since = 0, about = "" }: PickerRow<T>): Row<T> {
  const escaped = cells.map(escapeText);
  return { value, cells: escaped, since, about: escapeText(about), haystack: escaped.join(" ").toLowerCase() };
}

/** Rows that contain every word of the term, in any column. */
export function matching<T>(rows: readonly Row<T>[], term: string): readonly Row<T>[] {
  const words = term.toLowerCase().split(/\s+/).filter(Boolean);
  return words.length === 0 ? rows : rows.filter(({ haystack }) => words.every((word) => haystack.includes(word)));
}

/** How rows are sorted. */
export type Order = PickerLeft["order"];

/** The youngest first, or those with the most; the others as they came. */
export function sorted<T>(rows: readonly Row<T>[], order: Order, details: ReadonlyMap<T, Detail>): readonly Row<T>[] {
  if (order === "list") return rows;
  const amount = (row: Row<T>): number => (order === "age" ? row.since : (details.get(row.value)?.amount ?? -1));
  return rows.toSorted((a, b) => amount(b) - amount(a));
}

/** As many of the parts as there is room for, the first of them most important. */
export function fitted(parts: readonly string[], width: number): string {
  const some = [...parts];
  while (some.length > 1 && some.join(" · ").length > width) some.pop();
  return shortened(some.join(" · "), width);
}

/** Lines of cells in columns, no wider than the terminal: the widest columns are shortened in the middle. */
export function layout(rows: readonly (readonly string[])[], width: number): string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const gaps = 2 * (columns - 1);
  while (sum(widths) + gaps > width && Math.max(...widths) > 4) {
    const widest = widths.indexOf(Math.max(...widths));
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return rows.map((row) =>
    row
      .map((cell, column) => shortened(cell, widths[column] ?? 0).padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd()
      .slice(0, Math.max(1, width)),
  );
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
