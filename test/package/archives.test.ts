// Runs on Linux only: it unpacks and runs the archive for Linux.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, readlink, rename, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { before, describe, test } from "node:test";
import { nodeFor } from "../../.ci/package/node.ts";
import { problems } from "../../.ci/package/manifest.ts";
import { archiveName, executableName, platformName, PLATFORMS, type Platform } from "../../.ci/package/platforms.ts";
import { BUILT, makePackages, notBuilt, ROOT, temporaryFolder, unpack, VERSION, type Entry } from "./packaged.ts";
import { signatureProblems } from "./macho.ts";
import { peProblems } from "./pe.ts";
import { krewRoot, needsRoot } from "./krew-root.ts";

const folder = await temporaryFolder();
const rootFolder = await temporaryFolder();
const elsewhere = await temporaryFolder();
const unpacked = new Map<string, { directory: string; entries: Entry[] }>();

before(async () => {
  makePackages(ROOT, folder, BUILT);
  for (const platform of BUILT) unpacked.set(platformName(platform), await unpack(folder, platform));
});

function executable(name: string): string {
  const platform = PLATFORMS.find((one) => platformName(one) === name);
  const found = unpacked.get(name);
  assert.ok(platform !== undefined && found !== undefined);
  return join(found.directory, executableName(platform));
}

test("the sums and the manifest are those of the archives", async () => {
  const manifest = await readFile(join(folder, "plugin.yaml"), "utf8");
  assert.deepEqual(problems(manifest, VERSION), []);
  const sums = await readFile(join(folder, "SHA256SUMS"), "utf8");
  for (const platform of BUILT) {
    const name = archiveName(platform, VERSION);
    const sum = createHash("sha256")
      .update(await readFile(join(folder, name)))
      .digest("hex");
    assert.ok(sums.includes(`${sum}  ${name}\n`), name);
    assert.match(manifest, new RegExp(`/${name}\\n\\s+sha256: "${sum}"`));
  }
});

for (const platform of PLATFORMS) {
  const name = platformName(platform);
  test(
    `${name}: an archive of at most 45 MB with the executable, its helper, licences, README and manual page`,
    { skip: notBuilt(name) },
    async () => {
      assert.ok((await stat(join(folder, archiveName(platform, VERSION)))).size <= 45e6);
      const helper = platform.os === "windows" ? "kubectl_complete-checkpoint.cmd" : "kubectl_complete-checkpoint";
      assert.deepEqual(unpacked.get(name)?.entries, [
        { name: executableName(platform), type: "File", mode: 0o755 },
        { name: helper, type: "File", mode: 0o755 },
        { name: "LICENSE", type: "File", mode: 0o644 },
        { name: "README.md", type: "File", mode: 0o644 },
        { name: "THIRD_PARTY_NOTICES", type: "File", mode: 0o644 },
        { name: "kubectl-checkpoint.1", type: "File", mode: 0o644 },
      ]);
    },
  );
}

test("the notices name every package of the executable and Node.js, with their licences", async () => {
  const text = await readFile(join(unpacked.get("linux-amd64")?.directory ?? "", "THIRD_PARTY_NOTICES"), "utf8");
  for (const name of ["undici", "yargs", "@kubernetes/client-node", "js-yaml", "chalk", `Node.js ${process.versions.node}`]) {
    assert.ok(new RegExp(`^${name.replace(".", "\\.")}\\b.*\\n\\n[^]{500}`, "m").test(text), name);
  }
  assert.match(text, /OpenSSL/);
});

test("the manual page has every verb, and no mistakes that a formatter sees", async (t) => {
  const file = join(unpacked.get("linux-amd64")?.directory ?? "", "kubectl-checkpoint.1");
  const text = await readFile(file, "utf8");
  assert.match(text, /^\.SS "kubectl checkpoint version"$/m);
  try {
    execFileSync("groff", ["--version"], { stdio: "ignore" });
  } catch {
    t.diagnostic("not formatted: there is no groff here");
    return;
  }
  const { stdout, stderr } = spawnSync("groff", ["-man", "-Tutf8", "-ww", "-z", file], { encoding: "utf8" });
  assert.deepEqual([stdout, stderr], ["", ""]);
});

