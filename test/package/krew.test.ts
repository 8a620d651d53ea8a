// What a release gives to krew, taken by krew itself and by the validator that its index runs: installed, run, upgraded, uninstalled.
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { createReadStream, existsSync, readdirSync } from "node:fs";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer as createProxy } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { basename, join } from "node:path";
import { before, describe, test } from "node:test";
import { createHash } from "node:crypto";
import { archiveName, PLATFORMS } from "../../.ci/package/platforms.ts";
import { makeCertificates } from "../certificates.ts";
import { tool } from "../tools/tool.ts";
import { KUBECTL } from "./krew-root.ts";
import { BUILT, makePackages, ROOT, temporaryFolder, VERSION } from "./packaged.ts";

const krew = tool("krew");
const validator = tool("validate-krew-manifest");
const skip = krew.missing || validator.missing || (process.platform !== "linux" && "the archive that is built here is for Linux");

const OLD = "0.0.9";
const [linux] = PLATFORMS;
const ARCHIVE = archiveName(linux, VERSION);

const work = await temporaryFolder();
const packages = join(work, "packages");
const index = join(work, "index");
const krewRoot = join(work, "krew");

describe("krew", { skip }, () => {
  let env: NodeJS.ProcessEnv = {};
  let downloads: string[] = [];

  /** Standard output and error of `kubectl ARGS`. Throws where it fails. */
  const kubectl = async (...args: string[]): Promise<string> => await run("kubectl", args, env);

  /** Publishes a manifest in the index that krew clones. */
  const publish = async (manifest: string): Promise<void> => {
    await writeFile(join(index, "plugins/checkpoint.yaml"), manifest);
    execFileSync("git", ["-C", index, "add", "."]);
    const author = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
    execFileSync("git", ["-C", index, ...author, "commit", "--quiet", "-m", "checkpoint"]);
  };

  before(async () => {
    makePackages(ROOT, packages, BUILT);
    const bin = await programs(join(work, "bin"), await github(packages, join(work, "github"), (path) => downloads.push(basename(path))));
    await mkdir(join(index, "plugins"), { recursive: true });
    execFileSync("git", ["init", "--quiet", "--initial-branch=master", index]);
    env = {
      PATH: `${join(krewRoot, "bin")}:${bin}:${process.env["PATH"]}`,
      HOME: work,
      KREW_ROOT: krewRoot,
      KREW_DEFAULT_INDEX_URI: `file://${index}`,
      KREW_NO_UPGRADE_CHECK: "1",
    };
    await publish(await older(await readFile(join(packages, "plugin.yaml"), "utf8"), packages));
    // Without an index krew does nothing but install.
    await kubectl("krew", "update");
  });

  const installed = async (): Promise<unknown> => JSON.parse(await kubectl("checkpoint", "version", "-o", "json"));

  const assertNothingLeft = (): void => {
    assert.deepEqual(readdirSync(join(krewRoot, "bin")), []);
    assert.deepEqual(readdirSync(join(krewRoot, "store")), []);
    assert.deepEqual(readdirSync(join(krewRoot, "receipts")), []);
  };

  test("the validator of krew's index accepts the manifest, and installs what has been built", async () => {
    const manifest = join(work, "checkpoint.yaml");
    await copyFile(join(packages, "plugin.yaml"), manifest);
    const all = BUILT.length === PLATFORMS.length;
    const said = await run(validator.path ?? "", ["-manifest", manifest, ...(all ? [] : ["-skip-install"])], env);
    assert.match(said, /structural validation OK[^]*no overlapping spec\.platform/);
    if (all) assert.match(said, /all 5 spec\.platforms installed fine/);
  });

  test("offline, from the manifest and the archive: installed, run, uninstalled", async () => {
    const said = await kubectl("krew", "install", `--manifest=${join(packages, "plugin.yaml")}`, `--archive=${join(packages, ARCHIVE)}`);
    assert.match(said, /Installed plugin: checkpoint\n[^]*Caveats:[^]*kubectl checkpoint doctor/);
    assert.deepEqual(await installed(), { version: `v${VERSION}`, node: process.versions.node, platform: "linux-x64" });
    assert.match(await kubectl("checkpoint", "--help"), /Usage:\n {2}kubectl checkpoint/);
    assert.match(await kubectl("krew", "uninstall", "checkpoint"), /Uninstalled plugin: checkpoint/);
    assertNothingLeft();
    assert.deepEqual(downloads, []);
  });

  test("from an index, by the addresses of the manifest: an older version is upgraded to this one", async () => {
    downloads = [];
    await kubectl("krew", "install", "checkpoint");
    assert.equal(await kubectl("checkpoint"), "an older version\n");

    await publish(await readFile(join(packages, "plugin.yaml"), "utf8"));
    assert.match(await kubectl("krew", "upgrade", "checkpoint"), /Upgraded plugin: checkpoint/);
    assert.deepEqual(await installed(), { version: `v${VERSION}`, node: process.versions.node, platform: "linux-x64" });
    assert.deepEqual(downloads, [archiveName(linux, OLD), ARCHIVE]);
    assert.deepEqual(readdirSync(join(krewRoot, "store/checkpoint")), [`v${VERSION}`], "the older one is gone");

    await kubectl("krew", "uninstall", "checkpoint");
    assertNothingLeft();
  });
});

