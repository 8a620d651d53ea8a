import { createHash } from "node:crypto";

/** The page's only style: attributes of style are forbidden by its policy. */
export const STYLE = `
:root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --dim: #57606a; --line: #d0d7de; --soft: #f6f8fa; --high: #b42318; --medium: #8a5a00; --note: #57606a;
  --heap: #2f81f7; --stack: #bf5af2; --file: #6e7781; --anonymous: #2da44e; --shared: #d4a72c; --other: #c8d1da; --alarm: #d1242f; }
@media (prefers-color-scheme: dark) { :root { --back: #0d1117; --text: #e6edf3; --dim: #9198a1; --line: #30363d; --soft: #161b22; --high: #ff7b72; --medium: #e3b341; --note: #9198a1;
  --file: #6e7681; --other: #484f58; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 90rem; padding: 1rem; background: var(--back); color: var(--text); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.6em; margin: .2rem 0; overflow-wrap: anywhere; }
svg { max-width: 100%; } h2 { display: inline; font-size: 1.15em; margin: 0; }
code, pre, .tree td:nth-child(2) { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .85em; }
a { color: inherit; }
:focus-visible { outline: 2px solid var(--heap); outline-offset: 2px; }
.skip { position: absolute; left: -99rem; } .skip:focus { position: static; }
.holds { border-left: .3rem solid var(--high); padding: .4rem .8rem; background: var(--soft); }
.dim, caption { color: var(--dim); text-align: left; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1rem; margin: .8rem 0; }
.tools { position: sticky; top: 0; display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; padding: .5rem 0; background: var(--back); z-index: 1; }
.tools[hidden] { display: none; }
input, button { font: inherit; color: inherit; background: var(--soft); border: 1px solid var(--line); border-radius: .3rem; padding: .25rem .6rem; }
input { flex: 1 1 12rem; min-width: 8rem; }
details { border-top: 1px solid var(--line); padding: .6rem 0; scroll-margin-top: 3.2rem; }
summary { cursor: pointer; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; table-layout: fixed; width: 100%; min-width: 77rem; margin: 0; }
col.tiny { width: 4.4rem; } col.narrow { width: 6.2rem; } col.middle { width: 9.6rem; } col.time { width: 13.4rem; } col.hash { width: 17rem; }
.piece { content-visibility: auto; contain-intrinsic-size: auto 100% auto 6000px; } .piece + .piece { border-top: 1px solid var(--dim); }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
.tree td:nth-child(2) { white-space: pre-wrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; } dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; }
.finding { border: 1px solid var(--line); border-left-width: .4rem; border-radius: .3rem; padding: .4rem .8rem; margin: .5rem 0; overflow-wrap: anywhere; }
.finding p { margin: .15rem 0; } .finding code { display: block; white-space: pre-wrap; color: var(--dim); }
.high { border-left-color: var(--high); } .medium { border-left-color: var(--medium); } .note { border-left-color: var(--note); }
.high b { color: var(--high); } .medium b { color: var(--medium); } .note b { color: var(--note); }
.wrong { color: var(--high); }
svg { display: block; width: 100%; height: auto; margin: .15rem 0 .6rem; }
rect { stroke: var(--back); stroke-width: .5; }
rect.heap, i.heap { fill: var(--heap); background: var(--heap); } rect.stack, i.stack { fill: var(--stack); background: var(--stack); }
rect.file, i.file { fill: var(--file); background: var(--file); } rect.anonymous, i.anonymous { fill: var(--anonymous); background: var(--anonymous); }
rect.shared, i.shared { fill: var(--shared); background: var(--shared); } rect.other, i.other { fill: var(--other); background: var(--other); }
rect.alarm, i.alarm { fill: var(--alarm); background: var(--alarm); }
i { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 0; } .key { display: inline-block; margin-right: .9em; }
[hidden], #count:empty { display: none; }
@media (max-width: 40rem) { input { flex-basis: 100%; } details { scroll-margin-top: 6rem; } dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } }
@media print { .tools, nav, .skip { display: none; } body { max-width: none; padding: 0; font-size: 10px; } .finding, tr, svg { break-inside: avoid; } .wide { overflow: visible; } .piece { content-visibility: visible; } table { min-width: 0; }
  col.tiny { width: 3.2rem; } col.narrow { width: 4.6rem; } col.middle { width: 6.6rem; } col.time { width: 9rem; } col.hash { width: 11.5rem; }
  @page { size: A4 landscape; margin: 12mm; } }
`;

/** Filters rows and folds sections; all can be read without it. */
export const SCRIPT = `
"use strict";
(() => {
  const field = document.getElementById("filter");
  const count = document.getElementById("count");
  const sections = [...document.querySelectorAll("details")];
  let rows;
  const filter = () => {
    rows ??= [...document.querySelectorAll("[data-row]")].map((row) => [row, row.textContent.toLowerCase()]);
    const words = field.value.toLowerCase().split(/\\s+/).filter((word) => word !== "");
    let shown = 0;
    for (const [row, text] of rows) {
      const fits = words.every((word) => text.includes(word));
      if (row.hidden === fits) row.hidden = !fits;
      if (fits) shown += 1;
    }
    count.textContent = words.length === 0 ? "" : shown + " of " + rows.length + " rows";
  };
  let waiting;
  field.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 120); });
  document.getElementById("fold").addEventListener("click", () => { for (const one of sections) one.open = false; });
  document.getElementById("unfold").addEventListener("click", () => { for (const one of sections) one.open = true; });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && event.target !== field) { event.preventDefault(); field.focus(); }
    if (event.key === "Escape" && event.target === field) { field.value = ""; filter(); }
  });
  window.addEventListener("beforeprint", () => { for (const one of sections) one.open = true; });
  for (const link of document.querySelectorAll("nav a"))
    link.addEventListener("click", () => { const section = document.getElementById(link.hash.slice(1)); if (section) section.open = true; });
  document.querySelector(".tools").hidden = false;
})();
`;

/** Nothing is loaded, sent or run but this style and this script. */
export function policy(): string {
  const hash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  return `default-src 'none'; style-src ${hash(STYLE)}; script-src ${hash(SCRIPT)}; base-uri 'none'; form-action 'none'`;
}
