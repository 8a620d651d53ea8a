// npm run matrix [-- SPEC…]: tries the runtimes on the cluster CLUSTER_NUMBER (which has to be up), and prints what it finds.
import { ROWS } from "./rows.ts";
import { runRow } from "./run-row.ts";

const wanted = process.argv.slice(2);
for (const row of ROWS) {
  if (wanted.length > 0 && !wanted.includes(row.spec)) continue;
  process.stdout.write(`== ${row.title} (${row.spec})\n`);
  for await (const { column, outcome, said, seconds } of runRow(row)) {
    process.stdout.write(`${outcome.padEnd(10)}${column.padEnd(16)} ${seconds.toFixed(1)} s\n`);
    for (const words of said) process.stdout.write(`${words.replaceAll(/^/gm, "      | ")}\n`);
  }
}
