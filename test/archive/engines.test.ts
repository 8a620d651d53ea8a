import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { engineOf } from "../../src/archive/engines/engine.ts";
import type { CheckpointInfo } from "../../src/archive/engines/info.ts";
import { openArchive } from "../../src/archive/open.ts";
import { Budget } from "../../src/archive/budget.ts";
import { bufferSource } from "../../src/archive/sources.ts";
import { indexTar } from "../../src/archive/tar/index.ts";
import { tar, type TarMember } from "./tars.ts";

/** What of an archive is compared here: `command` and `annotations` are long, so they have a test of their own. */
type Told = Omit<CheckpointInfo, "command" | "annotations">;

async function told(file: string): Promise<Told> {
  await using archive = await openArchive(join("test/data/archives", file));
  const { command: _, annotations: __, ...rest } = await engineOf(archive);
  return rest;
}

async function infoOf(...members: readonly TarMember[]): Promise<CheckpointInfo> {
  return await engineOf(await indexTar(bufferSource(tar(...members)), { label: "test.tar", budget: new Budget() }));
}

function json(name: string, value: unknown): TarMember {
  return { name, data: JSON.stringify(value) };
}

const NOTHING = { ips: [], macs: [], networks: [], volumes: [] };

test("containerd 2.1, through Kubernetes", async () => {
  assert.deepEqual(await told("containerd-2.1.9-criu4.2.1-k8s-redis.tar"), {
    ...NOTHING,
    engine: "containerd",
    runtime: "io.containerd.runc.v2",
    namespace: "default",
    pod: "apps",
    podUID: "48452f1f-c96e-4957-9df0-9240497cc69e",
    container: "redis",
    containerID: "d2e230e74ab26118cfb01cbf8a4e291449a0ccc9836dff3f333072a2fb9a9160",
    restartCount: 0,
    image: "10.90.0.1:5000/apps:1",
    imageID: "10.90.0.1:5000/apps@sha256:6159f33a10d68349673a99557b59bd05649fb03b8a4f44f109a685e3a1a3b34c",
    createdAt: "2026-11-24T06:10:16.262Z",
    startedAt: "2026-11-24T06:10:16.335Z",
    checkpointedAt: "2026-11-24T06:10:21.274Z",
    volumes: [
      {
        path: "/var/run/secrets/kubernetes.io/serviceaccount",
        source: "/var/lib/kubelet/pods/48452f1f-c96e-4957-9df0-9240497cc69e/volumes/kubernetes.io~projected/kube-api-access-pcn7g",
        name: "kube-api-access-pcn7g",
        kind: "projected",
        member: undefined,
      },
    ],
  });
});

test("CRI-O: the pod's address is in its annotations", async () => {
  assert.deepEqual(await told("crio-1.34.11-criu4.2.1.tar"), {
    ...NOTHING,
    engine: "cri-o",
    runtime: "crun",
    namespace: "default",
    pod: "pod-k",
    podUID: "uid-k",
    container: "counter",
    containerID: "db3636326e8c23e1b6ffa1daea133abc74b13959346ae653ca1dbcaab5212bff",
    restartCount: 0,
    image: "127.0.0.1:5000/bbc:1",
    imageID: "9079477346761d115d28f62dbcb6074de90f96f2ce6b64f974fb526aeaa28ca9",
    createdAt: "2026-11-24T02:34:14.696Z",
    startedAt: undefined,
    checkpointedAt: "2026-11-24T02:34:18.762Z",
    ips: ["10.213.7.33"],
  });
});

test("Podman: no pod, and the checkpoint's time from CRIU's inventory", async () => {
  assert.deepEqual(await told("podman-zstd.tar.zst"), {
    ...NOTHING,
    engine: "podman",
    runtime: "crun",
    namespace: undefined,
    pod: undefined,
    podUID: undefined,
    container: "counter",
    containerID: "a386f603199b0b4f60b5722ec797f9f514b8b894450b45b8f5970c14596a4e6d",
    restartCount: undefined,
    image: "localhost/bb:1",
    imageID: "84c8b85820ab2132c071a79a8e6cc9ffaa6bb90c8b145cc5fe30aebb0d693e4c",
    createdAt: "2026-11-24T00:31:26.030Z",
    startedAt: undefined,
    checkpointedAt: "2026-11-24T00:31:30.000Z",
  });
});

test("Podman: networks with their gateways, by name and interface", async () => {
  await using archive = await openArchive("test/data/faults/network-gateway.tar.zst");
  const { engine, ips, networks } = await engineOf(archive);
  assert.deepEqual([engine, ips], ["podman", ["10.88.0.9"]]);
  assert.deepEqual(networks, [
    { name: "podman", interface: "eth0", addresses: ["10.88.0.9/16"], gateways: ["10.88.0.1"], mac: "f2:99:8d:fb:5a:57" },
  ]);
});

test("command and annotations of the container", async () => {
  await using archive = await openArchive("test/data/archives/checkpoint-counter_default-counter-2026-11-24T02-28-30Z.tar");
  const { command, annotations } = await engineOf(archive);
  assert.deepEqual(command.slice(0, 2), ["/bin/sh", "-c"]);
  assert.equal(annotations["io.kubernetes.cri.sandbox-name"], "counter");
  assert.equal(annotations["io.kubernetes.pod.terminationGracePeriod"], "30");
});

