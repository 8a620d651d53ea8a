import assert from "node:assert/strict";
import { test } from "node:test";
import { forecast, outlastsProbe, overfillsDisk } from "../../src/kubelet/forecast.ts";
import { quantityBytes } from "../../src/kubelet/memory.ts";
import { connectTo, fakeApiserver } from "../fakes.ts";

const TARGET = { node: "node1", namespace: "web", pod: "p", container: "c" };
const MiB = 2 ** 20;
const SUMMARY = JSON.stringify({
  node: { fs: { availableBytes: 3000 * MiB, capacityBytes: 20_000 * MiB } },
  pods: [
    { podRef: { name: "p", namespace: "other" }, containers: [{ name: "c", memory: { rssBytes: 1 } }] },
    {
      podRef: { name: "p", namespace: "web" },
      containers: [
        { name: "x", memory: { rssBytes: 2 } },
        { name: "c", memory: { rssBytes: 300 * MiB } },
      ],
    },
  ],
});
const RESOURCE = `# HELP x y\ncontainer_memory_working_set_bytes{container="c",namespace="web",pod="p"} 4.194304e+08 1700000000000\n`;
const METRICS = JSON.stringify({ containers: [{ name: "c", usage: { memory: "5Mi" } }] });

async function ask(t: Parameters<typeof connectTo>[0], answers: Record<string, string>) {
  const server = await fakeApiserver(t, (request, response) => {
    const found = Object.entries(answers).find(([path]) => request.url?.includes(path));
    response.writeHead(found === undefined ? 403 : 200).end(found?.[1] ?? "");
  });
  return await forecast(await connectTo(t, server), TARGET, 2000);
}

test("resident memory and room on the disk, from the kubelet's summary and its eviction threshold", async (t) => {
  const configz = JSON.stringify({ kubeletconfig: { evictionHard: { "nodefs.available": "10%" } } });
  assert.deepEqual(await ask(t, { "stats/summary": SUMMARY, configz, "metrics/resource": RESOURCE }), {
    memoryBytes: 300 * MiB,
    roomBytes: 1000 * MiB,
  });
});

test("the working set where the summary fails, metrics.k8s.io where the kubelet may not be read, nothing where nothing may", async (t) => {
  assert.deepEqual(await ask(t, { "metrics/resource": RESOURCE }), { memoryBytes: 400 * MiB });
  assert.deepEqual(await ask(t, { "metrics.k8s.io": METRICS }), { memoryBytes: 5 * MiB });
  assert.deepEqual(await ask(t, {}), { unknown: "forbidden" });
});

test("a small container is not worth a look at the disk", async (t) => {
  const small = RESOURCE.replace("4.194304e+08", "1048576");
  assert.deepEqual(await ask(t, { "metrics/resource": small, "stats/summary": SUMMARY }), { memoryBytes: MiB });
});

test("nonsense is no forecast", async (t) => {
  assert.deepEqual(await ask(t, { "stats/summary": "[]", "metrics/resource": "\u0000", configz: "{", "metrics.k8s.io": "null" }), {
    unknown: "absent",
  });
});

test("nobody waits for a forecast", async (t) => {
  const server = await fakeApiserver(t, () => undefined);
  const connection = await connectTo(t, server);
  const started = Date.now();
  assert.deepEqual(await forecast(connection, TARGET, 100), { unknown: "unanswered" });
  assert.ok(Date.now() - started < 5000);
});

test("a freeze that may outlast the liveness probe, an archive that may fill the disk", () => {
  const probe = { periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 1 };
  assert.equal(outlastsProbe({ memoryBytes: 300 * MiB }, probe), true);
  assert.equal(outlastsProbe({ memoryBytes: 300 * MiB }, { ...probe, failureThreshold: 30 }), false);
  assert.equal(outlastsProbe({ memoryBytes: 300 * MiB }, undefined), false);
  assert.equal(outlastsProbe({}, probe), false);
  assert.equal(overfillsDisk({ memoryBytes: 600 * MiB, roomBytes: 1000 * MiB }), true);
  assert.equal(overfillsDisk({ memoryBytes: 400 * MiB, roomBytes: 1000 * MiB }), false);
  assert.equal(overfillsDisk({ memoryBytes: 400 * MiB }), false);
});

test("Kubernetes quantities", () => {
  const cases: [string, number | undefined][] = [
    ["1Gi", 2 ** 30],
    ["500M", 5e8],
    ["10%", 100],
    ["1048576", 1048576],
    ["x", undefined],
    ["", undefined],
    ["1Zi", undefined],
  ];
  for (const [text, bytes] of cases) assert.equal(quantityBytes(text, 1000), bytes, text);
});
