// Cores of processes that ran in pods: gdb shows the same stacks as of the live process just before, py-spy the lines of both threads.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { program, tool } from "../tools/tool.ts";
import {
  APPS,
  apply,
  BUSYBOX,
  clusterTest,
  eventually,
  getJson,
  kubectl,
  NO_CLUSTER,
  ownNamespace,
  plugin,
  pod,
  running,
  shareCluster,
  temporaryDirectory,
} from "./harness.ts";
import { CA } from "./skopeo.ts";

shareCluster();
const NAMESPACE = ownNamespace("e2e-cores");
const SOURCES = join(import.meta.dirname, "threads");
const GDB = NO_CLUSTER === undefined ? program("gdb") : undefined;
const LONG = { timeout: 400_000 };

function app(name: string, command: readonly string[], env: Readonly<Record<string, string>> = {}): object {
  const variables = Object.entries(env).map(([key, value]) => ({ name: key, value }));
  return pod(NAMESPACE, name, [{ name: "app", image: APPS, command, env: variables }]);
}

/** The first process of a pod's container, as this machine numbers it: programs that set their title write over their environment, so by its control group. */
async function hostPid(name: string): Promise<number> {
  const { status } = await getJson<{ status: { containerStatuses: { containerID: string }[] } }>("pod", name, "-n", NAMESPACE);
  const id = status.containerStatuses[0]?.containerID.replace(/^.*\/\//, "") ?? "none";
  for (const pid of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const [cgroup, own] = ["cgroup", "status"].map((file) => readFileSync(`/proc/${pid}/${file}`, "latin1"));
      if (cgroup?.includes(id) === true && /^NSpid:.*\s1$/m.test(own ?? "")) return Number(pid);
    } catch {
      // It has ended.
    }
  }
  throw new Error(`no process of ${name}`);
}

