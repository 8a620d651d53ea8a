import type { Explanation, UserError } from "../model/error.ts";
import { command, say, type Phrase, type Text } from "../model/phrase.ts";
import { atLeast, parseRuntime } from "../model/runtime.ts";
import { CriuLogReader } from "./criu-causes.ts";
import { logPathsIn, quotedLog } from "./criu-log.ts";
import { CriuFailure, type About, type CheckpointTarget } from "./target.ts";

interface Known {
  readonly said: RegExp;
  readonly explain: (target: CheckpointTarget, about: About, match: RegExpExecArray, said: string) => Explanation | UserError;
}

/**
 * What a runtime's words for a failed checkpoint mean, as the kubelet passes them on. Seen with containerd 1.7 to 2.4 and CRI-O 1.36
 * and main, with runc and crun; of others read in their sources. Undefined where they are not known.
 */
export function explainRuntime(said: string, target: CheckpointTarget, about: About): Explanation | UserError | undefined {
  for (const known of KNOWN) {
    const match = known.said.exec(said);
    if (match !== null) return known.explain(target, about, match, said);
  }
  return undefined;
}

/** Of a long text the end is worth more: Go puts the cause last. */
const HEAD = 300;
const TAIL = 700;

/** The runtime's words without what the kubelet and gRPC put before them, and not at any length. */
export function runtimeWords(said: string): string {
  const inner = /^checkpointing of \S+ failed \((?<words>.*)\)$/s.exec(said.trim())?.groups?.["words"] ?? said.trim();
  const words = inner.replace(/^rpc error: code = Unknown desc = /, "");
  return words.length <= HEAD + TAIL ? words : `${words.slice(0, HEAD)} … ${words.slice(-TAIL)}`;
}

const INSTALL = "install CRIU 4.2 or later (Debian, Ubuntu: apt install criu)";
/** Which check CRIU once for each start of theirs. */
const RESTART = "then restart its runtime, which looks for CRIU only when it starts (running containers are not affected)";

function what({ pod, container }: CheckpointTarget): Phrase {
  return say`container ${container} in pod/${pod}`;
}

function isCrio({ runtime = "", containerID = "" }: About): boolean {
  return runtime.startsWith("cri-o://") || containerID.startsWith("cri-o://");
}

