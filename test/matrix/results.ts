// What was found, kept in results.json, and the words of the documentation that are made from it.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { ROWS, type Column } from "./rows.ts";

/** Of one Kubernetes version. */
export interface Tried {
  readonly kubernetes: string;
  readonly kernel: string;
  readonly architecture: string;
  readonly rows: readonly TriedRow[];
}

export interface TriedRow {
  readonly spec: string;
  /** "2026-11-30": its last run. */
  readonly date: string;
  /** As the node says it: "containerd://2.2.9". */
  readonly runtime: string;
  /** "runc 1.3.6". */
  readonly oci: string;
  readonly criu: string;
  readonly cells: Partial<Readonly<Record<Column, TriedCell>>>;
}

export interface TriedCell {
  readonly outcome: "works" | "explained" | "fails";
  /** Of what was explained: each error with its fix, without the runtime's own words. */
  readonly said?: readonly string[];
}

const ROOT = resolve(import.meta.dirname, "../..");
const FILE = join(import.meta.dirname, "results.json");

export const COLUMNS: readonly Column[] = [
  "doctor",
  "doctor --deep",
  "checkpoint",
  "copy",
  "remove",
  "ls",
  "prune",
  "explain",
  "show to extract",
  "image",
  "base image absent",
  "restore",
  "isolated",
  "move",
  "without CRIU",
  "CRIU too old",
  "switched off",
];

export function readResults(): readonly Tried[] {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, "utf8")) as Tried[]) : [];
}

/** The results with these rows in the place of earlier ones, in the order of rows.ts. */
export function merged(results: readonly Tried[], tried: Tried): readonly Tried[] {
  const before = results.find(({ kubernetes }) => kubernetes === tried.kubernetes)?.rows ?? [];
  const rows = ROWS.flatMap(({ spec }) => [tried.rows, before].map((some) => some.find((row) => row.spec === spec)).find(Boolean) ?? []);
  const others = results.filter(({ kubernetes }) => kubernetes !== tried.kubernetes);
  return [...others, { ...tried, rows }].toSorted((one, other) => one.kubernetes.localeCompare(other.kubernetes));
}

export function writeResults(results: readonly Tried[]): void {
  writeFileSync(FILE, `${JSON.stringify(results, undefined, 1)}\n`);
}

/** Of what a command said: its errors, failed checks and fixes, without the runtime's own words. Nodes have the names of the documentation. */
export function essence(said: string, source: string, target: string): string {
  let kept = false;
  const lines = said.replaceAll(source, "node1").replaceAll(target, "node2").split("\n");
  return lines
    .filter((line) => {
      if (/^(error: | {2}fix: |fail |fix )/.test(line)) kept = true;
      else if (!/^ {2,}(?!why: )\S/.test(line)) kept = false;
      return kept;
    })
    .join("\n");
}

const WORDS = { works: "works", explained: "explained", fails: "**fails**" } as const;

/** A Markdown table: what was tried down, the runtimes across. */
export function table({ rows }: Tried): string {
  const titles = rows.map(({ spec }) => ROWS.find((row) => row.spec === spec)?.title ?? spec);
  const lines = COLUMNS.map((column) => [
    column,
    ...rows.map(({ cells }) => {
      const cell = cells[column];
      return cell === undefined ? "" : WORDS[cell.outcome];
    }),
  ]);
  return markdown([["", ...titles], ...lines]);
}

/** What each kind of node was made of, exactly. */
export function versions({ rows }: Tried): string {
  const lines = rows.map(({ spec, date, runtime, oci, criu }) => [
    `\`${spec}\``,
    runtime.replace("://", " ").replace("cri-o", "CRI-O"),
    oci,
    criu,
    date,
  ]);
  return markdown([["`cluster up --node NAME=`", "runtime", "OCI runtime", "CRIU", "last run"], ...lines]);
}