/** The frames of each thread, in their order. The instruction of the innermost one differs where its call is entered again. */
function stacks(words: readonly string[]): string[][] {
  const [command = "", ...before] = GDB ?? [];
  const { stdout, stderr } = spawnSync(
    command,
    [...before, "-q", "-batch", ...words, "-ex", "set width 0", "-ex", "thread apply all -ascending bt"],
    {
      encoding: "utf8",
      maxBuffer: 64 << 20,
    },
  );
  const threads = stdout.split(/^Thread \d+ \(/m).slice(1);
  assert.ok(threads.length > 0, stderr);
  return threads.map((thread) =>
    [...thread.matchAll(/^#(\d+) +(.*)$/gm)].map(([, number, frame = ""]) => {
      const shown = frame.replace(/ from .*$/, "").replace(/ at (?:.*\/)?([^/]+:\d+)$/, " at $1");
      return number === "0" ? shown.replace(/^0x[\da-f]+ in /, "") : shown;
    }),
  );
}

interface Extraction {
  readonly items: readonly {
    readonly path: string;
    readonly pid: number;
    readonly threadNames: string;
    readonly commands: Readonly<Record<string, string>>;
  }[];
  readonly root: { readonly path: string };
}

/** Checkpoints a pod, and writes the core of its first process with the root file system of its image. */
async function coreOf(t: TestContext, name: string): Promise<Extraction & { readonly archive: string }> {
  const directory = await temporaryDirectory(t);
  const archive = join(directory, "it.tar");
  const taken = await plugin(["-n", NAMESPACE, name, `--copy=${archive}`, "--yes", "--prove", "0", "--helper-image", BUSYBOX]);
  assert.equal(taken.code, 0, taken.stderr);
  const to = join(directory, "cores");
  const ended = await plugin(["extract", archive, "--core", "--pid", "1", "--base-image", "--ca-file", CA, "--to", to, "-o", "json"]);
  assert.equal(ended.code, 0, ended.stderr);
  return { ...(JSON.parse(ended.stdout) as Extraction), archive };
}

/** The printed command line of gdb, as its words. */
function words(commandLine: string): string[] {
  return [...commandLine.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "").slice(1);
}

async function sameStacks(t: TestContext, name: string): Promise<string[][]> {
  const live = stacks(["-p", String(await hostPid(name))]);
  const { items } = await coreOf(t, name);
  const [core] = items;
  assert.ok(core !== undefined);
  assert.equal(statSync(core.path).mode & 0o777, 0o600);
  const dead = stacks(words(core.commands["gdb"] ?? ""));
  assert.deepEqual(dead, live);
  return dead;
}

const WITHOUT_GDB = "gdb is not installed: apt-get install gdb";

clusterTest(
  "a C program of 65 threads: frames, arguments and lines are those of the live process",
  async (t) => {
    if (GDB === undefined) return t.skip(WITHOUT_GDB);
    const directory = await temporaryDirectory(t);
    execFileSync("gcc", ["-g", "-O0", "-pthread", "-o", join(directory, "many"), "many.c"], { cwd: SOURCES });
    const binary = readFileSync(join(directory, "many")).toString("base64");
    const script =
      'for n in 0 1 2 3 4 5 6 7 8 9; do eval "printf %s \\"\\$B$n\\""; done | base64 -d >/tmp/many && chmod +x /tmp/many && exec /tmp/many';
    const parts = Object.fromEntries(
      Array.from({ length: 10 }, (_, index) => [`B${index}`, binary.slice(index * 8000, (index + 1) * 8000)]),
    );
    assert.ok(binary.length <= 80_000);
    await apply(app("many", ["sh", "-c", script], parts));
    await running(NAMESPACE, "many");
    await eventually(async () => (await kubectl("exec", "-n", NAMESPACE, "many", "--", "ls", "/tmp/ready")).code === 0, "65 threads");
    const threads = await sameStacks(t, "many");
    assert.equal(threads.length, 65);
    assert.ok(
      threads.some((frames) => frames.some((frame) => /deeper \(depth=7, value=\d+(\.5)?\) at many\.c:9/.test(frame))),
      threads[9]?.join("\n") ?? "",
    );
  },
  { ...LONG, full: true },
);

clusterTest(
  "redis: the stacks of its threads are those of the live process",
  async (t) => {
    if (GDB === undefined) return t.skip(WITHOUT_GDB);
    await apply(app("redis", ["redis-server", "--save", ""]));
    await running(NAMESPACE, "redis");
    const threads = await sameStacks(t, "redis");
    assert.ok(threads.length >= 5);
  },
  { ...LONG, full: true },
);

clusterTest(
  "Python in a deadlock: stacks as of the live process, py-spy shows the lines of both threads, another image is refused",
  async (t) => {
    const locks = readFileSync(join(import.meta.dirname, "../data/threads/locks.py"), "utf8");
    await apply(app("python", ["python3", "-c", locks, "/tmp/ready"]));
    await running(NAMESPACE, "python");
    await eventually(async () => (await kubectl("exec", "-n", NAMESPACE, "python", "--", "ls", "/tmp/ready")).code === 0, "a deadlock");
    if (GDB === undefined) t.diagnostic(WITHOUT_GDB);
    else assert.equal((await sameStacks(t, "python")).length, 5);
    const { items, archive } = await coreOf(t, "python");
    const [core] = items;
    assert.ok(core !== undefined);
    const pySpy = tool("py-spy");
    if (pySpy.path === undefined) return t.skip(pySpy.missing);
    // The line as it is printed; py-spy is on the PATH.
    const line = core.commands["py-spy"] ?? "";
    const shown = execFileSync("sh", ["-c", line], {
      encoding: "utf8",
      env: { PATH: `${join(pySpy.path, "..")}:${process.env["PATH"] ?? ""}` },
    });
    for (const thread of ["forwards", "backwards"])
      assert.match(shown, new RegExp(`Thread \\d+: "lock ${thread}"\\n +take \\(<string>:8\\)\\n +Thread\\.run `), shown);
    const inspected = await plugin(["inspect", archive, "--threads", "--root", join(archive, "../cores/root")]);
    // Debian's libc has its exported functions alone.
    assert.match(inspected.stdout, / at {9}\/usr\/lib\/x86_64-linux-gnu\/libc\.so\.6\+0x\w+/);
    assert.match(
      inspected.stdout,
      /Deadlocks\nthread \d+ waits for a Python RLock that thread \d+ holds, which waits for one that thread \d+ holds\n/,
    );
    const wrong = await plugin(["extract", archive, "/", `--base-image=${BUSYBOX}`, "--ca-file", CA, "--to", join(archive, "../wrong")]);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /^error: the image is not the one that the container was made from: there is no \/usr\/bin\/python3/m);
    assert.ok(!readdirSync(join(archive, "..")).includes("wrong"));
  },
  LONG,
);