describe(
  "linux-amd64, installed as krew does it, in a root of its own: no Node.js, no npm, no HOME, nothing to write to",
  { skip: needsRoot() },
  () => {
    let inside: Awaited<ReturnType<typeof krewRoot>>;
    before(async () => {
      inside = await krewRoot(rootFolder, dirname(executable("linux-amd64")));
    });

    test("one link is all of it in the bin directory", async () => {
      assert.equal(await readlink(join(inside.root, "bin/kubectl-checkpoint")), `/krew/store/checkpoint/v${VERSION}/kubectl-checkpoint`);
    });

    test("no library is needed but those that every system has", () => {
      assert.deepEqual(
        inside.libraries.map((path) => basename(path)),
        ["libdl.so.2", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "libpthread.so.0", "libc.so.6", "ld-linux-x86-64.so.2"],
      );
    });

    const environments: Record<string, NodeJS.ProcessEnv> = {
      "an empty environment": {},
      "another locale": { LANG: "tr_TR.UTF-8", LC_ALL: "zh_CN.GB18030" },
      "everything bound at once": { LD_BIND_NOW: "1" },
      "NODE_OPTIONS that no Node.js takes": { NODE_OPTIONS: "--no-such-option --require=/none.js --inspect-brk" },
      "other settings for other Node.js programs": {
        NODE_PATH: "/none",
        NODE_DEBUG: "http,tls",
        NODE_EXTRA_CA_CERTS: "/none.pem",
        NODE_PENDING_DEPRECATION: "1",
        OPENSSL_CONF: "/none.cnf",
      },
    };
    for (const [name, env] of Object.entries(environments)) {
      test(`with ${name}`, () => {
        const { stdout, stderr, status } = inside.run(["kubectl-checkpoint", "--version"], env);
        assert.deepEqual({ stderr, status }, { stderr: "", status: 0 });
        assert.equal(stdout, `kubectl-checkpoint v${VERSION} (Node.js ${process.versions.node}, linux-x64)\n`);
      });
    }

    test("a request is sent, and its refusal explained", () => {
      const { stderr, status } = inside.run(["kubectl-checkpoint", "web", "--server", "http://127.0.0.1:9"], {});
      assert.match(stderr, /^error: cannot reach the API server http:\/\/127\.0\.0\.1:9\n {2}why: .*ECONNREFUSED/);
      assert.equal(status, 1);
    });

    test("through kubectl itself", (t) => {
      if (!inside.hasKubectl) {
        t.skip("there is no static kubectl here: npm run cluster -- up makes one");
        return;
      }
      const { stdout, stderr, status } = inside.run(["kubectl", "checkpoint", "version", "-o", "json"], {});
      assert.deepEqual({ stderr, status }, { stderr: "", status: 0 });
      assert.deepEqual(JSON.parse(stdout), { version: `v${VERSION}`, node: process.versions.node, platform: "linux-x64" });
    });
  },
);

for (const name of ["darwin-amd64", "darwin-arm64"]) {
  test(`${name}: the signature is of the bytes that are there`, { skip: notBuilt(name) }, async () => {
    const file = await readFile(executable(name));
    assert.deepEqual(signatureProblems(file), []);
    const touched = Buffer.from(file);
    touched.writeUInt8(touched.readUInt8(0x500_000) ^ 1, 0x500_000);
    assert.match(signatureProblems(touched).join(), /hash of page 1280/);
  });
}

test(
  "windows-amd64: sections and resources are whole, and nothing points at a signature",
  { skip: notBuilt("windows-amd64") },
  async () => {
    const file = await readFile(executable("windows-amd64"));
    assert.deepEqual(peProblems(file), []);
    // What it was made from has a signature: the check sees one.
    const original = await readFile(await nodeFor(PLATFORMS.find(({ os }) => os === "windows") as Platform));
    assert.match(peProblems(original).join(), /signature/);
  },
);

test("linux-arm64 runs", { skip: notBuilt("linux-arm64") }, (t) => {
  const packages = ["qemu-user", "libc6-arm64-cross", "libstdc++6-arm64-cross"];
  try {
    execFileSync("apt-get", ["install", "-y", "--no-install-recommends", ...packages], { stdio: "ignore" });
  } catch {
    t.skip(`apt-get install ${packages.join(" ")} failed`);
    return;
  }
  const run = (...args: string[]): string =>
    execFileSync("qemu-aarch64", ["-L", "/usr/aarch64-linux-gnu", executable("linux-arm64"), ...args], { encoding: "utf8" });
  assert.equal(run("--version"), `kubectl-checkpoint v${VERSION} (Node.js ${process.versions.node}, linux-arm64)\n`);
  assert.match(run("checkpoint", "--help"), /Usage:\n {2}kubectl checkpoint/);
});

test("two builds in two directories give the same bytes", { skip: notBuilt("linux-arm64") }, async () => {
  const [here, there] = [join(elsewhere, "here"), join(elsewhere, "there/deeper")] as const;
  await mkdir(here);
  await mkdir(dirname(there));
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: ROOT, encoding: "utf8" });
  const files = listed.split("\0").filter((name) => /^(\.ci|src|cmd)\/|^[^/]+$/.test(name) && existsSync(join(ROOT, name)));
  execFileSync("cp", ["-a", "--parents", ...files, "node_modules", here], { cwd: ROOT });
  // A tar and a zip.
  const platforms = BUILT.filter(({ os, arch }) => os !== "darwin" && arch === "amd64");
  const build = async (checkout: string, env: NodeJS.ProcessEnv): Promise<string> => {
    const packages = join(elsewhere, "packages");
    makePackages(checkout, packages, platforms, env);
    return await readFile(join(packages, "SHA256SUMS"), "utf8");
  };
  const sums = await build(here, {});
  await rename(here, there);
  assert.equal(await build(there, { TZ: "Asia/Kathmandu", LC_ALL: "C", HOME: "/nonexistent" }), sums);
  assert.equal(sums.split("\n").length, 3);
});
