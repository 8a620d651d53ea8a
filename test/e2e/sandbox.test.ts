// Archives restored by CRIU in a sandbox pod, by content; its network, its boundary, and what it says where it does not work.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { helperImageIn } from "../cluster/helper-image.ts";
import {
  apply,
  APPS,
  BUSYBOX,
  clusterTest,
  container,
  counting,
  environment,
  eventually,
  kubectl,
  NETWORK,
  NO_CLUSTER,
  ownNamespace,
  plugin,
  pluginCommand,
  pod,
  REGISTRY,
  run,
  running,
  setUp,
  shareCluster,
  temporaryDirectory,
  type Ended,
} from "./harness.ts";
import { CA } from "./skopeo.ts";

shareCluster();

const namespace = ownNamespace("e2e-sandbox");
/** What each prints besides its count: another one whenever it is started from the beginning. */
const COUNTER = `t=$(cat /proc/sys/kernel/random/uuid); ${counting("$t $i")}`;
const COUNTED = /^[0-9a-f-]{36} \d+\s*$/m;
let image = "";

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    image = await helperImageIn(REGISTRY);
    const redis = { name: "redis", image: APPS, command: ["redis-server", "--save", ""] };
    await apply(
      pod(namespace, "redis", [redis]),
      pod(
        namespace,
        "volume",
        [
          container("volume", `cat /proc/sys/kernel/random/uuid >/data/state; exec 3</data/state; ${COUNTER}`, {
            volumeMounts: [{ name: "data", mountPath: "/data" }],
          }),
        ],
        { spec: { volumes: [{ name: "data", emptyDir: {} }] } },
      ),
      pod(namespace, "hostile", [container("hostile", COUNTER, { securityContext: { privileged: true } })]),
      pod(
        namespace,
        "pair",
        [
          container("fixed", COUNTER, { image: BUSYBOX, securityContext: { readOnlyRootFilesystem: true } }),
          container("terminal", COUNTER, { image: BUSYBOX, tty: true, stdin: true }),
        ],
        { spec: { shareProcessNamespace: true } },
      ),
    );
    await running(namespace, "redis", "pair", "hostile", "volume");
    for (const [name, containerName] of [["volume"], ["hostile"], ["pair", "fixed"], ["pair", "terminal"]] as const)
      await counts(name, containerName);
    const set = ["exec", "-n", namespace, "redis", "--", "redis-cli", "set", "session:42", "secret-cookie"];
    await eventually(async () => (await kubectl(...set)).stdout.trim() === "OK", "redis answers");
  });
}

/** Until a container's program has printed a number. */
async function counts(name: string, containerName = name): Promise<void> {
  await eventually(async () => COUNTED.test(await logsOf(name, "-c", containerName)), `${name}/${containerName} counts`);
}

async function archiveOf(t: Parameters<typeof temporaryDirectory>[0], name: string, ...flags: string[]): Promise<string> {
  const [podName = "", containerName = podName] = name.split("/");
  const folder = await temporaryDirectory(t);
  const more = { env: { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX } };
  const ended = await plugin([podName, "-c", containerName, "-n", namespace, `--copy=${folder}`, ...flags], more);
  assert.equal(ended.code, 0, ended.stderr);
  return join(folder, readdirSync(folder).find((file) => /^checkpoint-.*\.tar(\.age)?$/.test(file) && !file.includes(".volumes.")) ?? "");
}

/** The archive of redis, encrypted, and the flags that open it. */
async function encryptedRedis(t: Parameters<typeof temporaryDirectory>[0]): Promise<{ readonly file: string; readonly flags: string[] }> {
  const secret = await generateX25519Identity();
  const identity = join(await temporaryDirectory(t), "identity");
  writeFileSync(identity, `${secret}\n`, { mode: 0o600 });
  const file = await archiveOf(t, "redis", "--encrypt-to", await identityToRecipient(secret));
  assert.match(file, /\.tar\.age$/);
  return { file, flags: ["--identity", identity] };
}

/** Runs the plugin where not one byte can be written to a file: what it decrypts cannot be on this machine's disk. */
async function withoutFiles(...words: string[]): Promise<Ended> {
  const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: image, NODE_V8_COVERAGE: undefined };
  return await run("sh", ["-c", 'ulimit -f 0; exec "$@"', "sh", ...pluginCommand(), ...words], { env });
}

async function sandbox(file: string, name: string, ...flags: string[]): Promise<Ended> {
  const words = ["restore", file, "--sandbox", "--name", name, "-n", namespace, ...flags];
  return await plugin(words, { env: { KUBECTL_CHECKPOINT_HELPER_IMAGE: image } });
}

