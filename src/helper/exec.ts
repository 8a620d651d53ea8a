import { Readable } from "node:stream";
import { UserError } from "../model/error.ts";
import { list, object, string } from "../model/json.ts";
import { apiPath, type Connection } from "../cluster/connection.ts";
import { Channels } from "./channels.ts";
import { Gather } from "./gather.ts";
import { CONTAINER } from "./manifest.ts";
import { WORK } from "./paths.ts";
import { gathered, type Transport } from "./transport.ts";
import { upgradeToPod, type PodName } from "./tunnel.ts";

const STDOUT = 1;
const STDERR = 2;
const STATUS = 3;
const MAX_STDERR = 16 * 1024;

/** What channel 3 says in the end: the only proof that a command ended, and how. */
export interface ExecEnd {
  readonly exitCode: number;
  readonly stderr: string;
}

export interface Exec {
  readonly stdout: Readable;
  /** Rejects with ExecBroken where the connection ended without a status. Output can be cut all the same (kubernetes#124571): check it. */
  readonly ended: Promise<ExecEnd>;
}

/**
 * Runs a command in a container of a pod; stdout flows with backpressure.
 * Throws an ApiFailure (needs get and create on pods/exec). The command goes on in the pod when the reader leaves.
 */
export async function exec(connection: Connection, pod: PodName, container: string, command: readonly string[]): Promise<Exec> {
  const path = apiPath`/api/v1/namespaces/${pod.namespace}/pods/${pod.name}/exec`;
  const query = [
    ...command.map((word): [string, string] => ["command", word]),
    ["container", container],
    ["stdout", "true"],
    ["stderr", "true"],
  ] as const;
  const socket = await upgradeToPod(connection, pod, { path, query }, "v5.channel.k8s.io");
  let stderr = "";
  let status = "";
  const { promise: ended, resolve, reject } = Promise.withResolvers<ExecEnd>();
  ended.catch(() => undefined);
  const stdout = new Readable({
    highWaterMark: 256 * 1024,
    read: () => channels.resume(),
    destroy: (error, done) => {
      channels.destroy();
      done(error);
    },
  });
  const gather = new Gather((bytes) => stdout.push(bytes));
  const channels = new Channels(socket, {
    data: (channel, piece) => {
      if (channel === STDOUT && !gather.add(piece)) channels.pause();
      if (channel === STDERR && stderr.length < MAX_STDERR) stderr += piece.toString("utf8");
      if (channel === STATUS && status.length < MAX_STDERR) status += piece.toString("utf8");
    },
    closed: (code) => {
      gather.flush();
      const exitCode = exitCodeOf(status);
      if (exitCode !== undefined) {
        stdout.push(null);
        resolve({ exitCode, stderr });
        return;
      }
      const why = status === "" ? `the connection was lost (${code})` : status;
      const error = new UserError({ reason: "ExecBroken", message: "the command in the helper pod was interrupted", why });
      stdout.destroy(error);
      reject(error);
    },
  });
  return { stdout, ended };
}

/** Of a Status: success, or a failure whose causes hold the exit code; undefined where it says neither. */
function exitCodeOf(text: string): number | undefined {
  try {
    const status = object(JSON.parse(text));
    if (status["status"] === "Success") return 0;
    const cause = list(object(status["details"])["causes"])
      .map(object)
      .find((one) => one["reason"] === "ExitCode");
    const code = Number(string(cause?.["message"]));
    return cause !== undefined && Number.isInteger(code) ? code : undefined;
  } catch {
    return undefined;
  }
}

/** Operations by exec, where there is no way to the pod's httpd. */
export function execTransport(connection: Connection, pod: PodName): Transport {
  const pourExec: Transport["pour"] = async (operation, sink, signal, enough) => {
    const { stdout, ended } = await exec(connection, pod, CONTAINER, ["sh", `${WORK}/op`, ...operation]);
    const aborted = (): void => void stdout.destroy(signal.reason as Error);
    signal.addEventListener("abort", aborted, { once: true });
    try {
      for await (const piece of stdout) {
        await sink(piece as Buffer);
        if (enough.aborted) return;
      }
      await ended;
    } finally {
      signal.removeEventListener("abort", aborted);
    }
  };
  return {
    kind: "exec",
    ask: async (operation, signal) => await gathered(async (sink, enough) => await pourExec(operation, sink, signal, enough)),
    pour: pourExec,
    close: async () => undefined,
  };
}
