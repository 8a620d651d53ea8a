// What the end-to-end tests stand on: the real cluster of test/cluster, kubectl, and the plugin as users get it.
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, fstatSync, mkdtempSync, openSync, readSync, rmSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { constants, setPriority, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, beforeEach, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

const ROOT = resolve(import.meta.dirname, "../..");
/** Which of the clusters beside each other (test/cluster/settings.sh). */
const NUMBER = Number(process.env["CLUSTER_NUMBER"] ?? 0);
export const RUN = process.env["CLUSTER_RUN"] ?? `/run/kubectl-checkpoint${NUMBER === 0 ? "" : `-${NUMBER}`}`;
const EXECUTABLE = join(ROOT, "dist/kubectl-checkpoint");

export const ADMIN = join(RUN, "admin.conf");
/** The first three numbers of every machine's address: 1 is the control plane, 10 + N nodeN. */
export const NETWORK = `10.${92 + 3 * NUMBER}.0`;
export const REGISTRY = process.env["CLUSTER_REGISTRY"] ?? `${NETWORK}.1:5000`;
export const BUSYBOX = `${REGISTRY}/busybox:1`;
export const APPS = `${REGISTRY}/apps:1`;

/** Why there is no cluster; the tests that need it print this as their reason to be skipped. */
export const NO_CLUSTER: string | undefined =
  process.env["NO_CLUSTER_BECAUSE"] ?? (existsSync(ADMIN) ? undefined : `the cluster is not up (${ADMIN}): npm run cluster -- up`);

/** Alone: a test that ends parts of the cluster, counts what is in it, or changes what others see. */
type Mode = "--shared" | "--exclusive";

const modes = new Map<string, Mode>();
let ofFile: Mode | undefined;

/** For files whose every test wants the cluster alone. */
export function claimCluster(): void {
  takeTurns("--exclusive");
}

/** For files that stay in a namespace of their own: their tests run beside others like them, but for those that are said to be alone. */
export function shareCluster(): void {
  takeTurns("--shared");
}

let setUps: Promise<void> = Promise.resolve();

/** What a file's tests stand on, one thing after another: node:test runs all before hooks of a file at once. */
export function setUp(body: () => Promise<void>): void {
  if (NO_CLUSTER === undefined) before(async () => await (setUps = setUps.then(body)));
}

/** Files that use the cluster at once: each starts pods all the time, and more of them are no faster on two processors. */
const SLOTS = 2;

function takeTurns(mode: Mode): void {
  ofFile = mode;
  setUp(async () => {
    takeProcessors();
    for (let slot = 0; (await lock(`tests.slot${slot % SLOTS}`, "--nonblock")) === undefined; slot += 1) await sleep(200);
    await hold(mode);
  });
  // Not in the test: its time limit is not for waiting.
  if (NO_CLUSTER === undefined) beforeEach(async (context) => await hold(modes.get(context.name) ?? mode));
}

/** Tests that need no cluster have what these leave of the processors (test/run.sh). */
function takeProcessors(): void {
  try {
    setPriority(0);
  } catch {
    // Not every container lets its root do so: slower, and no less right.
  }
}

let holder: ChildProcess | undefined;

/** Until the next test, so that what a test puts right after itself is still its turn; or until this process ends. */
async function hold(mode: Mode): Promise<void> {
  if (holder !== undefined) {
    holder.ref();
    holder.stdin?.end();
    await once(holder, "exit");
  }
  holder = await lock("tests.lock", mode);
}

/** The process that holds a lock until its standard input ends, or this process; undefined where it is not to be had. */
async function lock(name: string, ...flags: string[]): Promise<ChildProcess | undefined> {
  const child = spawn("flock", [...flags, join(RUN, name), "sh", "-c", "echo held; cat"], { stdio: ["pipe", "pipe", "inherit"] });
  const held = await Promise.race([once(child.stdout, "data").then(() => true), once(child, "exit").then(() => false)]);
  for (const handle of [child, child.stdin, child.stdout]) (handle as { unref?(): void }).unref?.();
  return held ? child : undefined;
}

interface ClusterTestOptions {
  /** Milliseconds. */
  readonly timeout?: number;
  readonly alone?: boolean;
  /** One of several of its kind, the others of which are enough until somebody asks for all. */
  readonly full?: boolean;
}

export function clusterTest(name: string, body: (t: TestContext) => Promise<void>, options: ClusterTestOptions = {}): void {
  if (ofFile === undefined) throw new Error("the file says neither claimCluster nor shareCluster");
  if (options.alone === true) modes.set(name, "--exclusive");
  const left = options.full === true && process.env["FULL"] === undefined ? "only with --full" : undefined;
  void test(name, { skip: NO_CLUSTER ?? left ?? false, timeout: options.timeout ?? 120_000 }, body);
}

/** A namespace of its own for the tests of one file, gone afterwards. */
export function ownNamespace(name: string): string {
  if (NO_CLUSTER === undefined) {
    setUp(async () => {
      await kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false");
      // One that an earlier run left may take its time to go.
      await eventually(async () => (await kubectl("create", "namespace", name)).code === 0, `a new namespace ${name}`);
      await eventually(
        async () => (await kubectl("get", "serviceaccount", "default", "-n", name)).code === 0,
        "the default service account",
      );
    });
    after(async () => await kubectl("delete", "namespace", name, "--wait=false"));
  }
  return name;
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Called once it runs. */
  readonly started?: (child: ChildProcess) => void;
}

/** The environment that commands run in: the cluster's kubectl, its admin, nothing of the caller's own. */
export function environment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { HOME, PATH, TERM, NODE_V8_COVERAGE, CLUSTER_NUMBER, CLUSTER_RUN, CLUSTER_CACHE, KUBERNETES_VERSION } = process.env;
  const path = [join(ROOT, "dist"), join(RUN, "bin"), PATH].join(":");
  const which = { CLUSTER_NUMBER, CLUSTER_RUN, CLUSTER_CACHE, KUBERNETES_VERSION };
  return { HOME, TERM, NODE_V8_COVERAGE, ...which, PATH: path, KUBECONFIG: ADMIN, ...more };
}