/** The first that fits counts. */
const KNOWN: readonly Known[] = [
  {
    // containerd's word; CRI-O's, whose runc does not pause twice.
    said: /cannot pause a paused container|failed to pause container .*container not running.*container process not found/s,
    explain: (target, about) => ({
      reason: "ContainerPaused",
      message: say`${what(target)} is paused`,
      why: "another checkpoint of it is in progress, or a failed one left it frozen (runc#3577)",
      fix: say`wait for the other checkpoint, then rerun. If there is none, the container stays frozen until it is resumed; on ${target.node}: ${resumeCommand(about)}`,
    }),
  },
  {
    // runc: version 1 of cgroups after 1,000 looks, some 0.3 s; version 2 after 10 s. It lets the container run before it says so.
    said: /unable to freeze|waiting for the cgroup to freeze/,
    explain: (target) => ({
      reason: "FreezeFailed",
      message: say`cannot freeze ${what(target)}; no checkpoint was taken`,
      why: "the runtime waited for all of its processes to stop, and gave up: the node is very busy, or the container starts processes all the time",
      fix: "rerun when the node is less busy",
    }),
  },
  {
    // containerd 2.1: directory and writer are one a container, the image's name one a second; whoever begins or ends removes the directory,
    // and whoever ends lets the container run. A file that vanishes or changes its length under a tar can have no other cause: all else is paused.
    said: /ctrd-checkpoint\S*: (no such file or directory|file exists|directory not empty)|failed to create diff tar stream: .*(short write|write too long|no such file or directory)|ref \S+\/checkpoint-\S+ locked for |image "containerd\.io\/checkpoint\/\S+: already exists/,
    explain: (target) => ({
      reason: "CheckpointCollision",
      message: say`two checkpoints of ${what(target)} were written at the same time, and this one failed`,
      why: "containerd collects the files of both in one directory: the archive of the other one may hold files of both",
      fix: "when the other one has ended, take a new checkpoint",
    }),
  },
  {
    said: /\/containers\/[0-9a-f]+\/status: no such file or directory/,
    explain: (target, _about, _match, said) => ({
      reason: "ContainerStatusMissing",
      message: say`containerd could not read the status of ${what(target)}`,
      why: say`${runtimeWords(said)} (a passing state: containerd#12759)`,
      fix: "rerun the command",
    }),
  },
  {
    said: /could not load `?libcriu\.so\.2/,
    explain: ({ node }, _about, _match, said) => ({
      reason: "LibcriuMissing",
      message: say`crun on the node ${node} cannot load CRIU's library`,
      why: runtimeWords(said),
      fix: say`on ${node}, install the package that has libcriu.so.2 (Debian, Ubuntu: apt install libcriu2; Fedora: dnf install criu-libs), then rerun`,
    }),
  },
  {
    said: /(compiled|built) without CRIU support|CRIU support is not compiled/i,
    explain: ({ node }, _about, _match, said) => ({
      reason: "BuiltWithoutCRIU",
      message: say`the OCI runtime on the node ${node} was built without CRIU support`,
      why: runtimeWords(said),
      fix: say`on ${node}, use runc, or a crun whose crun --version lists +CRIU`,
    }),
  },
  {
    said: /(?:requires at least CRIU|CRIU version (?:must be|too old)|not found or too old).*?current version is (\d+)|requires at least CRIU \d+|CRIU version .* (?:must be|too old)/is,
    explain: ({ node }, _about, [, version], said) => ({
      reason: "CRIUTooOld",
      message: say`the CRIU on the node ${node} is too old${version === undefined ? say`` : say` (${criuVersion(version)})`}`,
      why: runtimeWords(said),
      fix: restartOrNot(node, said),
    }),
  },
  {
    // 2.1: both cases have these words.
    said: /CRIU binary not found or too old/,
    explain: ({ node }, _about, _match, said) => ({
      reason: "CRIUMissing",
      message: say`the node ${node} has no CRIU, or one that is too old: the runtime checkpoints with it`,
      why: runtimeWords(said),
      fix: restartOrNot(node, said),
    }),
  },
  {
    said: /criu binary not found|exec: "criu"|criu: executable file not found|failed to retrieve criu version/i,
    explain: ({ node }, _about, _match, said) => ({
      reason: "CRIUMissing",
      message: say`the runtime on the node ${node} found no CRIU, which it checkpoints with`,
      why: runtimeWords(said),
      fix: restartOrNot(node, said),
    }),
  },
  {
    // runc, whose CRIU was killed: it lets the container run.
    said: /read unixpacket [^ ]*: EOF/,
    explain: (target, _about, _match, said) => ({
      reason: "CRIUKilled",
      message: say`CRIU was killed, or crashed, while it dumped ${what(target)}; no checkpoint was taken`,
      why: runtimeWords(said),
      fix: "if nobody on the node killed it, see the kernel's log there (dmesg) for the reason, then rerun",
    }),
  },
  {
    // runc, crun, and how CRI-O says that it called either.
    said: /criu failed: type (?<type>\w+) errno (?<errno>\d+)|CRIU checkpointing failed|excerpt from CRIU log|checkpoint"? .*--work-path/is,
    explain: (target, _about, match, said) => criuFailed(target, match.groups ?? {}, said),
  },
  {
    said: /criu support is disabled by configuration/i,
    explain: ({ node }, _about, _match, said) => ({
      reason: "RuntimeUnsupported",
      message: say`checkpoints are switched off in the configuration of containerd on ${node}`,
      why: runtimeWords(said),
      fix: say`on ${node}, in containerd's config.toml under [plugins.'io.containerd.cri.v1.runtime']: enable_criu = true; then restart containerd`,
    }),
  },
  {
    said: /checkpoint\/restore support not available/i,
    explain: ({ node }, { runtime = "" }, _match, said) => ({
      reason: "RuntimeUnsupported",
      message: say`CRI-O on ${node} does not checkpoint`,
      why: say`${runtimeWords(said)}: when CRI-O started, it found no CRIU, or its configuration switched checkpoints off`,
      fix: say`on ${node}, ${INSTALL} where it is missing, and see that CRI-O's configuration does not switch it off: ${crioSwitch(runtime)}; then restart CRI-O, which looks for CRIU only when it starts (running containers are not affected)`,
    }),
  },
  {
    said: /CheckpointContainer not implemented|unknown method CheckpointContainer|code = Unimplemented/i,
    explain: unimplemented,
  },
  { said: /container \S+ is not running|only CONTAINER_RUNNING containers can be checkpointed/i, explain: notRunning },
  {
    said: /context deadline exceeded|DeadlineExceeded/i,
    explain: (target, _about, _match, said) => ({
      reason: "RuntimeTimedOut",
      message: say`the checkpoint of ${what(target)} took longer than the kubelet lets its runtime take`,
      why: runtimeWords(said),
      fix: say`see whether the container is frozen, for CRIU waits without end for stopped processes: ${command`kubectl checkpoint doctor ${target.pod} -c ${target.container} -n ${target.namespace} --deep`}. If not, give a longer --timeout; runtimeRequestTimeout in the kubelet's configuration may limit it`,
    }),
  },
];

