import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT, temporaryFolder, VERSION } from "./packaged.ts";

const folder = await temporaryFolder();

test("npm install -g of what npm would publish: the command, nothing else to fetch, the manual page", () => {
  const npm = (...args: string[]): string =>
    execFileSync("npm", args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  // `prepack` builds it.
  const [packed] = JSON.parse(npm("pack", "--json", "--silent", "--pack-destination", folder)) as [
    { filename: string; files: { path: string }[] },
  ];
  const others = packed.files.map(({ path }) => path).filter((path) => !path.startsWith("dist/npm/"));
  assert.deepEqual(others.sort(), ["LICENSE", "README.md", "package.json"]);

  npm("install", "--global", "--offline", "--prefix", folder, join(folder, packed.filename));
  assert.deepEqual(readdirSync(join(folder, "lib/node_modules")), ["kubectl-checkpoint"]);
  const env = { PATH: `${join(process.execPath, "..")}:/usr/bin:/bin` };
  const version = execFileSync(join(folder, "bin/kubectl-checkpoint"), ["version", "-o", "json"], { encoding: "utf8", env });
  assert.equal((JSON.parse(version) as { version: string }).version, `v${VERSION}`);
  assert.deepEqual(readdirSync(join(folder, "share/man/man1")), ["kubectl-checkpoint.1"]);
});