/** What was explained on a runtime, each once. */
export function explanations({ rows }: Tried): string {
  return rows
    .flatMap(({ spec, cells }) => {
      const said = COLUMNS.flatMap((column) => (cells[column]?.said ?? []).map((words) => ({ column, words })));
      if (said.length === 0) return [];
      const columns = (words: string) => [...new Set(said.filter((one) => one.words === words).map(({ column }) => column))].join(", ");
      const each = [...new Set(said.map(({ words }) => words))].map((words) => `${columns(words)}:\n\n\`\`\`\n${words}\n\`\`\`\n`);
      return [`### ${ROWS.find((row) => row.spec === spec)?.title ?? spec}\n`, ...each];
    })
    .join("\n");
}

/** README's line of what was tried. */
export function triedOn(results: readonly Tried[]): string {
  const all = <T>(values: (tried: Tried) => readonly T[]) => [...new Set(results.flatMap(values))];
  const runtimes = all(({ rows }) => rows.map(({ runtime }) => runtime));
  const named = (name: string) =>
    runtimes.filter((runtime) => runtime.startsWith(`${name}://`)).map((runtime) => runtime.split("://")[1] ?? "");
  const [first] = results;
  return [
    `Kubernetes ${listed(all(({ kubernetes }) => [kubernetes]))}`,
    `with containerd ${listed(named("containerd"))} and CRI-O ${listed(named("cri-o"))},`,
    `${listed(all(({ rows }) => rows.map(({ oci }) => oci)))},`,
    `CRIU ${listed(all(({ rows }) => rows.map(({ criu }) => criu)))}, on ${first?.architecture} with Linux ${first?.kernel}`,
  ].join(" ");
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

function markdown(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, index) => Math.max(3, ...lines.map((line) => line[index]?.length ?? 0)));
  const row = (cells: readonly string[]) => `| ${widths.map((width, index) => (cells[index] ?? "").padEnd(width)).join(" | ")} |`;
  const [head = [], ...body] = lines;
  return [row(head), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...body.map(row)].join("\n");
}

/** The documents that have parts made from the results, each with all of them as they should be. */
export function documents(results: readonly Tried[]): { path: string; is: string; shouldBe: string }[] {
  const [first] = results;
  if (first === undefined) return [];
  return [
    { path: "README.md", parts: { "tried-on": ` ${triedOn(results)} ` } },
    {
      path: "docs/runtimes.md",
      parts: {
        table: block(table(first)),
        others: block(
          results
            .slice(1)
            .map((other) => compared(other, first))
            .join("\n\n"),
        ),
        versions: block(versions(first)),
        explanations: block(explanations(first)),
      },
    },
  ].map(({ path, parts }) => {
    const is = readFileSync(join(ROOT, path), "utf8");
    let shouldBe = is;
    for (const [name, text] of Object.entries(parts)) {
      const mark = new RegExp(`(<!-- matrix: ${name} -->)[^]*?(<!-- end -->)`);
      if (!mark.test(shouldBe)) throw new Error(`${path} has no part ${name}`);
      shouldBe = shouldBe.replace(mark, (_, begin: string, end: string) => `${begin}${text}${end}`);
    }
    return { path: join(ROOT, path), is, shouldBe };
  });
}

/** As the formatter has it. */
function block(text: string): string {
  return text.trim() === "" ? "\n\n" : `\n\n${text.trim()}\n\n`;
}

function compared(tried: Tried, first: Tried): string {
  const different = tried.rows.flatMap(({ spec, cells }) => {
    const same = first.rows.find((row) => row.spec === spec);
    return COLUMNS.filter((column) => cells[column]?.outcome !== same?.cells[column]?.outcome).map((column) => `${spec}: ${column}`);
  });
  const rows = listed(tried.rows.map(({ spec }) => `\`${spec}\``));
  return `Kubernetes ${tried.kubernetes}, tried with ${rows}: ${different.length === 0 ? "the same" : `different in ${different.join("; ")}`}.`;
}
