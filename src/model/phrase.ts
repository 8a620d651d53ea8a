import { shellWord } from "./shell.ts";

/**
 * Text whose untrusted parts are still apart from its trusted ones: commands and flows say things with it,
 * and cli/ alone escapes the values and joins them. No control character of a value reaches a terminal.
 */
export interface Phrase {
  readonly literals: readonly string[];
  readonly values: readonly PhraseValue[];
  readonly style?: Style;
  /** On a terminal it is one line, cut at the terminal's width. */
  readonly oneLine?: true;
  /** Where it is broken between words, because a terminal is narrower, its further lines begin so many columns in. */
  readonly hang?: number;
  /** It is not broken: a command to paste, bytes of an archive. */
  readonly whole?: true;
}

export type PhraseValue = string | number | Word | Phrase;

/** One word of a command line to paste: quoted for a shell where it has to be. */
export interface Word {
  readonly word: string;
}

/** A phrase, or a text that is one value: its line breaks are shown as escapes. */
export type Text = string | Phrase;

export type Style = "strong" | "dim" | "good" | "warn" | "bad";

/** say`pod/${name} is ready`: the literal text is ours, every value is data. */
export function say(literals: TemplateStringsArray, ...values: readonly PhraseValue[]): Phrase {
  return { literals, values };
}

/**
 * command`kubectl checkpoint cp ${archive} ${files}`: a command line to paste. A value is one word, a list several, a phrase what it
 * says.
 */
export function command(literals: TemplateStringsArray, ...values: readonly (string | number | readonly string[] | Phrase)[]): Phrase {
  return { literals, values: values.map(asWords), whole: true };
}

function asWords(value: string | number | readonly string[] | Phrase): PhraseValue {
  if (typeof value === "string" || typeof value === "number") return { word: String(value) };
  if (isWords(value))
    return joined(
      value.map((word) => ({ word })),
      " ",
    );
  return value;
}

function isWords(value: readonly string[] | Phrase): value is readonly string[] {
  return Array.isArray(value);
}

export function phraseOf(text: Text): Phrase {
  return typeof text === "string" ? say`${text}` : text;
}

/** As text without styles, for documents: words are quoted, nothing else is escaped. */
export function plain(value: PhraseValue): string {
  if (typeof value !== "object") return String(value);
  if ("word" in value) return shellWord(value.word);
  const { literals, values } = value;
  return literals.map((literal, index) => literal + (index < values.length ? plain(values[index] ?? "") : "")).join("");
}

export function styled(style: Style, value: PhraseValue): Phrase {
  return { literals: ["", ""], values: [value], style };
}

/** Phrases one after the other with a separator of ours between them. */
export function joined(parts: readonly PhraseValue[], separator: string): Phrase {
  const literals = ["", ...parts.slice(1).map(() => separator), ""];
  return parts.length === 0 ? say`` : { literals, values: parts };
}

/** A phrase that is cut at the width of a terminal; -o wide and pipes have all of it. */
export function oneLine(phrase: Phrase): Phrase {
  return { ...phrase, oneLine: true };
}

/** A line whose further lines begin so many columns in, where a terminal is too narrow for one. */
export function hanging(phrase: Phrase, columns: number): Phrase {
  return { ...phrase, hang: columns };
}

/** A text that a terminal's width does not break: its spaces are those of a command to paste, or of an archive. */
export function whole(text: Text): Phrase {
  return { ...phraseOf(text), whole: true };
}

/** A table that cli/ lays out: columns as wide as their widest cell, as kubectl get prints. */
export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly PhraseValue[])[];
  /** What becomes of it on a terminal that is too narrow; -o wide and pipes have all of it. */
  readonly narrow?: Narrow;
}

/** Where a cell loses something. An address stays long enough for one of IPv4 with its port. */
export type Shortening = "end" | "middle" | "address";

export interface Narrow {
  /** A column whose cells stay whole: where there is no room for it, they follow the table, a line each. */
  readonly below?: string;
  /** Columns that are not shown where there is no room, the first of them first. */
  readonly without?: readonly string[];
  /** Columns whose cells are shortened: those of the first group before those of the second. */
  readonly shorten: readonly Readonly<Record<string, Shortening>>[];
  /** The cells of the last column are broken between words instead. */
  readonly wrap?: true;
}