async function inPod(name: string, ...command: string[]): Promise<string> {
  const { code, stdout, stderr } = await kubectl("exec", "-n", namespace, name, "--", ...command);
  assert.equal(code, 0, stderr);
  return stdout;
}

async function logsOf(name: string, ...flags: string[]): Promise<string> {
  return (await kubectl("logs", "-n", namespace, name, ...flags)).stdout.trim();
}

clusterTest("redis continues with its data from an encrypted archive, without a network; nothing is written to this machine", async (t) => {
  const { file, flags } = await encryptedRedis(t);
  const ended = await withoutFiles("restore", file, "--sandbox", "--name", "redis-sandbox", "-n", namespace, ...flags);
  assert.equal(ended.code, 0, ended.stderr);
  assert.match(ended.stdout, /^pod\/redis-sandbox in namespace \S+: container redis restored in a sandbox on \S+ in /);
  for (const hint of [/kubectl logs /, /-- sandbox shell/, /port-forward .* 6379/, /-- sandbox gdbserver 1/, /kubectl delete pod/])
    assert.match(ended.stderr, hint);
  assert.equal((await inPod("redis-sandbox", "sandbox", "shell", "redis-cli", "get", "session:42")).trim(), "secret-cookie");

  // The network, from inside the restored processes' namespace: nothing but the loopback, and no way to the API server.
  const links = await inPod("redis-sandbox", "sh", "-c", "nsenter -t $(cat /work/pid) -n ip -o link");
  assert.deepEqual(
    links
      .trim()
      .split("\n")
      .map((line) => line.split(":")[1]?.trim()),
    ["lo"],
  );
  const route = await kubectl("exec", "-n", namespace, "redis-sandbox", "--", "sh", "-c", "nc -w 2 10.92.0.1 6443 </dev/null");
  assert.notEqual(route.code, 0, "something outside was reached");
});

