// npm run matrix [-- SPEC…] [--write]: tries the runtimes, all or these, on nodes that it makes on the cluster CLUSTER_NUMBER (1 where
// that is not set), and prints what it finds and the table. --write keeps it: results.json, docs/runtimes.md, README.md.
import "./place.ts";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { arch } from "node:process";
import { ROWS, type Column, type Row } from "./rows.ts";
import { runRow } from "./run-row.ts";
import { documents, essence, merged, readResults, table, writeResults, type Tried, type TriedCell, type TriedRow } from "./results.ts";
import { setStage, type Stage } from "./stage.ts";
import { getJson, onNode } from "../e2e/harness.ts";
import type { V1Node } from "@kubernetes/client-node";

const words = process.argv.slice(2);
const wanted = words.filter((word) => !word.startsWith("--"));
const unknown = wanted.filter((spec) => !ROWS.some((row) => row.spec === spec));
if (unknown.length > 0) {
  process.stderr.write(`no row ${unknown.join(", ")}; there are: ${ROWS.map(({ spec }) => spec).join(" ")}\n`);
  process.exit(2);
}

const chosen = ROWS.filter(({ spec }) => wanted.length === 0 || wanted.includes(spec));
// Here, where its progress is seen: on a new machine it takes half an hour.
const runtimes = new Set(chosen.map(({ spec }) => spec.split("+")[0] ?? ""));
execFileSync(join(import.meta.dirname, "../cluster/cluster"), ["build", ...runtimes], { stdio: ["ignore", "inherit", "inherit"] });

const rows: TriedRow[] = [];
let node: V1Node | undefined;
for (const row of chosen) {
  await using stage = await setStage(row);
  process.stdout.write(`== ${row.title} (${row.spec})\n`);
  node = await getJson<V1Node>("node", stage.source);
  rows.push(await triedRow(row, stage, node));
}
const { kernelVersion = "", architecture = arch } = node?.status?.nodeInfo ?? {};
const tried: Tried = {
  kubernetes: (node?.status?.nodeInfo?.kubeletVersion ?? "").slice(1),
  kernel: /^\d+\.\d+/.exec(kernelVersion)?.[0] ?? "",
  architecture,
  rows,
};
process.stdout.write(`\n${table(tried)}\n`);
if (words.includes("--write")) {
  const results = merged(readResults(), tried);
  writeResults(results);
  for (const { path, shouldBe } of documents(results)) writeFileSync(path, shouldBe);
}
process.exitCode = rows.some(({ cells }) => Object.values(cells).some(({ outcome }) => outcome === "fails")) ? 1 : 0;

async function triedRow(row: Row, stage: Stage, { status }: V1Node): Promise<TriedRow> {
  const cells: Partial<Record<Column, TriedCell>> = {};
  for await (const { column, outcome, said, seconds } of runRow(row, stage)) {
    process.stdout.write(`${outcome.padEnd(10)}${column.padEnd(18)}${seconds.toFixed(1)} s\n`);
    if (outcome === "fails") process.stdout.write(`${said.join("\n").replaceAll(/^/gm, "      | ")}\n`);
    const essences = said.map((one) => essence(one, stage.source, stage.target));
    cells[column] = { outcome, ...(outcome === "explained" ? { said: essences } : {}) };
  }
  const oci = row.spec.includes("crun") ? "crun" : "runc";
  const version = async (program: string) => /\d+\.\d+(\.\d+)?/.exec(await onNode(stage.source, program, "--version"))?.[0] ?? "";
  return {
    spec: row.spec,
    date: new Date().toISOString().slice(0, 10),
    runtime: status?.nodeInfo?.containerRuntimeVersion.split("+")[0] ?? "",
    oci: `${oci} ${await version(oci)}`,
    criu: await version("criu"),
    cells,
  };
}
