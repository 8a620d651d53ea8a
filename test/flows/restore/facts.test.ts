import assert from "node:assert/strict";
import { test } from "node:test";
import { openArchive } from "../../../src/archive/open.ts";
import { archiveFacts, imageFacts, podOfText } from "../../../src/flows/restore/image/facts.ts";
import { POD_ANNOTATION } from "../../../src/image/manifest.ts";

test("values of environment variables are not in an image's annotations; a restore knows which they were", () => {
  const env = [
    { name: "TOKEN", value: "s3cret" },
    { name: "EMPTY" },
    { name: "NODE", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
  ];
  const pod = {
    metadata: { name: "web", namespace: "shop" },
    spec: {
      initContainers: [{ name: "first", env: [{ name: "KEY", value: "s3cret too" }] }],
      containers: [{ name: "web", image: "i", env }, { name: "side" }],
    },
  };
  const info = { engine: "containerd", container: "web" } as Parameters<typeof imageFacts>[0]["info"];
  const text = imageFacts({ info, architecture: "amd64" }, { pod }).annotations[POD_ANNOTATION] ?? "";
  assert.ok(text.includes("TOKEN"));
  assert.ok(!text.includes("s3cret"), text);
  const found = podOfText(text);
  assert.deepEqual(found.notIncluded, ["first: KEY", "web: TOKEN"]);
  assert.deepEqual(found.pod["spec"], {
    initContainers: [{ name: "first", env: [] }],
    containers: [{ name: "web", image: "i", env: env.slice(1) }, { name: "side" }],
  });
});

test("a manifest of another making is taken as it is", () => {
  const pod = { metadata: { name: "x" }, spec: { containers: [{ name: "c", env: [{ name: "A", value: "b" }] }] } };
  assert.deepEqual(podOfText(JSON.stringify(pod)), { pod, notIncluded: [] });
});

test("archives of crun and runc are told apart, where the engine does not say which it was too", async () => {
  const made = {
    "containerd-2.2.9-runc-criu4.2.1": undefined,
    "containerd-2.3.7-crun-criu4.2.1": "crun",
    "crio-1.36.3-runc-criu4.2.1": "runc",
  };
  for (const [name, oci] of Object.entries(made)) {
    await using archive = await openArchive(`test/data/runtimes/${name}.tar.zst`, {});
    assert.equal((await archiveFacts(archive)).oci, oci, name);
  }
});
