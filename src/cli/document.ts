import type { ScalarStyleRule } from "js-yaml";
import { escapeJson, isSafe } from "./escape.ts";

/**
 * A document as JSON, as JSON.stringify prints it with two spaces, in pieces: of its lists each item is one, so that a
 * long list is never held twice. What is nested very deep stands on one line: else a deep tree of processes were mostly spaces.
 */
export function* jsonPieces(document: object): Generator<string> {
  let before = "{\n";
  for (const { part, first, last } of parts(document)) {
    const text = isDeep(part, DEEPEST) ? indented(part, 0) : JSON.stringify(part, undefined, 2);
    const start = first ? "{\n".length : text.indexOf("[\n") + "[\n".length;
    const end = last ? "\n}".length : "\n  ]\n}".length;
    yield before + escapeJson(text.slice(start, -end));
    before = ",\n";
  }
  yield before === "{\n" ? "{}\n" : "\n}\n";
}

/** Levels that are indented. */
const DEEPEST = 40;

function isDeep(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((inside) => isDeep(inside, levels - 1));
}

/** As JSON.stringify, but for what is on one line. */
function indented(value: unknown, level: number): string {
  if (typeof value !== "object" || value === null || level === DEEPEST) return JSON.stringify(value) ?? "null";
  const isList = Array.isArray(value);
  const parts = Object.entries(value as Readonly<Record<string, unknown>>).flatMap(([key, inside]) =>
    inside === undefined && !isList ? [] : `${isList ? "" : `${JSON.stringify(key)}: `}${indented(inside, level + 1)}`,
  );
  const [open, close] = isList ? "[]" : "{}";
  const margin = "  ".repeat(level);
  return parts.length === 0 ? `${open}${close}` : `${open}\n${margin}  ${parts.join(`,\n${margin}  `)}\n${margin}${close}`;
}

/** The same as YAML, which parses to the same values: a string that holds what a terminal obeys is quoted and escaped. */
export async function* yamlPieces(document: object): AsyncGenerator<string> {
  const { DEFAULT_SCALAR_STYLE_RULES, SCALAR_STYLE, dump } = await import("js-yaml");
  const quoteUnsafe: ScalarStyleRule = (layout) => {
    if (!isSafe(layout.node.value)) layout.style = SCALAR_STYLE.DOUBLE_QUOTED;
  };
  const scalarStyleRules = [quoteUnsafe, ...Object.values(DEFAULT_SCALAR_STYLE_RULES)];
  let empty = true;
  for (const { part, first } of parts(document)) {
    // A plain copy: YAML has no business with undefined, dates or classes.
    const text = dump(JSON.parse(JSON.stringify(part)), {
      lineWidth: -1,
      noRefs: true,
      scalarStyleRules,
      ...(isDeep(part, DEEPEST) ? { flowLevel: DEEPEST } : {}),
    });
    yield escapeJson(first ? text : text.slice(text.indexOf("\n") + 1));
    empty = false;
  }
  if (empty) yield "{}\n";
}

/** The document entry by entry, and lists in it item by item; `first` and `last` mark the ends of a list. */
function* parts(document: object): Generator<{ part: object; first: boolean; last: boolean }> {
  for (const [key, value] of Object.entries(document) as [string, unknown][]) {
    if (value === undefined) continue;
    const items = Array.isArray(value) && value.length > 0 ? (value as unknown[]) : undefined;
    if (items === undefined) yield { part: { [key]: value }, first: true, last: true };
    else
      for (const [index, item] of items.entries()) yield { part: { [key]: [item] }, first: index === 0, last: index === items.length - 1 };
  }
}
