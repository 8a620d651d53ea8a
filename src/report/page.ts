import type { FindingItem, Report, Severity } from "../model/findings.ts";
import type { ChangeItem, Inspection, ProcessItem } from "../model/inspection.ts";
import { counted, formatBytes } from "../model/units.ts";
import { policy, SCRIPT, STYLE } from "./assets.ts";
import { markup, Html, type HtmlValue } from "./html.ts";
import { memoryMaps } from "./memory-map.ts";

export interface PageInput {
  readonly report: Report;
  readonly inspection: Inspection;
  readonly changes: readonly ChangeItem[];
  /** Whether they are masked. */
  readonly showsSecrets: boolean;
  /** Of this plugin. */
  readonly version: string;
  /** When it is written, RFC 3339. */
  readonly now: string;
}

/** Rows of a table: a page that a browser opens in a moment. The documents have all. */
const MOST_ROWS = 20_000;
const AT_ONCE = 200;
/** Levels of the process tree that are indented. */
const DEEPEST = 30;

/** A report as one page that needs nothing else, in pieces. All of an archive in it is escaped. */
export function* page(input: PageInput): Generator<string> {
  for (const piece of pieces(input)) yield piece.text;
}

function* pieces(input: PageInput): Generator<Html> {
  const { report, inspection, changes, showsSecrets, version, now } = input;
  const { container, evidence } = report;
  const name = [container.namespace, container.pod, container.name].filter((part) => part !== undefined).join("/") || evidence.path;
  const processes = [...flat(inspection.processes, 0)];
  yield markup`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${new Html(policy())}" />
        <meta name="referrer" content="no-referrer" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>Report on ${name}</title>
        ${new Html(`<style>${STYLE}</style>`)}
      </head>
      <body>
        <a class="skip" href="#findings">Skip to the findings</a>
        <header>
          <h1>${name}</h1>
          <p class="dim">Written by kubectl checkpoint ${version} at ${now}</p>
          <p class="holds">
            <strong>This page holds parts of a memory dump</strong>: arguments, paths, addresses, log lines. Passwords, tokens and keys are
            ${showsSecrets ? "not masked" : "masked where their name or form tells them; others may remain"}. Treat it as a secret. It loads
            and sends nothing.
          </p>
        </header>
        <nav aria-label="Sections">${SECTIONS.map(([id, title]) => markup`<a href="#${id}">${title}</a> `)}</nav>
        <div class="tools" hidden>
          <input id="filter" type="search" placeholder="Filter rows ( / )" aria-label="Filter rows" /><span id="count" role="status"></span
          ><button id="fold" type="button">Fold all</button><button id="unfold" type="button">Unfold all</button>
        </div>
        <main>
     `;
  yield* section("summary", undefined, summary(input, processes.length));
  yield* section("findings", severities(report.findings), report.findings.map(finding));
  yield* section("evidence", undefined, evidenceParts(report));
  yield* section("processes", counted(processes.length, "process", "es"), processTable(processes));
  yield* section("sockets", undefined, socketTable(processes));
  yield* section("memory", undefined, memoryMaps(processes.map(({ item }) => item)));
  yield* section("changes", counted(changes.length, "change"), changeTable(changes));
  yield* section(
    "timeline",
    counted(report.timeline.length, "entry", "").replace(/^(?!1 )(\d+) entry$/, "$1 entries"),
    table(
      [
        ["Time (UTC)", "time"],
        ["What", "time"],
        ["Message", "rest"],
      ],
      report.timeline.map(({ time, what, message }) => [time, what, message]),
    ),
  );
  yield markup`</main>
${new Html(`<script>${SCRIPT}</script>`)}
</body>
</html>
`;
}

const SECTIONS = [
  ["summary", "Summary"],
  ["findings", "Findings"],
  ["evidence", "Evidence"],
  ["processes", "Processes"],
  ["sockets", "Sockets"],
  ["memory", "Memory"],
  ["changes", "Changed files"],
  ["timeline", "Timeline"],
] as const;