/** Runs a program without standard input; what it prints. */
async function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  return await new Promise((resolve, reject) => {
    const child = execFile(command, args, { env, encoding: "utf8" }, (error, stdout, stderr) =>
      error === null ? resolve(stdout + stderr) : reject(new Error(`${error.message}\n${stdout}${stderr}`)),
    );
    child.stdin?.end();
  });
}

/** github.com as krew is made to see it: a proxy for HTTPS that answers itself, with a release's files. What krew needs to trust it. */
async function github(release: string, folder: string, asked: (path: string) => void): Promise<{ proxy: string; authority: string }> {
  await mkdir(folder);
  const { cert, key } = makeCertificates(folder, "DNS:github.com");
  const site = createHttpsServer({ cert, key }, (request, response) => {
    const path = request.url ?? "";
    asked(path);
    const file = join(release, basename(path));
    const isThere = /^\/kubectl-checkpoint\/kubectl-checkpoint\/releases\/download\/v[\d.]+\/[^/]+$/.test(path) && existsSync(file);
    if (isThere) createReadStream(file).pipe(response);
    else response.writeHead(404).end();
  });
  const proxy = createProxy();
  proxy.on("connect", ({ url }, socket) => {
    if (url !== "github.com:443") {
      socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
      return;
    }
    socket.write("HTTP/1.1 200 OK\r\n\r\n");
    site.emit("connection", socket);
  });
  await new Promise<void>((done) => proxy.listen(0, "127.0.0.1", done));
  proxy.unref();
  return { proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, authority: join(folder, "ca.crt") };
}

/** A folder with kubectl and krew. The validator hands its environment on to neither: krew's proxy is set in a script. */
async function programs(folder: string, { proxy, authority }: { proxy: string; authority: string }): Promise<string> {
  await mkdir(folder);
  const script = async (name: string, text: string): Promise<void> => await writeFile(join(folder, name), text, { mode: 0o755 });
  await script("kubectl-krew", `#!/bin/sh\nHTTPS_PROXY=${proxy} SSL_CERT_FILE=${authority} exec ${krew.path ?? ""} "$@"\n`);
  const real = KUBECTL.find(existsSync);
  if (real !== undefined) await copyFile(real, join(folder, "kubectl"));
  // What kubectl does with the name of a plugin.
  else await script("kubectl", '#!/bin/sh\nplugin=$1\nshift\nexec "kubectl-$plugin" "$@"\n');
  return folder;
}

/** The manifest of a version before this one, whose archive for this machine is made in the folder: a script. */
async function older(manifest: string, folder: string): Promise<string> {
  const archive = archiveName(linux, OLD);
  const content = join(folder, "older");
  await mkdir(content);
  await writeFile(join(content, "kubectl-checkpoint"), "#!/bin/sh\necho an older version\n", { mode: 0o755 });
  execFileSync("tar", ["-czf", join(folder, archive), "-C", content, "kubectl-checkpoint"]);
  const sum = createHash("sha256")
    .update(await readFile(join(folder, archive)))
    .digest("hex");
  const text = manifest.replaceAll(`v${VERSION}`, `v${OLD}`);
  return text.replace(new RegExp(`(/${archive.replaceAll(".", "\\.")}\\n\\s+sha256: )"[0-9a-f]{64}"`), `$1"${sum}"`);
}
