// Copies that are signed, written down and encrypted, on the real cluster; what of an encrypted one touches this machine's disk.
import assert from "node:assert/strict";
import { execFileSync, type ChildProcess } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { CheckpointList, CopyList } from "../../src/model/documents.ts";
import { program, tool } from "../tools/tool.ts";
import {
  apply,
  BUSYBOX,
  cluster,
  clusterTest,
  container,
  eventually,
  kubectl,
  NO_CLUSTER,
  ownNamespace,
  plugin,
  pod,
  run,
  running,
  setUp,
  shareCluster,
  temporaryDirectory,
} from "./harness.ts";

shareCluster();

const namespace = ownNamespace("e2e-evidence");
const NODE = "node1";
/** In the memory of the container, and nowhere else. */
const NEEDLE = "needle-7f1c9a52-in-memory-only";
const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX, KUBECTL_CHECKPOINT_HELPER_NAMESPACE: namespace };
const keygen = tool("age-keygen");

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    // Put together in the shell, so that the pod's manifest does not have it.
    const command = "a=needle-7f1c9a52; export KEPT=$a-in-memory-only; for n in 1 2 3; do echo line $n; done; while true; do sleep 1; done";
    await apply(pod(namespace, "keeper", [container("keeper", command)], { node: NODE }));
    // A file of 32 MiB makes its copy long enough to be killed in the middle.
    const large = `head -c 33554432 /dev/urandom >/large; b=needle-7f1c9a52; echo $b-in-memory-only >/kept/file; echo ready; ${command}`;
    const kept = { volumeMounts: [{ name: "kept", mountPath: "/kept" }] };
    const spec = { volumes: [{ name: "kept", emptyDir: {} }] };
    await apply(pod(namespace, "large", [container("keeper", large, kept)], { node: NODE, spec }));
    await running(namespace, "keeper", "large");
  });
}

/** What of a record is asked for after the checkpoint. */
interface Scene {
  readonly after: { readonly readAt: string; readonly status?: { readonly phase: string } };
  readonly events: { readonly readAt: string; readonly items?: readonly { readonly reason: string }[] };
  readonly log: { readonly readAt: string; readonly lines?: readonly string[] };
  readonly network: { readonly readAt: string; readonly podIPs?: readonly string[] };
  readonly node: { readonly readAt: string; readonly conditions?: readonly object[] };
}

interface Keys {
  readonly identity: string;
  readonly recipient: string;
  readonly key: string;
  readonly public: string;
}

function keysIn(directory: string): Keys {
  const at = (name: string): string => join(directory, name);
  execFileSync(keygen.path ?? "", ["-o", at("identity")], { stdio: "pipe" });
  const recipient = execFileSync(keygen.path ?? "", ["-y", at("identity")], { encoding: "utf8" }).trim();
  execFileSync("openssl", ["genpkey", "-algorithm", "ed25519", "-out", at("key")]);
  execFileSync("openssl", ["pkey", "-in", at("key"), "-pubout", "-out", at("public")]);
  return { identity: at("identity"), recipient, key: at("key"), public: at("public") };
}

clusterTest("--copy --sign-key --custody: signed after the proof, as it is in the record; verify of the directory", async (t) => {
  const keys = keysIn(await temporaryDirectory(t));
  const directory = await temporaryDirectory(t);
  const flags = ["--log-lines", "2", "--sign-key", keys.key, "--custody", join(directory, "custody.jsonl"), "--prove", "1s"];
  const { code, stdout, stderr } = await plugin(["keeper", "-n", namespace, `--copy=${directory}/`, ...flags, "-o", "json"], { env });
  assert.equal(code, 0, stderr);
  const [item] = (JSON.parse(stdout) as CheckpointList).items;
  assert.equal(item?.copy?.bundle, `${item?.copy?.path}.sigstore.json`);
  const record = JSON.parse(readFileSync(item?.copy?.record ?? "", "utf8")) as CheckpointList;
  assert.equal(record.items[0]?.stillRunning, true, "the proof is in what was signed");
  const { after, events, log, network, node } = (JSON.parse(readFileSync(item?.copy?.record ?? "", "utf8")) as { record: Scene }).record;
  assert.equal(after.status?.phase, "Running");
  assert.ok(events.items?.some(({ reason }) => reason === "Started"));
  assert.deepEqual(
    log.lines?.map((line) => line.slice(line.indexOf(" ") + 1)),
    ["line 2", "line 3"],
  );
  assert.match(network.podIPs?.[0] ?? "", /^10\./);
  assert.ok((node.conditions?.length ?? 0) > 2);
  for (const { readAt } of [after, events, log, network, node]) assert.ok(Date.parse(readAt) >= Date.parse(item?.finishedAt ?? ""), readAt);
  const bundle = JSON.parse(readFileSync(item?.copy?.bundle ?? "", "utf8")) as { dsseEnvelope: { payload: string } };
  const statement = Buffer.from(bundle.dsseEnvelope.payload, "base64").toString("utf8");
  assert.doesNotMatch(statement, /in-memory-only/, "the manifest is signed by its hash");
  assert.equal((await plugin(["seal", directory, "--sign-key", keys.key], { env })).code, 0);
  const verified = await plugin(["verify", directory, "--key", keys.public], { env });
  assert.equal(verified.code, 0, verified.stdout);
  const again = await plugin(["cp", `${NODE}:${item?.nodePath}`, join(directory, "again.tar"), "--sign-key", keys.key, "-o", "json"], {
    env,
  });
  assert.equal((JSON.parse(again.stdout) as CopyList).items[0]?.copy?.bundle, join(directory, "again.tar.sigstore.json"));
});