/** The command line of the plugin: the executable that users get where it has been built (and FROM_SOURCE is not set), else its source. */
export function pluginCommand(): [string, ...string[]] {
  return existsSync(EXECUTABLE) && process.env["FROM_SOURCE"] === undefined
    ? [EXECUTABLE]
    : [process.execPath, join(ROOT, "cmd/kubectl-checkpoint.ts")];
}

/** Where commands run that are not told where: some leave files. */
const SCRATCH = mkdtempSync(join(tmpdir(), "kubectl-checkpoint-test-"));
process.on("exit", () => rmSync(SCRATCH, { recursive: true, force: true }));

/** What is said every 10 s while a node takes its time to start a pod: of some 1,500 sandboxes one took containerd 30 s. */
const WAITING = /^helper pod on \S+: .* \(\d+s\)\n/gm;

export async function plugin(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const [command, ...before] = pluginCommand();
  const ended = await run(command, [...before, ...args], { cwd: SCRATCH, ...options });
  return { ...ended, stderr: ended.stderr.replaceAll(WAITING, "") };
}

export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return await new Promise((done) => {
    const child = execFile(
      command,
      args,
      { env: environment(options.env), cwd: options.cwd, maxBuffer: 256 * 1024 * 1024 },
      (_error, stdout, stderr) => done({ code: child.exitCode ?? 128 + constants.signals[child.signalCode ?? "SIGKILL"], stdout, stderr }),
    );
    options.started?.(child);
    child.stdin?.end();
  });
}

export async function kubectl(...args: string[]): Promise<Ended> {
  return await run("kubectl", args);
}

/** kubectl apply of one or several objects. Throws with kubectl's words. */
export async function apply(...objects: object[]): Promise<void> {
  const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: objects });
  let stderr = "";
  // The API server hears of a new namespace's service account a moment after it is there.
  const early = /serviceaccount "default" not found/;
  await eventually(async () => !early.test((stderr = await applied(list))), "the service account");
  if (stderr !== "") throw new Error(`kubectl apply: ${stderr}`);
}

