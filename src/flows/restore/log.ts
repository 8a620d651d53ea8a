import { apiPath } from "../../cluster/connection.ts";
import { waitFor } from "../../cluster/watch.ts";
import { exec } from "../../helper/exec.ts";
import type { Helper } from "../../helper/directory.ts";
import type { Helpers } from "../../helper/helpers.ts";
import { CONTAINER } from "../../helper/manifest.ts";
import { ARCHIVES } from "../../helper/paths.ts";
import { CriuLogReader, type Failure } from "../../kubelet/criu-causes.ts";
import { Disposal } from "../../model/disposal.ts";
import { UserError } from "../../model/error.ts";
import { list, object, string, type Json } from "../../model/json.ts";
import { say } from "../../model/phrase.ts";
import type { FlowContext } from "../context.ts";
import { helperRights, requireRights } from "../rights.ts";
import type { Watched } from "./watch.ts";

/** Where containerd, and the distributions that embed it, keep what belongs to a running container. */
const DIRECTORIES = ["/var/lib/containerd", "/var/lib/rancher/k3s/agent/containerd", "/var/lib/rancher/rke2/agent/containerd"].map(
  (root) => `${root}/io.containerd.runtime.v2.task/k8s.io`,
);
/** The kubelet tries again 10 s after the first failure, 20 s after the second. */
const PATIENCE_SECONDS = 45;
/** In bytes; CRIU's log of a restore has some hundred KiB. */
const LONGEST_LOG = 32 << 20;
const LATE_MS = 6000;

/**
 * CRIU's log of a failed restore is gone with its container, a moment after it was written. So the next try is waited for: a new
 * container's log is opened as soon as it is there, and read when it has been deleted.
 */
const CATCH = `cd ${ARCHIVES} || exit 1
known=" $(echo *) "
end=$(($(date +%s) + ${PATIENCE_SECONDS}))
nap() { sleep 0.05 2>/dev/null || sleep 1; }
while [ $(date +%s) -lt $end ]; do
  for d in *; do
    case $known in *" $d "*) continue ;; esac
    [ -f "$d/restore.log" ] || continue
    {
      n=0
      while [ -e "$d/restore.log" ] && [ $n -lt 200 ]; do nap; n=$((n + 1)); done
      if [ ! -e "$d/restore.log" ]; then echo "$d"; cat <&3; exit 0; fi
    } 3<"$d/restore.log" 2>/dev/null
    known="$known$d "
  done
  nap
done
exit 3`;

/** Why CRIU failed, by its log of the next try; undefined where the log cannot be had, which is a warning. */
export async function readLog(
  context: FlowContext,
  helpers: Helpers,
  watched: Watched,
  node: string,
): Promise<Pick<Failure, "why" | "fix"> | undefined> {
  const lane = `log ${node}`;
  try {
    const rights = helperRights(await helpers.namespace());
    return await requireRights(context.connection, rights, async () => {
      await using stack = new Disposal();
      const helper = await helperWhereContainersAre(helpers, node, stack);
      context.emit({ kind: "activity", lane, text: say`waiting for the next attempt on ${node}, to read CRIU's log` });
      const { id, log } = await caught(context, helper);
      if (!(await isOf(context, watched, id))) throw missed("it was another container's");
      const reader = new CriuLogReader();
      reader.read(log);
      return reader.failure();
    });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    context.emit({ kind: "warning", text: say`cannot read CRIU's log: ${error.said.message}` });
    return undefined;
  } finally {
    context.emit({ kind: "idle", lane });
  }
}

async function helperWhereContainersAre(helpers: Helpers, node: string, stack: Disposal): Promise<Helper> {
  for (const directory of DIRECTORIES) {
    try {
      return await stack.use(helpers.directory(node, "criu-log", directory)).ready();
    } catch (error) {
      if (!(error instanceof UserError && error.reason === "HelperMount")) throw error;
    }
  }
  throw missed("the directories of containerd were not found");
}

async function caught({ connection, signal }: FlowContext, { pod }: Helper): Promise<{ id: string; log: Buffer }> {
  const { stdout, ended } = await exec(connection, pod, CONTAINER, ["sh", "-c", CATCH]);
  const stop = (): void => void stdout.destroy();
  signal.addEventListener("abort", stop);
  try {
    const parts: Buffer[] = [];
    let size = 0;
    for await (const part of stdout as AsyncIterable<Buffer>) {
      size += part.length;
      if (size <= LONGEST_LOG) parts.push(part);
    }
    if ((await ended).exitCode !== 0) throw missed("the kubelet did not try again");
    const bytes = Buffer.concat(parts);
    const line = bytes.indexOf("\n");
    return { id: bytes.toString("latin1", 0, line), log: bytes.subarray(line + 1) };
  } finally {
    signal.removeEventListener("abort", stop);
    signal.throwIfAborted();
  }
}

/** Whether it is the container's latest try; the kubelet says so a moment later. */
async function isOf({ connection, signal }: FlowContext, { namespace, pod, container }: Watched, id: string): Promise<boolean> {
  const late = AbortSignal.timeout(LATE_MS);
  const place = { path: apiPath`/api/v1/namespaces/${namespace}/pods`, name: pod, signal: AbortSignal.any([signal, late]) };
  const isLatest = (found: Json | undefined): true | undefined => {
    const status = list(object(found?.["status"])["containerStatuses"])
      .map(object)
      .find(({ name }) => name === container);
    const states = [status?.["state"], status?.["lastState"]].map((state) => object(object(state)["terminated"])["containerID"]);
    return [status?.["containerID"], ...states].some((one) => string(one).endsWith(`//${id}`)) ? true : undefined;
  };
  return await waitFor(connection, place, ([found]) => isLatest(found)).catch((error: unknown) => {
    if (!late.aborted || signal.aborted) throw error;
    return false;
  });
}

function missed(why: string): UserError {
  return new UserError({ reason: "LogMissed", message: why });
}
