/**
 * Text whose untrusted parts are still apart from its trusted ones: commands and flows say things with it,
 * and cli/ alone escapes the values and joins them. No control character of a value reaches a terminal.
 */
export interface Phrase {
  readonly literals: readonly string[];
  readonly values: readonly PhraseValue[];
  readonly style?: Style;
}

export type PhraseValue = string | number | Phrase;

export type Style = "strong" | "dim" | "good" | "warn" | "bad";

/** say`pod/${name} is ready`: the literal text is ours, every value is data. */
export function say(literals: TemplateStringsArray, ...values: readonly PhraseValue[]): Phrase {
  return { literals, values };
}

export function styled(style: Style, value: PhraseValue): Phrase {
  return { literals: ["", ""], values: [value], style };
}

/** Phrases one after the other with a separator of ours between them. */
export function joined(parts: readonly PhraseValue[], separator: string): Phrase {
  const literals = ["", ...parts.slice(1).map(() => separator), ""];
  return parts.length === 0 ? say`` : { literals, values: parts };
}

/** A table that cli/ lays out: columns as wide as their widest cell, as kubectl get prints. */
export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly PhraseValue[])[];
}