test("containerd 2.0 writes no status.dump: the specification and the container's name tell", async () => {
  const info = await infoOf(
    json("config.dump", {
      id: "c1",
      name: "app_web-0_shop_uid-1_3",
      rootfsImageName: "docker.io/library/app:1",
      checkpointedTime: "2025-01-02T03:04:05.678901234+01:00",
    }),
    json("spec.dump", {
      annotations: {
        "io.kubernetes.cri.container-name": "app",
        "io.kubernetes.cri.sandbox-name": "web-0",
        "io.kubernetes.cri.sandbox-namespace": "shop",
        "io.kubernetes.cri.sandbox-uid": "uid-1",
      },
    }),
  );
  assert.deepEqual(
    [info.engine, info.namespace, info.pod, info.podUID, info.container, info.restartCount, info.image, info.imageID, info.checkpointedAt],
    ["containerd", "shop", "web-0", "uid-1", "app", 3, "docker.io/library/app:1", undefined, "2025-01-02T02:04:05.678Z"],
  );
});

test("volumes: the kubelet's by name and kind, Podman's named ones with the member that holds them", async () => {
  const mount = (destination: string, source: string) => ({ type: "bind", destination, source });
  const kubelet = "/var/lib/kubelet/pods/uid-1";
  const { volumes } = await infoOf(
    json("spec.dump", {
      annotations: { "io.container.manager": "cri-o" },
      mounts: [
        { type: "proc", destination: "/proc", source: "proc" },
        mount("/etc/hosts", `${kubelet}/etc-hosts`),
        mount("/dev/done", `${kubelet}/containers/app/0a1b2c3d`),
        mount("/cache", `${kubelet}/volumes/kubernetes.io~empty-dir/cache`),
        mount("/host", "/srv/data"),
        mount("/sub", `${kubelet}/volume-subpaths/config/app/0`),
        "rubbish",
      ],
    }),
    json("config.dump", {}),
  );
  assert.deepEqual(
    volumes?.map(({ path, name, kind }) => [path, name, kind]),
    [
      ["/cache", "cache", "empty-dir"],
      ["/host", undefined, undefined],
      ["/sub", "config", undefined],
    ],
  );
  const podman = await infoOf(
    json("spec.dump", {
      annotations: { "io.container.manager": "libpod" },
      mounts: [mount("/data", "/var/lib/containers/storage/volumes/data/_data")],
    }),
    json("config.dump", { namedVolumes: [{ volumeName: "data", dest: "/data" }, { volumeName: "left-out", dest: "/out" }, {}] }),
    { name: "volumes/data.tar", data: tar() },
    json("network.status", {
      podman: { interfaces: { eth0: { mac_address: "1e:6a:27:b3:54:5f", subnets: [{ ipnet: "10.88.0.9/16", gateway: "10.88.0.1" }] } } },
    }),
  );
  assert.deepEqual(
    podman.volumes?.map(({ path, kind, member }) => [path, kind, member]),
    [
      ["/data", "named", "volumes/data.tar"],
      ["/out", "named", undefined],
    ],
  );
  assert.deepEqual([podman.ips, podman.macs], [["10.88.0.9"], ["1e:6a:27:b3:54:5f"]]);
});

test("fields of unexpected types count as absent, never as something else", async () => {
  const info = await infoOf(
    json("config.dump", {
      id: 7,
      name: ["x"],
      runtime: {},
      createdTime: "yesterday",
      checkpointedTime: "0001-01-01T00:00:00Z",
      rootfsImageRef: null,
    }),
    json("spec.dump", { annotations: ["io.container.manager"], process: { args: "sh" }, mounts: {} }),
    json("status.dump", { started_at: "1", labels: 5, image: [] }),
    json("network.status", null),
  );
  for (const [field, value] of Object.entries(info)) {
    if (Array.isArray(value)) assert.deepEqual(value, [], field);
    else if (field === "annotations") assert.deepEqual(value, {});
    else if (field !== "engine") assert.equal(value, undefined, field);
  }
});

test("what the engine wrote and cannot be read is an error, without a word of its content", async () => {
  await assert.rejects(infoOf({ name: "config.dump", data: '{"SECRET": s3cr3t' }), (error: Error) => {
    assert.equal(error.message, "config.dump is not JSON");
    return true;
  });
  await assert.rejects(infoOf({ name: "config.dump", type: "2", target: "/etc/passwd" }), { reason: "UnreadableMember" });
  await assert.rejects(infoOf({ name: "config.dump", data: Buffer.alloc(5 << 20, " ") }), { reason: "TooLarge" });
  // Small in the archive, large in memory.
  await assert.rejects(infoOf({ name: "config.dump", data: `[${"[],".repeat(300_000)}0]` }), { reason: "TooLarge" });
  await assert.rejects(infoOf({ name: "etc/passwd", data: "root" }), { reason: "NotACheckpoint" });
});