clusterTest("the boundary, from inside as root, with the archive of a container that had all capabilities", async (t) => {
  const file = await archiveOf(t, "hostile");
  const ended = await sandbox(file, "hostile-sandbox");
  assert.equal(ended.code, 0, ended.stderr);
  /** In the restored process's own namespaces, with every capability that root of the pod can give it. */
  const inside = async (command: string): Promise<Ended> =>
    await kubectl("exec", "-n", namespace, "hostile-sandbox", "--", "sandbox", "shell", "sh", "-c", command);
  const beside = async (command: string): Promise<Ended> =>
    await kubectl("exec", "-n", namespace, "hostile-sandbox", "--", "sh", "-c", command);
  for (const where of [inside, beside]) {
    const [, host = "0", count = ""] = (await where("cat /proc/self/uid_map")).stdout.trim().split(/\s+/);
    assert.ok(Number(host) >= 65_536 && count === "65536", "root in the pod is nobody on the node");
    for (const attempt of [
      "mknod /tmp/disk b 254 0",
      "for device in /dev/* /dev/*/*; do [ -b $device ] && head -c 1 $device && exit 0; done; false",
      "head -c 1 /dev/mem",
      "echo 1 >/proc/sys/kernel/panic",
      "echo /x >/proc/sys/kernel/core_pattern",
      "echo b >/proc/sysrq-trigger",
      "mkdir -p /tmp/m && mount -t ext4 $(ls -d /dev/vd? /dev/sd? 2>/dev/null | head -n 1) /tmp/m",
      "mkdir -p /tmp/c && mount -t cgroup -o devices cgroup /tmp/c",
      "date -s 2001-01-01",
      "hostname -F /proc/1/root/etc/hostname && [ $(hostname) != hostile-sandbox ] && ls /var/lib/kubelet",
      "ls /var/run/secrets/kubernetes.io/serviceaccount/token /run/secrets/kubernetes.io/serviceaccount/token",
      `nc -w 2 ${NETWORK}.1 6443 </dev/null`,
    ]) {
      const { code, stdout } = await where(attempt);
      assert.notEqual(code, 0, `${attempt} was allowed: ${stdout}`);
    }
    const mounts = (await where("cat /proc/self/mountinfo")).stdout;
    assert.doesNotMatch(mounts, /checkpoints|docker\.sock|containerd\.sock|crio\.sock|kubernetes\.io~projected/);
    // What is bound in from the node's file systems is this pod's own.
    for (const root of [...mounts.matchAll(/^\d+ \d+ \S+ (\S*\/var\/lib\/kubelet\/\S*)/gm)].map(([, path = ""]) => path))
      assert.match(root, /\/pods\/[0-9a-f-]{36}\//);
  }
  // No process of the node is seen from inside.
  const programs = (await beside("cat /proc/[0-9]*/comm")).stdout;
  assert.doesNotMatch(programs, /^(kubelet|containerd|systemd|etcd)$/m);
});

clusterTest("--stopped: nothing runs until it is resumed", async (t) => {
  const file = await archiveOf(t, "pair/fixed");
  const ended = await sandbox(file, "stopped", "--stopped");
  assert.equal(ended.code, 0, ended.stderr);
  assert.match(ended.stderr, /-- sandbox resume/);
  const states = await inPod(
    "stopped",
    "sh",
    "-c",
    "for p in $(pidof sleep sh); do grep ^State /proc/$p/status; done; cat /proc/$(cat /work/pid)/status",
  );
  assert.match(states, /State:\tT \(stopped\)/);
  const before = (await logsOf("stopped")).split("\n").filter((line) => /^[0-9a-f-]{36} /.test(line));
  assert.deepEqual(before, [], "it has printed something");
  await inPod("stopped", "sandbox", "resume");
  await eventually(async () => COUNTED.test(await logsOf("stopped")), "it counts");
  const token = (await logsOf("pair", "-c", "fixed", "--tail=1")).split(" ")[0] ?? "none";
  assert.ok((await logsOf("stopped")).includes(token), "it was started from the beginning");
});

const GDB = existsSync("/usr/bin/gdb") ? undefined : "not tested: there is no gdb on this machine";

clusterTest(
  "gdb reads a stopped process through gdbserver and port-forward, without a network; it is stopped afterwards, too",
  async (t) => {
    if (GDB !== undefined) {
      t.skip(GDB);
      return;
    }
    const file = await archiveOf(t, "redis");
    const ended = await sandbox(file, "hung", "--stopped");
    assert.equal(ended.code, 0, ended.stderr);
    const background = async (words: readonly string[], until: RegExp): Promise<string> => {
      const child = spawn("kubectl", words, { env: environment(), stdio: ["ignore", "pipe", "pipe"] });
      t.after(() => child.kill());
      let said = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes: Buffer) => (said += bytes.toString()));
      await eventually(async () => until.test(said), `${words.join(" ")} says ${until.source}`);
      return until.exec(said)?.[1] ?? "";
    };
    await background(["exec", "-n", namespace, "hung", "--", "sandbox", "gdbserver", "1"], /Listening on port 1234/);
    // Another port on this machine: 1234 may be somebody's.
    const port = await background(["port-forward", "-n", namespace, "pod/hung", ":1234"], /Forwarding from 127\.0\.0\.1:(\d+)/);
    const words = ["-nx", "-batch", "-ex", `target remote localhost:${port}`, "-ex", "thread apply all backtrace"];
    const { stdout } = await run("/usr/bin/gdb", words);
    assert.match(stdout, /\bepoll_wait \(\)[^]*\baeProcessEvents \(\)[^]*\bmain \(\)/);
    assert.match(await inPod("hung", "sh", "-c", "cat /proc/$(cat /work/pid)/status"), /State:\tT \(stopped\)/);
  },
  { full: true },
);

clusterTest(
  "a terminal, a shared PID namespace, a root file system that is read-only: each continues where it was",
  async (t) => {
    const file = await archiveOf(t, "pair/terminal");
    const ended = await sandbox(file, "terminal");
    assert.equal(ended.code, 0, ended.stderr);
    const token = (await logsOf("pair", "-c", "terminal", "--tail=1")).split(" ")[0] ?? "none";
    await eventually(async () => (await logsOf("terminal")).includes(token), "it counts on");
  },
  { full: true },
);

clusterTest(
  "volumes that were copied with the archive are there; without them their open files are named, and read as zeros",
  async (t) => {
    const file = await archiveOf(t, "volume", "--volumes");
    const ended = await sandbox(file, "volume-sandbox");
    assert.equal(ended.code, 0, ended.stderr);
    assert.doesNotMatch(ended.stderr, /read as zeros/);
    const kept = async (name: string): Promise<string> => await inPod(name, "sandbox", "shell", "cat", "/data/state");
    assert.match(await kept("volume-sandbox"), /^[0-9a-f-]{36}\n$/);
    assert.equal(await kept("volume-sandbox"), await inPod("volume", "cat", "/data/state"));

    const name = readdirSync(dirname(file)).find((one) => one.endsWith(".volumes.tar")) ?? "";
    rmSync(join(dirname(file), name));
    const without = await sandbox(file, "volume-hole");
    assert.equal(without.code, 0, without.stderr);
    assert.match(without.stderr, /the volumes that were copied with \S+ are not beside it/);
    assert.match(without.stderr, /a file in volumes, which are in no archive, read as zeros: \/data\/state/);
    assert.equal(await kept("volume-hole"), "\0".repeat(37));
  },
);

