import xterm from "@xterm/headless";

const [CHAR, LINE, PADDING] = [8.4, 18, 12];
/** The eight colours of a terminal, on a dark ground. */
const COLOURS = ["#3b4048", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#dcdfe4"];

/** What a terminal shows after these bytes, as a picture: one text element a line, every character of the output escaped. */
export async function drawn(raw: string, columns: number): Promise<string> {
  const term = new xterm.Terminal({ cols: columns, rows: 100, allowProposedApi: true });
  await new Promise<void>((done) => term.write(raw, done));
  const buffer = term.buffer.active;
  const lines = Array.from({ length: term.rows }, (_, row) => line(buffer.getLine(buffer.baseY + row), columns));
  const shown = lines.slice(0, lines.findLastIndex((one) => one !== "") + 1);
  const [width, height] = [Math.ceil(columns * CHAR) + 2 * PADDING, shown.length * LINE + 2 * PADDING];
  const texts = shown.map((text, row) => `<text x="${PADDING}" y="${PADDING + 13 + row * LINE}" xml:space="preserve">${text}</text>`);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    `<rect width="100%" height="100%" rx="6" fill="#1e2127"/>`,
    `<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14" fill="#dcdfe4">`,
    ...texts,
    "</g></svg>",
    "",
  ].join("\n");
}

type Line = ReturnType<xterm.Terminal["buffer"]["active"]["getLine"]>;

/** Runs of one style, each as wide as its cells: fonts differ. */
function line(row: Line, columns: number): string {
  const runs: { style: string; text: string; at: number }[] = [];
  for (let at = 0; at < columns; at += 1) {
    const cell = row?.getCell(at);
    if (cell === undefined || cell.getWidth() === 0) continue;
    const colour = cell.isFgPalette() ? ` fill="${COLOURS[cell.getFgColor() % COLOURS.length]}"` : "";
    const style = `${colour}${cell.isBold() ? ' font-weight="bold"' : ""}${cell.isDim() ? ' opacity="0.6"' : ""}`;
    const last = runs.at(-1);
    if (last?.style === style) last.text += cell.getChars() || " ";
    else runs.push({ style, text: cell.getChars() || " ", at });
  }
  const end = runs.at(-1);
  if (end !== undefined) end.text = end.text.trimEnd();
  return runs
    .filter(({ text }) => text !== "")
    .map(({ style, text, at }) => {
      const width = `x="${(PADDING + at * CHAR).toFixed(1)}" textLength="${(Array.from(text).length * CHAR).toFixed(1)}"`;
      return `<tspan ${width}${style}>${escaped(text)}</tspan>`;
    })
    .join("");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
