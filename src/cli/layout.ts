import type { Phrase, PhraseValue, Style } from "../model/phrase.ts";
import { shellWord } from "../model/shell.ts";
import { escapeText } from "./escape.ts";

/** A piece of a line whose characters look and break alike. */
interface Run {
  readonly text: string;
  /** The innermost first. */
  readonly styles: readonly Style[];
  /** Not broken: a command to paste, bytes of an archive. */
  readonly whole: boolean;
}

/** Where a text is broken: the spaces from `from` to `to` become a line break and an indentation. */
interface Break {
  readonly from: number;
  readonly to: number;
  readonly indent: number;
}

/** Below this width nothing is broken. */
const LEAST = 16;
/** Where a phrase does not say where its further lines begin: so much further in than the first. */
const HANG = 2;

/** What begins a command line in a text that is no phrase; it lasts to the end of the text. */
const COMMAND =
  /(?:^|[:;(] ?)(?=(?:kubectl|systemctl|journalctl|ctr|crictl|podman|docker|openssl|gdb|mkdir|apt|dnf|sysctl|modprobe|echo) )/;

/**
 * A phrase with its lines broken between words, so that none is wider than `width`: commands to paste stay whole, a number stays with its
 * unit, and a word that is too long has a line of its own.
 */
export function laidOut(phrase: Phrase, width: number, paint: (text: string, style: Style) => string, hang = HANG): string {
  const runs = [...runsOf(phrase, [], false)];
  const mask = held(runs.map(({ text, whole }) => (whole ? text.replaceAll(" ", SOLID) : text)).join(""));
  return painted(runs, [...breaksOf(mask, width, (leading) => phrase.hang ?? leading + hang)], paint);
}

function* runsOf(phrase: Phrase, outer: readonly Style[], inWhole: boolean): Generator<Run> {
  const styles = phrase.style === undefined ? outer : [phrase.style, ...outer];
  const whole = inWhole || phrase.whole === true;
  for (const [index, literal] of phrase.literals.entries()) {
    yield* breakable(literal, styles, whole);
    if (index >= phrase.values.length) continue;
    const value: PhraseValue = phrase.values[index] ?? "";
    if (typeof value !== "object") yield* breakable(escapeText(String(value)), styles, whole);
    else if ("word" in value) yield { text: escapeText(shellWord(value.word)), styles, whole: true };
    else yield* runsOf(value, styles, whole);
  }
}

function* breakable(text: string, styles: readonly Style[], whole: boolean): Generator<Run> {
  const { index, 0: before = "" } = (whole ? null : COMMAND.exec(text)) ?? {};
  const start = index === undefined ? text.length : index + before.length;
  yield { text: text.slice(0, start), styles, whole };
  yield { text: text.slice(start), styles, whole: true };
}

/** Stands for a space at which no line ends. */
const SOLID = "\u00a0";

/** "4 KiB pages", "3 archives", "1 of 3" stay together. */
function held(text: string): string {
  return text
    .replaceAll(/(?<![^\s(])(\d[\d.]*) (?=\p{L})/gu, `$1${SOLID}`)
    .replaceAll(/(\d\u00a0(?:[KMGTP]i)?B) (?=\p{L})/gu, `$1${SOLID}`)
    .replaceAll(/[ \u00a0]of (?=\d)/g, `${SOLID}of${SOLID}`);
}

function* breaksOf(mask: string, width: number, hangOf: (leading: number) => number): Generator<Break> {
  if (width < LEAST) return;
  for (let start = 0; start <= mask.length;) {
    const newline = mask.indexOf("\n", start);
    const end = newline < 0 ? mask.length : newline;
    const leading = /^[ \u00a0]*/.exec(mask.slice(start, end))?.[0].length ?? 0;
    const hang = hangOf(leading);
    const indent = Math.min(hang, width - LEAST);
    let [from, first, room] = [start, start + Math.max(leading, hang), width];
    while (end - from > room) {
      const before = mask.lastIndexOf(" ", from + room);
      const at = before > first ? before : mask.indexOf(" ", from + room);
      if (at < 0 || at >= end) break;
      let [left, right] = [at, at + 1];
      while (left > from && mask[left - 1] === " ") left -= 1;
      while (right < end && mask[right] === " ") right += 1;
      if (right === end) break;
      yield { from: left, to: right, indent };
      [from, first, room] = [right, right, width - indent];
    }
    start = end + 1;
  }
}

function painted(runs: readonly Run[], breaks: readonly Break[], paint: (text: string, style: Style) => string): string {
  let [at, next, shown] = [0, 0, ""];
  for (const { text, styles } of runs) {
    const end = at + text.length;
    let piece = "";
    for (let from = at; from < end;) {
      const here = breaks[next];
      if (here === undefined || here.from >= end) {
        piece += text.slice(from - at);
        break;
      }
      piece += text.slice(from - at, Math.max(from, here.from) - at);
      // The spaces of a break may belong to two runs: the line ends in the first of them.
      if (here.from >= at) piece += `\n${" ".repeat(here.indent)}`;
      from = Math.min(end, here.to);
      if (here.to <= end) next += 1;
    }
    shown += piece === "" ? "" : styles.reduce((text_, style) => paint(text_, style), piece);
    at = end;
  }
  return shown;
}