async function applied(list: string): Promise<string> {
  const { code, stderr } = await run("kubectl", ["apply", "-f", "-"], { started: (child) => child.stdin?.write(list) });
  return code === 0 ? "" : stderr;
}

export async function getJson<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await kubectl("get", ...args, "-o", "json");
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as T;
}

/** A subcommand of test/cluster/cluster. Throws where it fails. */
export async function cluster(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(join(ROOT, "test/cluster/cluster"), args);
  if (code !== 0) throw new Error(`cluster ${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** What a command prints on a node. */
export async function onNode(node: string, ...command: string[]): Promise<string> {
  return await cluster("node-shell", node, "--", ...command);
}

/** A stage of a request, as the API server's audit log has it. */
export interface RequestStage {
  readonly stage: "RequestReceived" | "ResponseStarted" | "ResponseComplete";
  readonly verb: string;
  readonly requestURI: string;
}

const AUDIT_LOG = join(RUN, "log/audit.log");

/** Where the audit log ends now, in bytes: what comes then is behind it. */
export function auditEnd(): number {
  return statSync(AUDIT_LOG).size;
}

/** Of the requests since then whose URI has this in it, in the order of the log. Questions to the kubelet that checkpoint nothing are left out. */
export function audited(inUri: string, since: number): RequestStage[] {
  const file = openSync(AUDIT_LOG, "r");
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - since));
    const log = bytes.toString("utf8", 0, readSync(file, bytes, 0, bytes.length, since));
    // Its last line may still be on its way.
    const lines = log.slice(0, log.lastIndexOf("\n") + 1).split("\n");
    const stages = lines.filter((line) => line.includes(inUri)).map((line) => JSON.parse(line) as RequestStage);
    return stages.filter(({ requestURI }) => requestURI.includes(inUri) && !requestURI.endsWith("timeout=-1"));
  } finally {
    closeSync(file);
  }
}

export interface PodOptions {
  readonly node?: string;
  readonly annotations?: Record<string, string>;
  readonly labels?: Record<string, string>;
  readonly spec?: object;
}

export function container(name: string, command: string, more: object = {}): object {
  return { name, image: BUSYBOX, command: ["/bin/sh", "-c", command], ...more };
}

export function pod(
  namespace: string,
  name: string,
  containers: readonly object[],
  { node, annotations = {}, labels = {}, spec = {} }: PodOptions = {},
): object {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, annotations, labels },
    spec: { ...(node === undefined ? {} : { nodeName: node }), terminationGracePeriodSeconds: 0, containers, ...spec },
  };
}

export const COUNT = counting("$i");

/**
 * Prints a line with $i every 0.2 s, and starts no program for it: busybox' sh does that with vfork, and CRIU gives up after 10 s
 * where it meets a process between vfork and exec. It did in one of some 600 checkpoints.
 */
export function counting(line: string): string {
  return `sleep inf | while true; do i=$((i+1)); echo ${line}; read -rt 0.2 _; done`;
}

export async function running(namespace: string, ...names: string[]): Promise<void> {
  const { code, stderr } = await kubectl(
    "wait",
    "--for=condition=Ready",
    "--timeout=60s",
    "-n",
    namespace,
    ...names.map((name) => `pod/${name}`),
  );
  if (code !== 0) throw new Error(stderr);
}

/** Until the program in a container has printed a line "ready": a container is running before its program has come anywhere. */
export async function ready(namespace: string, name: string, container?: string): Promise<void> {
  const of = container === undefined ? [] : ["-c", container];
  await eventually(async () => /^ready/m.test((await kubectl("logs", "-n", namespace, name, ...of)).stdout), `${name} is ready`);
}

export async function eventually(condition: () => Promise<boolean>, what: string, seconds = 60): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const asked = Date.now();
    if (await condition()) return;
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`);
    // Who asks takes processors from what is waited for.
    await sleep(Math.max(200, 2 * (Date.now() - asked)));
  }
}

/** A directory that is gone when the test has ended. */
export async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "kubectl-checkpoint-test-"));
  t.after(async () => await rm(directory, { recursive: true, force: true }));
  return directory;
}
