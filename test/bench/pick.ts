// npm run bench pick [-- PODS]: the picker over 10,000 pods in the real API server (objects are enough), in a pseudo-terminal,
// against `kubectl get pods -A` in the same run: first rows, whole list, peak memory, milliseconds a keystroke.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Connection } from "../../src/cluster/connection.ts";
import { ADMIN, BUSYBOX, kubectl, NO_CLUSTER } from "../e2e/harness.ts";
import { Terminal } from "../e2e/terminal.ts";
import { context, NO_OPTIONS } from "../fakes.ts";
import { median, printTable } from "./measure.ts";

const PODS = Number(process.argv[2] ?? 10_000);
const ROUNDS = 5;
const NAMESPACE = "bench-pick";
const TERM = "pod-0123";

if (NO_CLUSTER !== undefined) throw new Error(NO_CLUSTER);
const connection = await Connection.open({ ...NO_OPTIONS, kubeconfig: ADMIN }, context(new AbortController().signal));

async function send(method: "POST" | "PATCH", path: string, body: object): Promise<void> {
  const { status, text } = await connection.call({
    method,
    path,
    body,
    contentType: method === "PATCH" ? "application/merge-patch+json" : "application/json",
  });
  if (status >= 300 && status !== 409) throw new Error(text);
}

/** Objects that look like running pods. No scheduler takes them, no kubelet knows them. */
async function createPods(): Promise<void> {
  await send("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
  await sleep(2000);
  const path = `/api/v1/namespaces/${NAMESPACE}/pods`;
  const names = Array.from({ length: PODS }, (_, index) => `pod-${String(index).padStart(5, "0")}`);
  const create = async (name: string): Promise<void> => {
    const containers = [{ name: "app", image: BUSYBOX }];
    await send("POST", path, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, labels: { app: "bench" } },
      spec: { schedulerName: "nobody", containers },
    });
    const state = { running: { startedAt: "2026-11-24T00:00:00Z" } };
    const containerStatuses = [
      {
        name: "app",
        image: BUSYBOX,
        imageID: BUSYBOX,
        containerID: `containerd://${name}`,
        ready: true,
        started: true,
        restartCount: 0,
        state,
      },
    ];
    await send("PATCH", `${path}/${name}/status`, { status: { phase: "Running", containerStatuses } });
  };
  const worker = async (): Promise<void> => {
    for (let name = names.shift(); name !== undefined; name = names.shift()) await create(name);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

interface Picked {
  readonly first: number;
  readonly whole: number;
  readonly peakMiB: number;
  readonly keystroke: number;
}

async function pick(): Promise<Picked> {
  const started = performance.now();
  const screen = new Terminal(["-A"], { columns: 120, rows: 40 });
  const seen = async (pattern: RegExp): Promise<number> => {
    while (!pattern.test(screen.raw)) await sleep(2);
    return (performance.now() - started) / 1000;
  };
  const first = await seen(/pod-0\d{4} +app/);
  const whole = await seen(/ of [\d,]+ · type to filter/);
  const keystrokes: number[] = [];
  for (let length = 1; length <= TERM.length; length += 1) {
    const typed = performance.now();
    const drawn = screen.raw.length;
    screen.type(TERM[length - 1] ?? "");
    while (!new RegExp(`any namespace\\S* ${TERM.slice(0, length)}`).test(screen.raw.slice(drawn))) await sleep(1);
    keystrokes.push(performance.now() - typed);
  }
  const pid = execFileSync("pgrep", ["-n", "-f", "kubectl-checkpoint.* -A|kubectl-checkpoint -A"]).toString().trim();
  const peakMiB = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
  screen.type("\u0003");
  await screen.ended();
  return { first, whole, peakMiB, keystroke: Math.max(...keystrokes) };
}

try {
  await createPods();
  const peers: number[] = [];
  const ours: Picked[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const started = performance.now();
    const { code, stderr } = await kubectl("get", "pods", "-A");
    if (code !== 0) throw new Error(stderr);
    const peer = (performance.now() - started) / 1000;
    const picked = await pick();
    if (round > 0) {
      peers.push(peer);
      ours.push(picked);
    }
  }
  const peer = median(peers);
  const of = (key: keyof Picked): number => median(ours.map((one) => one[key]));
  printTable(
    [`${PODS} pods, median of ${ROUNDS}`, "s", "against kubectl get pods -A"],
    [
      ["kubectl get pods -A, whole process", peer.toFixed(2), "1.00x"],
      ["first rows of the picker", of("first").toFixed(2), `${(of("first") / peer).toFixed(2)}x`],
      ["whole list in the picker", of("whole").toFixed(2), `${(of("whole") / peer).toFixed(2)}x`],
    ],
  );
  process.stdout.write(`peak memory ${of("peakMiB").toFixed(0)} MiB; slowest keystroke ${of("keystroke").toFixed(0)} ms\n`);
} finally {
  await connection.close();
  await kubectl("delete", "namespace", NAMESPACE, "--wait=false");
}