type SectionId = (typeof SECTIONS)[number][0];

function* section(id: SectionId, note: string | undefined, content: Iterable<Html>): Generator<Html> {
  const title = SECTIONS.find(([one]) => one === id)?.[1] ?? id;
  yield markup`<details id="${id}" open>
    <summary>
      <h2>${title}</h2>
      ${note === undefined ? "" : markup` <span class="dim">${note}</span>`}
    </summary>
   `;
  yield* content;
  yield markup`</details>
`;
}

function* summary({ report, inspection }: PageInput, processes: number): Generator<Html> {
  const { container } = report;
  const { criu, stats, runtime } = inspection;
  yield list([
    ["Pod", container.pod === undefined ? undefined : `${container.namespace ?? ""}/${container.pod}`],
    ["Container", container.name],
    ["Container ID", container.containerID],
    ["Image", container.image],
    ["Image ID", container.imageID],
    ["Started", container.startedAt ?? container.createdAt],
    ["Checkpointed", container.checkpointedAt],
    [
      "Made by",
      [container.engine, runtime, criu.version && `CRIU ${criu.version}`, criu.kernel && `Linux ${criu.kernel}`].filter(Boolean).join(", "),
    ],
    ["Architecture", criu.architecture],
    ["Processes", String(processes)],
    ["Memory in the archive", formatBytes(container.memoryBytes)],
    ["Frozen for", stats === undefined ? undefined : `${stats.frozenSeconds} s`],
  ]);
  if (report.complete) return;
  yield markup`<p class="wrong">Parts of the archive could not be read:</p>
    <ul>
      ${report.problems.map((problem) => markup`<li>${problem}</li>`)}
    </ul>`;
}

function list(items: readonly (readonly [string, string | undefined])[]): Html {
  return markup`<dl>
    ${items.flatMap(([name, value]) =>
      value === undefined || value === ""
        ? []
        : [
            markup`<dt>${name}</dt>
              <dd>${value}</dd>`,
          ],
    )}
  </dl> `;
}

function severities(findings: readonly FindingItem[]): string {
  const count = (wanted: Severity): number => findings.filter(({ severity }) => severity === wanted).length;
  return `${count("high")} high, ${count("medium")} medium, ${counted(count("note"), "note")}`;
}

const CLASSES: Readonly<Record<Severity, Html>> = { high: markup`high`, medium: markup`medium`, note: markup`note` };

function finding({ id, severity, title, detail, command }: FindingItem): Html {
  return markup`<div class="finding ${CLASSES[severity]}" data-row>
    <p><b>${severity}</b> <strong>${id}</strong> ${title}</p>
    <p class="dim">${detail}</p>
    <code>${command}</code>
  </div> `;
}

function* evidenceParts({ evidence }: Report): Generator<Html> {
  yield list([
    ["File", evidence.path],
    ["Size", evidence.bytes === undefined ? undefined : `${evidence.bytes} bytes`],
    ["SHA-256", evidence.sha256],
  ]);
  yield* table(
    [
      ["Check", "narrow"],
      ["Result", "narrow"],
      ["What was found", "rest"],
    ],
    evidence.checks.map(({ check, status, message }) => [
      check,
      status === "wrong" ? markup`<span class="wrong">wrong</span>` : status,
      message,
    ]),
  );
}

interface TreeRow {
  readonly item: ProcessItem;
  readonly depth: number;
}

function* flat(processes: readonly ProcessItem[], depth: number): Generator<TreeRow> {
  for (const item of processes) {
    yield { item, depth };
    yield* flat(item.children, depth + 1);
  }
}