clusterTest("what cannot be restored is deleted again, and explained", async (t) => {
  const file = await archiveOf(t, "redis");
  const ended = await sandbox(file, "other-base", `--base-image=${BUSYBOX}`);
  assert.equal(ended.code, 1, ended.stdout);
  assert.match(
    ended.stderr,
    /error: CRIU could not restore the processes; pod\/other-base was deleted again\n {2}why: .*\n {2}fix: .*--base-image/,
  );
  await eventually(async () => (await kubectl("get", "pod", "-n", namespace, "other-base")).code !== 0, "the pod is gone");
});

clusterTest("another base image is refused before the pod, with the files that differ", async (t) => {
  const file = await archiveOf(t, "redis");
  const ended = await sandbox(file, "other-build", `--base-image=${BUSYBOX}`, "--ca-file", CA);
  assert.equal(ended.code, 1, ended.stdout);
  assert.match(ended.stderr, /error: the base image \S+ is not the one that the container was made from; nothing was created\n/);
  assert.match(ended.stderr, /why: .*\/usr\/bin\/redis-\S+ is not in it/);
  const tag = await sandbox(file, "same-build", `--base-image=${APPS}`, "--ca-file", CA);
  assert.equal(tag.code, 0, tag.stderr);
  assert.doesNotMatch(tag.stderr, /compared/);
});

clusterTest(
  "--image: the pod has the archive from a registry",
  async (t) => {
    const file = await archiveOf(t, "redis");
    const reference = `${REGISTRY}/e2e-sandbox/redis-${Date.now()}:1`;
    const pushed = await plugin(["image", file, reference, "--push", "--yes", "--ca-file", CA]);
    assert.equal(pushed.code, 0, pushed.stderr);
    const words = ["restore", "--image", reference, "--sandbox", "--name", "of-image", "-n", namespace, "--ca-file", CA, "-o", "json"];
    const ended = await plugin(words, { env: { KUBECTL_CHECKPOINT_HELPER_IMAGE: image } });
    assert.equal(ended.code, 0, ended.stderr);
    assert.match((JSON.parse(ended.stdout) as { image: string }).image, /redis-\d+@sha256:/);
    assert.equal((await inPod("of-image", "sandbox", "shell", "redis-cli", "get", "session:42")).trim(), "secret-cookie");
  },
  { full: true },
);

clusterTest(
  "an encrypted archive becomes an image, and is restored from it; nothing is written to this machine",
  async (t) => {
    const { file, flags } = await encryptedRedis(t);
    const reference = `${REGISTRY}/e2e-sandbox/encrypted-${Date.now()}:1`;
    const pushed = await withoutFiles("image", file, reference, "--push", "--yes", "--ca-file", CA, ...flags);
    assert.equal(pushed.code, 0, pushed.stderr);
    const words = ["restore", file, "--image", reference, "--name", "of-encrypted", "-n", namespace, "--yes", "--ca-file", CA];
    const ended = await withoutFiles(...words, ...flags);
    assert.equal(ended.code, 0, ended.stderr);
    const got = await kubectl("exec", "-n", namespace, "of-encrypted", "--", "redis-cli", "get", "session:42");
    assert.equal(got.stdout.trim(), "secret-cookie");
  },
  { full: true },
);

clusterTest(
  "processes that are not root continue as who they were",
  async (t) => {
    const securityContext = { runAsUser: 1000, runAsGroup: 3000, runAsNonRoot: true };
    const one = (name: string, hostUsers: boolean): object =>
      pod(namespace, name, [container(name, COUNTER, { image: BUSYBOX })], { spec: { hostUsers, securityContext } });
    await apply(one("own-users", false), one("host-users", true));
    await running(namespace, "own-users", "host-users");
    for (const name of ["own-users", "host-users"]) {
      await counts(name);
      const folder = await temporaryDirectory(t);
      const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX };
      const made = await plugin([name, "-n", namespace, `--copy=${folder}/${name}.tar`, "--explain"], { env });
      if (/Can't get rlimit 0: Operation not permitted/.test(made.stderr)) {
        t.diagnostic(`${name}: not tested: the nodes of this machine may not read limits of other users (CAP_SYS_RESOURCE)`);
        assert.equal(name, "host-users");
        continue;
      }
      assert.equal(made.code, 0, made.stderr);
      const ended = await sandbox(join(folder, `${name}.tar`), `${name}-sandbox`);
      assert.equal(ended.code, 0, ended.stderr);
      const token = (await logsOf(name, "--tail=1")).split(" ")[0] ?? "none";
      await eventually(async () => (await logsOf(`${name}-sandbox`)).includes(token), "it counts on");
      const status = await inPod(`${name}-sandbox`, "sandbox", "shell", "cat", "/proc/1/status");
      assert.match(status, /^Uid:\t1000\t1000\t1000\t1000\nGid:\t3000\t3000\t3000\t3000$/m);
    }
  },
  { full: true },
);

