/** One place for a word in a usage line, as the line names it: POD, FILE, NODE:ARCHIVE. */
export interface Slot {
  /** What may stand there. */
  readonly kinds: readonly string[];
  /** Any number of words, as "..." says. */
  readonly repeated: boolean;
}

// A flag and its value: --copy[=DEST], --to DEST, -c NAME.
const FLAG = /--?[a-zA-Z][\w-]*(\[=[^\]]*\]|=\S+| [^\s\-[\]()|][^\s\])]*)?/g;

/** The places for words in a usage line, without the verb and the flags. Only what is written in capitals stands for something. */
export function slots(usage: string): Slot[] {
  const words = usage
    .replaceAll(FLAG, "")
    .replaceAll(/\s*\|\s*/g, "|")
    .split(/\s+/);
  return words.flatMap((word) => {
    const kinds = word
      .replace(/\.\.\.$/, "")
      .replaceAll(/[[\]()]/g, "")
      .split("|")
      .filter((kind) => /[A-Z]/.test(kind));
    return kinds.length === 0 ? [] : [{ kinds, repeated: word.endsWith("...") }];
  });
}

/** What the word at a place may be, by all of a verb's usage lines: from a repeated one on, that again or what follows it. */
export function kindsAt(usages: readonly string[], index: number): string[] {
  const kinds = usages.map(slots).flatMap((line) => {
    const repeated = line.findIndex((slot) => slot.repeated);
    const first = repeated < 0 ? index : Math.min(repeated, index);
    return line.slice(first, index + 1).flatMap((slot) => slot.kinds);
  });
  return [...new Set(kinds)];
}
