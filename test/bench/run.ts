// npm run bench NAME [ARGUMENTS]: runs the program test/bench/NAME.ts; without a name, lists them.
import { readdirSync, existsSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const [name = "", ...rest] = process.argv.slice(2);
const program = join(import.meta.dirname, `${name}.ts`);
if (name === "" || !existsSync(program)) {
  const names = readdirSync(import.meta.dirname).filter((file) => file.endsWith(".ts") && file !== "run.ts" && file !== "measure.ts");
  process.stderr.write(`npm run bench NAME, where NAME is one of: ${names.map((file) => file.slice(0, -3)).join(", ")}\n`);
  process.exitCode = 2;
} else {
  process.exitCode = spawnSync(process.execPath, [program, ...rest], { stdio: "inherit" }).status ?? 1;
}
