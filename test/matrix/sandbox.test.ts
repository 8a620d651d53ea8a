// Sandboxes on runtimes that restore nothing themselves: archives of each, on nodes of each, as files and as checkpoint images.
import "./place.ts";
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { helperImageIn } from "../cluster/helper-image.ts";
import {
  apply,
  BUSYBOX,
  cluster,
  clusterTest,
  container,
  counting,
  eventually,
  kubectl,
  NO_CLUSTER,
  ownNamespace,
  plugin,
  pod,
  REGISTRY,
  running,
  setUp,
  shareCluster,
  temporaryDirectory,
} from "../e2e/harness.ts";
import { CA } from "./stage.ts";

shareCluster();

const namespace = ownNamespace("matrix-sandbox");
const NODES = { "sandbox-c24": "containerd-2.4", "sandbox-crio": "crio-1.36" } as const;
let image = "";

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    for (const node of Object.keys(NODES)) await cluster("remove", node).catch(() => undefined);
    await cluster("up", ...Object.entries(NODES).flatMap(([node, runtime]) => ["--node", `${node}=${runtime}`]));
    image = await helperImageIn(REGISTRY);
    const command = `t=$(cat /proc/sys/kernel/random/uuid); ${counting("$t $i")}`;
    await apply(...Object.keys(NODES).map((node) => pod(namespace, node, [container("counter", command)], { node })));
    await running(namespace, ...Object.keys(NODES));
  });
  test.after(async () => await cluster("remove", ...Object.keys(NODES)));
}

for (const [source, runtime] of Object.entries(NODES)) {
  clusterTest(
    `an archive of ${runtime} continues in sandboxes on nodes of both runtimes, from a file and from an image`,
    async (t) => {
      const folder = await temporaryDirectory(t);
      const file = join(folder, "archive.tar");
      const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX, SSL_CERT_FILE: CA };
      const taken = await plugin([source, "-n", namespace, `--copy=${file}`], { env });
      assert.equal(taken.code, 0, taken.stderr);
      const reference = `${REGISTRY}/matrix/sandbox-${Date.now()}:1`;
      const pushed = await plugin(["image", file, reference, "--push", "--yes"], { env });
      assert.equal(pushed.code, 0, pushed.stderr);
      const { stdout } = await kubectl("logs", "-n", namespace, source, "--tail=1");
      const [token = "none"] = stdout.split(" ");
      const continues = async (kind: "file" | "image", node: string): Promise<void> => {
        const name = `${kind}-of-${source}-on-${node}`;
        const target = ["--sandbox", "--node", node, "--name", name, "-n", namespace];
        const words = kind === "file" ? [file] : ["--image", reference];
        const ended = await plugin(["restore", ...words, ...target], { env: { ...env, KUBECTL_CHECKPOINT_HELPER_IMAGE: image } });
        assert.equal(ended.code, 0, `${name}: ${ended.stderr}`);
        await eventually(async () => (await kubectl("logs", "-n", namespace, name)).stdout.includes(token), `${name} counts on`);
        const links = await kubectl("exec", "-n", namespace, name, "--", "sh", "-c", "nsenter -t $(cat /work/pid) -n ip -o link");
        assert.match(links.stdout, /^1: lo: [^\n]*\n?$/, `${name} has no other network`);
        await kubectl("delete", "pod", "-n", namespace, name, "--wait=false");
      };
      // Each kind on each node, each source on each node; all of them with --full.
      for (const node of Object.keys(NODES)) {
        const first = node === source ? "file" : "image";
        await continues(first, node);
        if (process.env["FULL"] !== undefined) await continues(first === "file" ? "image" : "file", node);
      }
    },
    { timeout: 300_000 },
  );
}