export function notRunning({ node, namespace, pod, container }: CheckpointTarget): Explanation {
  return {
    reason: "ContainerNotRunning",
    message: say`container ${container} in pod/${pod} is not running on ${node}: only running containers can be checkpointed`,
    fix: command`kubectl get pod ${pod} -n ${namespace}`,
  };
}

function resumeCommand(about: About): Phrase {
  const id = /\/\/([0-9a-f]+)$/.exec(about.containerID ?? "")?.[1] ?? "CONTAINER-ID";
  return isCrio(about)
    ? command`runc --root /run/runc resume ${id} (crun: crun --root /run/crun resume ${id})`
    : command`ctr -n k8s.io task resume ${id}`;
}

/** "31500" is 3.15. */
function criuVersion(digits: string): string {
  const number = Number(digits);
  return `${Math.floor(number / 10_000)}.${Math.floor(number / 100) % 100}`;
}

/** containerd 2.1, and CRI-O for a CRIU that has gone since its start, look for CRIU at each call. */
function restartOrNot(node: string, said: string): Phrase {
  const again = /\)\. Failed to checkpoint container|failed to check for criu version|CRIU version check failed|check for CRIU/.test(said);
  return again ? say`on ${node}, ${INSTALL}, then rerun` : say`on ${node}, ${INSTALL}, ${RESTART}`;
}

/** Where CRI-O's configuration says whether it checkpoints, by its version. */
function crioSwitch(runtime: string): string {
  const version = parseRuntime(runtime)?.version;
  const old = "[crio.runtime] enable_criu_support = true";
  const next = '[crio.checkpoint_restore] container_level_enabled = "checkpoint_restore"';
  if (version !== undefined && !atLeast(version, [1, 30])) return `${old} (it is off by default before CRI-O 1.30)`;
  if (version !== undefined && atLeast(version, [1, 37])) return next;
  return `${old} (the default since 1.30), and where there is such a section, ${next}`;
}

function unimplemented(
  { node }: CheckpointTarget,
  { runtime = "", runtimeClass }: About,
  _match: RegExpExecArray,
  said: string,
): Explanation {
  const reason = "RuntimeUnsupported";
  const why = runtimeWords(said);
  if (runtimeClass !== undefined)
    return {
      reason,
      message: say`the runtime class ${runtimeClass} of the pod does not checkpoint`,
      why,
      fix: "gVisor, Kata Containers and their like run containers in sandboxes of their own, which the kubelet's checkpoint does not reach: only runc and crun checkpoint",
    };
  const known = parseRuntime(runtime);
  const old = known?.name === "containerd" && !atLeast(known.version, [2, 0]);
  const fix: Text = old ? say`upgrade containerd on ${node} to 2.0 or later` : "it takes containerd 2.0 or later, or CRI-O 1.25 or later";
  return {
    reason,
    message: say`the container runtime of ${node}${known === undefined ? say`` : say` (${runtime})`} does not checkpoint`,
    why,
    fix,
  };
}

/** With its cause where the answer quotes CRIU's log, as CRI-O does with runc. */
function criuFailed(target: CheckpointTarget, { type, errno }: Readonly<Record<string, string>>, said: string): UserError {
  const reason = "CRIUFailed";
  const message = say`CRIU could not checkpoint ${what(target)}`;
  const logs = logPathsIn(said);
  const [log] = logs;
  const reader = new CriuLogReader();
  for (const line of quotedLog(said)) reader.read(Buffer.from(`${line}\n`));
  const found = reader.failure();
  const readIt =
    log === undefined
      ? say`read CRIU's dump.log on ${target.node}`
      : say`rerun with --explain, or read the log on the node: ${`${target.node}:${log}`}`;
  if (found.known) return new CriuFailure(logs, { reason, message, why: found.why, fix: found.fix });
  const how = type === undefined || errno === undefined ? say`` : say` (type ${type}, errno ${errno})`;
  const why = found.lines === 0 ? say`CRIU failed${how}: the cause is only in its log on the node` : found.why;
  return new CriuFailure(logs, { reason, message, why, fix: readIt });
}