/** A field of bytes in the message at a path of fields, which is there once. Everything else stays byte by byte, as CRIU needs it. */
function withField(bytes: Buffer, [at, ...path]: readonly number[], field: number, content: Buffer): Buffer {
  if (at === undefined) return Buffer.concat([bytes, keyed(field, content)]);
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const from = reader.pos;
    const [number, type] = reader.tag();
    if (number !== at) reader.skip(type, number);
    else {
      const inner = withField(Buffer.from(reader.bytes()), path, field, content);
      return Buffer.concat([bytes.subarray(0, from), keyed(at, inner), bytes.subarray(reader.pos)]);
    }
  }
  throw new Error(`no field ${at}`);
}

function keyed(field: number, content: Buffer): Buffer {
  return Buffer.from(new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(content).finish());
}

/** Rewrites the message of an image that has one. */
function rewrite(file: string, start: number, change: (message: Buffer) => Buffer): void {
  const bytes = readFileSync(file);
  const end = start + 4 + bytes.readUInt32LE(start);
  const message = change(bytes.subarray(start + 4, end));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(message.length);
  writeFileSync(file, Buffer.concat([bytes.subarray(0, start), length, message, bytes.subarray(end)]));
}

clusterTest(
  "an archive with an AppArmor profile is restored without it, which is said before",
  async (t) => {
    // Of a real archive: the module in inventory.img (lsmtype 2), the profile in core-*.img (thread_core.creds.lsm_profile).
    const file = await archiveOf(t, "pair/fixed");
    const folder = join(dirname(file), "profile");
    mkdirSync(folder);
    execFileSync("tar", ["-xpf", file, "-C", folder]);
    const images = join(folder, "checkpoint");
    rewrite(join(images, "inventory.img"), 4, (message) => Buffer.concat([message, Buffer.from([6 << 3, 2])]));
    const profile = Buffer.from("cri-containerd.apparmor.d");
    for (const core of readdirSync(images).filter((name) => /^core-\d+\.img$/.test(name)))
      rewrite(join(images, core), 8, (message) => withField(message, [5, 10], 15, profile));
    execFileSync("tar", ["-C", folder, "-cf", `${folder}.tar`, "."]);
    const ended = await sandbox(`${folder}.tar`, "profile", `--base-image=${BUSYBOX}`);
    assert.equal(ended.code, 0, ended.stderr);
    const said =
      /^warning: the AppArmor profile of the processes \(cri-containerd\.apparmor\.d\) is not restored: they have that of the sandbox pod$/m;
    assert.match(ended.stderr, said);
    await eventually(async () => COUNTED.test(await logsOf("profile")), "it counts");
    const found = await inPod("profile", "sh", "-c", "cat /proc/$(cat /work/pid)/attr/current 2>/dev/null || echo none");
    t.diagnostic(
      `profile of the restored process: ${found.trim()}${found === "none\n" ? "; AppArmor: not tested, the node has none" : ""}`,
    );
    assert.doesNotMatch(found, /cri-containerd/);
  },
  { full: true },
);

clusterTest("--dry-run prints the pod, and creates nothing", async (t) => {
  const file = await archiveOf(t, "redis");
  const ended = await sandbox(file, "dry", "--dry-run=server", "-o", "json");
  assert.equal(ended.code, 0, ended.stderr);
  const { spec } = JSON.parse(ended.stdout) as {
    spec: { hostUsers: boolean; automountServiceAccountToken: boolean; activeDeadlineSeconds: number };
  };
  assert.deepEqual([spec.hostUsers, spec.automountServiceAccountToken, spec.activeDeadlineSeconds], [false, false, 28_800]);
  assert.notEqual((await kubectl("get", "pod", "-n", namespace, "dry")).code, 0);
});
