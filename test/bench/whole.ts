// npm run bench whole [-- ROUNDS]: from Enter to a verified file, on the real cluster, in the same rounds: `kubectl checkpoint --copy`, an older
// version of it (OLD=EXECUTABLE), and the way by hand: kubectl create --raw, kubectl debug node, kubectl cp, sha256sum on both sides.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import {
  apply,
  BUSYBOX,
  container,
  COUNT,
  environment,
  kubectl,
  NO_CLUSTER,
  onNode,
  pluginCommand,
  pod,
  run,
  running,
} from "../e2e/harness.ts";
import { measure, printTable, ratioOf, ratioText, secondsText, type Contender, type Times } from "./measure.ts";

const ROUNDS = Number(process.argv[2] ?? 9);
const OLD = process.env["OLD"];
const NODE = "node1";
const NAMESPACE = "default";
const NAME = "bench-whole";
const DIRECTORY = "/var/lib/kubelet/checkpoints";
const DEBUGGER = /Creating debugging pod (\S+)/;
const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX };

if (NO_CLUSTER !== undefined) throw new Error(NO_CLUSTER);
const here = mkdtempSync(join(tmpdir(), "bench-whole-"));

/** Milliseconds until the result line and until the end. */
async function timed(command: readonly string[], more: readonly string[]): Promise<Record<string, number>> {
  const [program = "", ...words] = [...command, NAME, "-n", NAMESPACE, `--copy=${here}/`, ...more];
  const started = performance.now();
  const child = spawn(program, words, { env: environment(env), stdio: ["ignore", "pipe", "pipe"] });
  let line: number | undefined;
  let said = "";
  child.stdout.on("data", () => (line ??= performance.now() - started));
  child.stderr.on("data", (text: Buffer) => (said += text.toString()));
  const code = await new Promise<number | null>((done, fail) => child.on("close", done).on("error", fail));
  if (code !== 0 || line === undefined) throw new Error(said);
  return { "": performance.now() - started, ", result line": line };
}

/** What a reader of the documentation types, each command as soon as the last one has ended. */
async function byHand(): Promise<number> {
  const started = performance.now();
  const say = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run("kubectl", words);
    if (code !== 0) throw new Error(stderr);
    return stdout + stderr;
  };
  const raw = await say("create", "--raw", `/api/v1/nodes/${NODE}/proxy/checkpoint/${NAMESPACE}/${NAME}/c`, "-f", "/dev/null");
  const [path = ""] = (JSON.parse(raw) as { items: string[] }).items;
  const [, name = ""] =
    DEBUGGER.exec(await say("debug", `node/${NODE}`, "-n", NAMESPACE, "--image", BUSYBOX, "--profile", "sysadmin", "--", "sleep", "600")) ??
    [];
  try {
    await say("wait", `pod/${name}`, "-n", NAMESPACE, "--for=condition=Ready", "--timeout=60s");
    const to = join(here, basename(path).replaceAll(":", "-"));
    await say("cp", `${NAMESPACE}/${name}:/host${path}`, to);
    const there = await say("exec", name, "-n", NAMESPACE, "--", "sha256sum", `/host${path}`);
    const sum = createHash("sha256").update(readFileSync(to)).digest("hex");
    if (!there.startsWith(sum)) throw new Error("kubectl cp: other bytes");
  } finally {
    await say("delete", "pod", name, "-n", NAMESPACE, "--force", "--grace-period=0");
  }
  return performance.now() - started;
}

await apply(pod(NAMESPACE, NAME, [container("c", COUNT)], { node: NODE }));
try {
  await running(NAMESPACE, NAME);
  const contenders: Record<string, Contender> = {
    "kubectl checkpoint --copy --prove 0": async () => await timed(pluginCommand(), ["--prove", "0"]),
    "kubectl checkpoint --copy": async () => await timed(pluginCommand(), []),
    ...(OLD === undefined ? {} : { "the version before": async () => await timed([OLD], []) }),
    "by hand": byHand,
  };
  const times = await measure(contenders, ROUNDS);
  const against = (other: string, one: Times): string => {
    const base = times[other];
    return base === undefined || base === one ? "" : ratioText(ratioOf(one, base));
  };
  printTable(
    [`a small container, ${ROUNDS} rounds`, "median (middle half)", "to the version before", "to the way by hand"],
    Object.entries(times)
      .filter(([name]) => name !== "kubectl checkpoint --copy" && name !== "the version before, result line")
      .map(([name, one]) => [name, secondsText(one), against("the version before", one), against("by hand", one)]),
  );
} finally {
  await kubectl("delete", "pod", NAME, "-n", NAMESPACE, "--force", "--grace-period=0");
  await onNode(NODE, "sh", "-c", `rm -f ${DIRECTORY}/checkpoint-${NAME}_*`);
  rmSync(here, { recursive: true });
}
