// Images are read from the real registries, tried for the right to push, and removed from them.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkWritable, removeImage } from "../../src/flows/restore/image/registries.ts";
import { parseReference } from "../../src/image/reference.ts";
import type { ImageDocument } from "../../src/model/restoration.ts";
import { context } from "../fakes.ts";
import { clusterTest, plugin, REGISTRY, shareCluster, temporaryDirectory } from "./harness.ts";
import { CA } from "./skopeo.ts";

shareCluster();

const ARCHIVE = join(import.meta.dirname, "../data/archives/containerd-a.tar");
const PRIVATE = REGISTRY.replace(/:\d+$/, ":5001");

async function user(t: Parameters<Parameters<typeof clusterTest>[1]>[0]) {
  const home = await temporaryDirectory(t);
  const registryConfig = join(home, "auth.json");
  writeFileSync(registryConfig, JSON.stringify({ auths: { [PRIVATE]: { auth: Buffer.from("test:test-password").toString("base64") } } }));
  const reach = ["--ca-file", CA, "--registry-config", registryConfig];
  const run = async (...args: string[]) => await plugin([...args, ...reach], { env: { HOME: home } });
  const settings = { caFile: CA, plainHttp: false, registryConfig, allowPublic: false };
  return { home, run, settings, where: context(t.signal, { HOME: home }) };
}

for (const [name, registry] of [
  ["open", REGISTRY],
  ["with a password", PRIVATE],
] as const) {
  clusterTest(`the registry that is ${name}: pushed, read by every verb, removed`, async (t) => {
    const { run, settings, where } = await user(t);
    const reference = `${registry}/e2e/read-${process.pid}-${Date.now()}:1`;
    await checkWritable(where, settings, parseReference(reference));
    const pushed = await run("image", ARCHIVE, reference, "--push", "--yes", "--compress", "zstd", "-o", "json");
    assert.equal(pushed.code, 0, pushed.stderr);
    const { digest } = JSON.parse(pushed.stdout) as ImageDocument;
    for (const file of [`registry:${reference}`, `registry:${reference.replace(/:1$/, "")}@${digest}`]) {
      const shown = await run("show", file);
      assert.equal(shown.code, 0, shown.stderr);
      assert.match(shown.stdout, /localhost\/bb:1 .* containerd /);
      const verified = await run("verify", file);
      assert.equal(verified.stdout, `${file}: OK\n`, verified.stderr);
    }
    const found = await run("search", `registry:${reference}`, "s3cr3t-value-123");
    assert.equal(found.code, 0, found.stderr);
    assert.match(found.stdout, /SECRET_TOKEN=s3cr3t-value-123/);
    assert.equal(await removeImage(where, settings, parseReference(reference), digest), true);
    const gone = await run("show", `registry:${reference}`);
    assert.equal(gone.code, 1);
    assert.match(gone.stderr, /^error: image \S+ not found/);
  });
}

clusterTest("without a login the right to push is missing, and an image cannot be read", async (t) => {
  const { settings, where } = await user(t);
  const anonymous = { ...settings, registryConfig: undefined };
  await assert.rejects(checkWritable(where, anonymous, parseReference(`${PRIVATE}/e2e/none:1`)), { reason: "RegistryLoginNeeded" });
});
