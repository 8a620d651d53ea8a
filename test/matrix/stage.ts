// What a row is tried on: two nodes of its kind, a namespace with a pod that counts and one that cannot be dumped, a directory here.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ADMIN,
  apply,
  APPS,
  BUSYBOX,
  cluster,
  container,
  counting,
  eventually,
  kubectl,
  plugin,
  pod,
  REGISTRY,
  running,
  type Ended,
} from "../e2e/harness.ts";
import type { Row } from "./rows.ts";

export const CA = join(ADMIN, "../pki/ca.crt");

/** Says another token whenever it is started anew, makes a file, and deletes one. */
const COUNTER = `echo made >/data/made; rm -f /etc/group; t=$(cat /proc/sys/kernel/random/uuid); ${counting("$t $i")}`;
/** A process with both ends of an established connection, which CRIU does not dump unasked. */
const TALK =
  "import socket,time\ns=socket.create_server(('127.0.0.1',9000))\nc=socket.create_connection(('127.0.0.1',9000))\na=s.accept()\nwhile True: time.sleep(1)";

export interface Stage extends AsyncDisposable {
  readonly row: Row;
  /** Where the pods run, and where they can be moved to. */
  readonly source: string;
  readonly target: string;
  readonly namespace: string;
  readonly directory: string;
  /** HOST:PORT/NAME:TAG of this run, which nothing has been pushed to. */
  readonly reference: (name: string) => string;
  /** The plugin's words, in this namespace. */
  readonly run: (...words: string[]) => Promise<Ended>;
  /** The words of a verb that knows no cluster. */
  readonly runHere: (...words: string[]) => Promise<Ended>;
  /** The last line of a counter. */
  readonly counted: (pod: string) => Promise<Count>;
}

export interface Count {
  readonly token: string;
  readonly count: number;
}

export async function setStage(row: Row): Promise<Stage> {
  const name = `matrix-${row.spec.replaceAll(".", "").replaceAll("+", "-")}`;
  const [source, target] = [`${name}-a`, `${name}-b`];
  // New ones, also where an earlier run was killed: what its nodes have pulled is there.
  for (const node of [source, target]) await cluster("remove", node).catch(() => undefined);
  await cluster("up", "--node", `${source}=${row.spec}`, "--node", `${target}=${row.spec}`);
  await kubectl("delete", "namespace", name, "--ignore-not-found");
  await kubectl("create", "namespace", name);
  await apply(
    ...["counter", "mover"].map((counter) => pod(name, counter, [container("counter", COUNTER)], { node: source })),
    pod(name, "talks", [{ name: "talks", image: APPS, command: ["python3", "-c", TALK] }], { node: source }),
  );
  await running(name, "counter", "mover", "talks");
  const directory = await mkdtemp(join(tmpdir(), "kubectl-checkpoint-matrix-"));
  const run = Date.now();
  const stage: Stage = {
    row,
    source,
    target,
    namespace: name,
    directory,
    reference: (image) => `${REGISTRY}/matrix/${image}-${run}:1`,
    run: async (...words) => {
      return await plugin([...words, "-n", name], {
        cwd: directory,
        env: { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX, KUBECTL_CHECKPOINT_HELPER_NAMESPACE: name },
      });
    },
    runHere: async (...words) => await plugin(words, { cwd: directory }),
    counted: async (counter) => {
      const { stdout } = await kubectl("logs", "-n", name, counter, "--tail=1");
      const [token = "", count] = stdout.trim().split(" ");
      return { token, count: Number(count ?? 0) };
    },
    [Symbol.asyncDispose]: async () => {
      await kubectl("delete", "namespace", name, "--wait=false");
      await cluster("remove", source, target);
      await rm(directory, { recursive: true });
    },
  };
  await eventually(async () => (await stage.counted("counter")).count > 5 && (await stage.counted("mover")).count > 5, "a few counts");
  return stage;
}

/** That a counter is the one it was and counts on. */
export async function countsOn(stage: Stage, counter: string, before: Count): Promise<void> {
  await eventually(
    async () => {
      const now = await stage.counted(counter);
      if (now.token !== before.token) throw new Error(`${counter} was started anew: ${now.token}, before ${before.token}`);
      return now.count > before.count;
    },
    `${counter} counts on`,
    20,
  );
}
