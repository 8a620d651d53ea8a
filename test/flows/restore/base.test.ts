// Whether a node has the image that CRI-O wants there, by what its kubelet lists and what its pods run.
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkBaseImage } from "../../../src/flows/restore/base.ts";
import type { TargetNode } from "../../../src/flows/restore/nodes.ts";
import { UserError } from "../../../src/model/error.ts";
import { context, connectTo, fakeApiserver } from "../../fakes.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const info = { engine: "cri-o", image: "registry.example/web:1", imageID: `registry.example/web@${DIGEST}` } as const;
const SETTINGS = { plainHttp: false, registryConfig: undefined, caFile: undefined, allowPublic: false };

function node(name: string, images: readonly string[]): TargetNode {
  const runtime = { name: "cri-o", version: [1, 36, 3] } as const;
  return {
    name,
    architecture: "amd64",
    kernel: "6.18",
    runtime,
    ready: true,
    unschedulable: false,
    taints: [],
    images,
    imageCount: images.length,
  };
}

for (const [what, nodes, running, expected] of [
  ["listed by its name", [node("a", ["registry.example/web:1"])], undefined, "there"],
  ["listed by its digest, of a mirror", [node("a", [`mirror.example/web@${DIGEST}`])], undefined, "there"],
  ["not listed yet, but run", [node("a", [])], `registry.example/web@${DIGEST}`, "there"],
  ["absent", [node("a", ["registry.example/other:1"])], "registry.example/other:1", "missing"],
  ["absent from one of two", [node("a", ["registry.example/web:1"]), node("b", [])], undefined, "doubt"],
  [
    "behind the end of a long list",
    [
      node(
        "a",
        Array.from({ length: 50 }, (_, index) => `x:${index}`),
      ),
    ],
    undefined,
    "doubt",
  ],
] as const) {
  test(`the base image on CRI-O: ${what}`, async (t) => {
    const server = await fakeApiserver(t, (request, response) => {
      assert.match(request.url ?? "", /^\/api\/v1\/pods\?fieldSelector=spec\.nodeName(=|%3D)[ab]$/);
      const items = running === undefined ? [] : [{ status: { containerStatuses: [{ image: running, imageID: running }] } }];
      response.setHeader("content-type", "application/json").end(JSON.stringify({ items }));
    });
    const call = { ...context(t.signal), connection: await connectTo(t, server) };
    const asked = checkBaseImage(call, { info, architecture: "amd64" }, nodes, SETTINGS);
    if (expected === "missing") {
      await assert.rejects(asked, (error) => error instanceof UserError && error.reason === "BaseImageMissing" && error.fix !== undefined);
    } else {
      assert.equal((await asked).length, expected === "doubt" ? 1 : 0);
    }
  });
}
