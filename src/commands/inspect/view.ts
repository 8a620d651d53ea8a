import { oneLine, say, styled, type Phrase, type Table } from "../../model/phrase.ts";

/** A part of what people see. */
export type View = Phrase | Table;

/** A title with an empty line before it. */
export function heading(title: Phrase): Phrase {
  return oneLine(say`\n${styled("strong", title)}`);
}