clusterTest("a user who may copy, and may not read logs, events and nodes: the record says so of each part", async (t) => {
  const kubeconfig = (await cluster("user", "copies-only")).trim();
  const user = { ...env, KUBECONFIG: kubeconfig };
  const directory = await temporaryDirectory(t);
  const words = ["keeper", "-n", namespace, `--copy=${directory}/`, "--prove", "0", "-o", "json"];
  const refused = await plugin(words, { env: user });
  assert.equal(refused.code, 1);
  // What it prints is what it needs, and no more.
  const grants = refused.stderr.split("\n").flatMap((line) => /^ *(kubectl create .*)$/.exec(line.replace("fix:", ""))?.[1] ?? []);
  for (const grant of grants) assert.equal((await run("sh", ["-c", grant])).code, 0, grant);
  try {
    const { code, stdout, stderr } = await plugin(words, { env: user });
    assert.equal(code, 0, stderr);
    const [item] = (JSON.parse(stdout) as CheckpointList).items;
    const { record } = JSON.parse(readFileSync(item?.copy?.record ?? "", "utf8")) as {
      record: Record<string, { readonly missing?: string; readonly readAt?: string }>;
    };
    for (const part of ["events", "log"]) {
      assert.match(record[part]?.missing ?? "", /^not permitted: .*forbidden/, part);
      assert.ok(Date.parse(record[part]?.readAt ?? "") > 0, part);
    }
    assert.equal(record["node"]?.missing, "the node could not be read");
    // What may be read is there.
    assert.equal((record["after"] as { status?: { phase: string } }).status?.phase, "Running");
    assert.equal(record["network"]?.missing, undefined);
    assert.equal((await plugin(["verify", item?.copy?.path ?? ""], { env })).code, 0);
  } finally {
    for (const grant of grants)
      await run("sh", ["-c", grant.replace(/^kubectl create (\S+) (\S+).*?( -n \S+)?$/, "kubectl delete $1 $2$3")]);
  }
});

