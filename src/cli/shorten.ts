/** "checkpoint-counter-7d9f" in 12: "checkp…-7d9f". The ends of a name distinguish it better than its middle. */
export function shortened(text: string, width: number): string {
  if (text.length <= width) return text;
  const head = Math.ceil((width - 1) / 2);
  return `${start(text, head)}…${end(text, width - 1 - head)}`;
}

/** The start of a text, and "…" where that is not all. */
export function cut(text: string, width: number): string {
  return text.length <= width ? text : `${start(text, width - 1)}…`;
}

// What is written as two units is not cut between them.
function start(text: string, length: number): string {
  const last = Math.max(0, length);
  return text.slice(0, isSecondHalf(text, last) ? last - 1 : last);
}

function end(text: string, length: number): string {
  const first = text.length - Math.max(0, length);
  return text.slice(isSecondHalf(text, first) ? first + 1 : first);
}

function isSecondHalf(text: string, at: number): boolean {
  return /[\udc00-\udfff]/.test(text[at] ?? "") && /[\ud800-\udbff]/.test(text[at - 1] ?? "");
}