function* processTable(rows: readonly TreeRow[]): Generator<Html> {
  yield* table(
    [
      ["PID", "tiny"],
      ["Command", "rest"],
      ["Program", "hash"],
      ["Parent", "tiny"],
      ["User", "tiny"],
      ["Threads", "narrow"],
      ["Memory", "narrow"],
    ],
    rows.map(({ item, depth }) => [
      item.pid,
      `${"  ".repeat(Math.min(depth, DEEPEST))}${item.args === undefined || item.args.length === 0 ? `[${item.comm}]` : item.args.join(" ")}`,
      item.executable ?? "",
      item.ppid ?? "",
      item.threads[0]?.credentials?.uid.effective ?? "",
      item.threads.length,
      item.memory === undefined ? "" : formatBytes(item.memory.archivedBytes),
    ]),
    markup`tree`,
  );
}

function* socketTable(rows: readonly TreeRow[]): Generator<Html> {
  yield* table(
    [
      ["PID", "tiny"],
      ["Process", "middle"],
      ["FD", "tiny"],
      ["Protocol", "narrow"],
      ["State", "middle"],
      ["Local", "rest"],
      ["Remote", "rest"],
      ["Unread", "narrow"],
    ],
    rows.flatMap(({ item }) =>
      (item.sockets ?? []).map(({ fd, protocol, state, local, remote, receiveQueue }) => [
        item.pid,
        item.comm,
        fd,
        protocol,
        state ?? "",
        local,
        remote,
        receiveQueue === undefined ? "" : formatBytes(receiveQueue),
      ]),
    ),
  );
}

function* changeTable(changes: readonly ChangeItem[]): Generator<Html> {
  yield* table(
    [
      ["Path", "rest"],
      ["Change", "middle"],
      ["Type", "middle"],
      ["Mode", "tiny"],
      ["Owner", "tiny"],
      ["Size", "narrow"],
      ["Modified", "time"],
      ["SHA-256", "hash"],
    ],
    changes.map(
      ({ change, type, content, special, executable, setuid, setgid, mode, uid, gid, bytes, modifiedAt, path, target, sha256 }) => [
        markup`<code>${path}${target === undefined ? "" : ` → ${target}`}</code>`,
        change,
        [type === "unknown" ? "" : (content ?? special ?? type), executable && "executable", setuid && "setuid", setgid && "setgid"]
          .filter(Boolean)
          .join(", "),
        mode ?? "",
        uid === undefined ? "" : `${uid}:${gid}`,
        type === "file" ? formatBytes(bytes ?? 0) : "",
        modifiedAt?.replace(/\.\d+Z$/, "Z") ?? "",
        markup`<code>${sha256 ?? ""}</code>`,
      ],
    ),
  );
}

/** A heading, and how wide its column is: by what stands in it, or all that is left. */
type Column = readonly [heading: string, width: "tiny" | "narrow" | "middle" | "time" | "hash" | "rest"];

/** In pieces of so many rows, with columns of a fixed width: a browser lays out what is seen. */
function* table(columns: readonly Column[], rows: readonly (readonly HtmlValue[])[], kind: Html = markup`plain`): Generator<Html> {
  if (rows.length === 0) {
    yield markup`<p class="dim">none</p>`;
    return;
  }
  const names = columns.map(([heading]) => heading);
  const head = markup`<table class="${kind}"><colgroup>${columns.map(([, width]) => markup`<col class="${width}">`)}</colgroup><thead><tr>${names.map((name) => markup`<th scope="col">${name}</th>`)}</tr></thead><tbody>`;
  yield markup`<div class="wide" tabindex="0" role="region" aria-label="${names.join(", ")}">
`;
  for (let from = 0; from < Math.min(rows.length, MOST_ROWS); from += AT_ONCE) {
    yield markup`<div class="piece">${head}
`;
    for (const row of rows.slice(from, Math.min(from + AT_ONCE, MOST_ROWS)))
      yield markup`<tr data-row>${row.map((cell) => markup`<td>${cell}</td>`)}</tr>
`;
    yield markup`</tbody></table></div>`;
  }
  yield markup`</div>`;
  if (rows.length > MOST_ROWS) yield markup`<p>and ${rows.length - MOST_ROWS} more rows: -o json has them</p>`;
}