clusterTest("--encrypt-to: no byte of archive and volumes in plain is written, by strace; the record is a stub; cp - too", async (t) => {
  const strace = program("strace");
  if (strace === undefined || keygen.missing) return t.skip(strace === undefined ? "no strace" : keygen.missing || "");
  const keys = keysIn(await temporaryDirectory(t));
  const directory = await temporaryDirectory(t);
  const log = join(await temporaryDirectory(t), "log");
  // Large enough to be encrypted in a thread of its own.
  await eventually(async () => (await kubectl("logs", "-n", namespace, "large")).stdout.includes("ready"), "the large file");
  const words = [
    "large",
    "--volumes",
    "-n",
    namespace,
    `--copy=${directory}/`,
    "--encrypt-to",
    keys.recipient,
    "--sign-key",
    keys.key,
    "--prove",
    "1s",
    "-o",
    "json",
  ];
  const calls = "write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg";
  // So that all writes are calls that strace sees.
  const plain = { ...env, UV_USE_IO_URING: "0" };
  const traced = await run(
    strace[0],
    [...strace.slice(1), "-f", "-xx", "-s", "100000000", "-e", `trace=${calls}`, "-o", log, "kubectl-checkpoint", ...words],
    { env: plain },
  );
  assert.equal(traced.code, 0, traced.stderr);
  const [item] = (JSON.parse(traced.stdout) as CheckpointList).items;
  const path = item?.copy?.path ?? "";
  assert.match(path, /\.tar\.age$/);
  const found = await plugin(["search", path, NEEDLE, "--identity", keys.identity, "-o", "json"], { env });
  assert.equal(found.code, 0, "it is in the memory that was copied");
  assert.match(found.stdout, /"path": "\/kept\/file"/, "and in the volume");
  const written = readFileSync(log, "latin1");
  const hex = (text: string): string => [...Buffer.from(text)].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
  assert.ok(written.includes(hex("age-encryption.org/v1")), "what is written is seen");
  assert.ok(!written.includes(hex(NEEDLE)), "and nothing in plain");
  assert.ok(!written.includes(hex(readFileSync(keys.key, "utf8").split("\n")[1] ?? "")), "nor the key that signs");
  const stub = readFileSync(item?.copy?.record ?? "", "utf8");
  assert.doesNotMatch(stub, /"spec"|"containerStatuses"|"lines"/);
  assert.match(stub, /"encrypted"/);
  const verified = await plugin(["verify", path, "--identity", keys.identity, "--key", keys.public], { env });
  assert.equal(verified.code, 0, verified.stdout);
  const age = tool("age").path;
  if (age !== undefined) {
    const whole = execFileSync(age, ["-d", "-i", keys.identity, `${item?.copy?.record}.age`], { encoding: "utf8" });
    assert.match(whole, /"kind": "Pod"/);
    const piped = join(directory, "piped.age");
    const script = `kubectl-checkpoint cp ${NODE}:${item?.nodePath} - --encrypt-to ${keys.recipient} >${piped}`;
    assert.equal((await run("sh", ["-c", script], { env })).code, 0);
    assert.ok(readFileSync(piped).subarray(0, 21).equals(Buffer.from("age-encryption.org/v1")));
    assert.ok(execFileSync(age, ["-d", "-i", keys.identity, piped], { maxBuffer: 1 << 28 }).includes(NEEDLE));
  }
  // The name is taken, and what has it cannot be compared.
  const taken = await plugin(["cp", `${NODE}:${item?.nodePath}`, directory, "--encrypt-to", keys.recipient], { env });
  assert.match(taken.stderr, /\.tar\.age already exists/);
});

const MOMENTS = process.env["FULL"] === undefined ? 4 : 10;

clusterTest(
  `kill -9 at ${MOMENTS} moments of an encrypted copy: nothing in plain stays, no half file has the name, and it is begun again`,
  async (t) => {
    if (keygen.missing) return t.skip(keygen.missing);
    const keys = keysIn(await temporaryDirectory(t));
    const directory = await temporaryDirectory(t);
    await eventually(async () => (await kubectl("logs", "-n", namespace, "large")).stdout.includes("ready"), "the large file");
    const archive = (await plugin(["large", "-n", namespace, "--prove", "0", "-o", "name"], { env })).stdout.trim();
    const cp = ["cp", archive, directory, "--encrypt-to", keys.recipient, "--force"];
    assert.equal((await plugin(cp, { env })).code, 0);
    const size = statSync(join(directory, readdirSync(directory).find((one) => one.endsWith(".tar.age")) ?? "")).size;
    const part = (): string | undefined => readdirSync(directory).find((one) => one.endsWith(".part"));
    /** When so much of it is there; at the latest when it ends by itself. */
    const killAt = async (child: ChildProcess, bytes: number): Promise<void> => {
      while (child.exitCode === null && child.signalCode === null) {
        const name = part();
        if (name !== undefined && (statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0) >= bytes) break;
        await sleep(2);
      }
      child.kill("SIGKILL");
    };
    let parts = 0;
    for (let moment = 1; moment <= MOMENTS; moment += 1) {
      const ended = run("kubectl-checkpoint", cp, {
        env,
        started: (child) => void killAt(child, (size * (moment - 1)) / MOMENTS),
      });
      await ended;
      for (const name of readdirSync(directory)) {
        const bytes = readFileSync(join(directory, name));
        assert.ok(!bytes.includes(NEEDLE), name);
        if (name.endsWith(".part")) {
          parts += 1;
          rmSync(join(directory, name));
        }
        if (!name.endsWith(".tar.age")) continue;
        const { code, stderr } = await plugin(["search", join(directory, name), NEEDLE, "--identity", keys.identity], { env });
        assert.equal(code, 0, `${name} after ${moment}: ${stderr}`);
      }
    }
    assert.ok(parts >= MOMENTS / 2, `${parts} of ${MOMENTS} were killed in the middle`);
    // What a killed command leaves in any case.
    const name = readdirSync(directory).find((one) => one.endsWith(".tar.age")) ?? "";
    writeFileSync(join(directory, `${name}.part`), "age-encryption.org/v1\nleft over");
    const { code, stderr } = await plugin(cp, { env });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /an interrupted copy cannot be resumed because it is encrypted/);
    assert.equal(existsSync(join(directory, `${name}.part`)), false);
  },
  { timeout: 240_000 },
);
