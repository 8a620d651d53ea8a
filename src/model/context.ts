import type { Phrase } from "./phrase.ts";

/** What happens while a flow runs: progress, warnings and requests. cli/ decides what of it is shown, and how. */
export type Event =
  /**
   * What a lane (a node, a container, a transfer) is busy with: replaces what the lane said before. `lead` (percent, rate, time left) stands
   * before it, in the place of the time that has passed. The lane WHOLE sums up the others.
   */
  | { readonly kind: "activity"; readonly lane: string; readonly text: Phrase; readonly lead?: Phrase }
  /** The lane has nothing more to say. */
  | { readonly kind: "idle"; readonly lane: string }
  | { readonly kind: "warning" | "hint"; readonly text: Phrase }
  | { readonly kind: "request"; readonly exchange: Exchange };

/** The lane of the whole where there are many: it is the first, and the only one that is logged where there is no terminal. */
export const WHOLE = "";

/** One HTTP exchange, for -v. */
export interface Exchange {
  readonly method: string;
  readonly url: string;
  readonly requestHeaders: Readonly<Record<string, string | readonly string[]>>;
  /** Undefined where no answer came. */
  readonly status?: number;
  readonly responseHeaders?: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly milliseconds: number;
}

/** Questions to the person at the terminal. `possible` is false where none may be asked; asking then throws. */
export interface Asking {
  readonly possible: boolean;
  readonly confirm: (question: Phrase) => Promise<boolean>;
  /** What is typed is not shown. */
  readonly secret: (question: Phrase) => Promise<string>;
  /** One of a few; undefined: back to what was asked before (Esc). */
  readonly choose: <T>(
    question: Phrase,
    choices: readonly { readonly value: T; readonly label: Phrase }[],
  ) => Promise<{ value: T } | undefined>;
  /** At least one of rows that may still be arriving. */
  readonly pick: <T>(picker: Picker<T>) => Promise<readonly T[]>;
}

export interface Picker<T> {
  readonly question: string;
  /** Column headings of `cells`. */
  readonly columns: readonly string[];
  /** Batches of rows as they arrive. */
  readonly rows: AsyncIterable<readonly PickerRow<T>[]>;
  /** One more column, fetched for the rows on the screen, and for all where they are sorted by it. */
  readonly detail?: { readonly column: string; readonly of: (value: T) => Promise<Detail> };
  /** Whether more than one may be picked. */
  readonly several: boolean;
  /** Where one comes back to the list: as it was left. Rows are told apart by `id`. */
  readonly left?: PickerLeft;
  readonly id?: (value: T) => string;
}

/** How a list was left: what was typed, how it was sorted, and the rows that were marked and selected. */
export interface PickerLeft {
  term: string;
  order: "list" | "age" | "detail";
  marked: string | undefined;
  selected: ReadonlySet<string>;
}

export interface Detail {
  readonly text: string;
  /** What rows are sorted by, the most first; undefined where it is not known. */
  readonly amount?: number;
}

export interface PickerRow<T> {
  readonly value: T;
  readonly cells: readonly string[];
  /** Milliseconds since the epoch: rows can be sorted by age, the youngest first. */
  readonly since?: number;
  /** More about it, shown while it is marked. */
  readonly about?: string;
}

/** What every flow is given: no globals anywhere below cli/. */
export interface Context {
  readonly signal: AbortSignal;
  readonly env: NodeJS.ProcessEnv;
  readonly ask: Asking;
  readonly emit: (event: Event) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** This plugin's: "v0.1.0". */
  readonly version: string;
}
