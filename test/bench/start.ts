// npm run bench start: from the start of the process to its answer, or to its first request, against bare Node.js and kubectl.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { VERBS } from "../../src/cli/table.ts";
import { makeCertificates } from "../certificates.ts";
import { measure, printTable, type Contender, type Times } from "./measure.ts";

const EXECUTABLE = process.env["EXECUTABLE"] ?? resolve(import.meta.dirname, "../../dist/kubectl-checkpoint");
const BARE = `node empty.cjs (${process.version})`;
const ROUNDS = Number(process.argv[2] ?? 25);

const work = mkdtempSync(join(tmpdir(), "bench-start-"));
try {
  await answers();
  await firstRequests();
} finally {
  rmSync(work, { recursive: true });
}

async function answers(): Promise<void> {
  const calls = ["--version", "--help", ...VERBS.slice(1).map((verb) => `${verb.name} --help`)];
  const contenders: Record<string, Contender> = { [BARE]: bareNode() };
  for (const call of calls) contenders[call] = async () => await wholeRun(EXECUTABLE, call.split(" "));
  report("start to end", await measure(contenders, ROUNDS), (time, base) => `${(time / base).toFixed(2)}x`);
}

/** The server that the commands talk with asks for a client certificate, as a real one, and tells when the first request is there. */
async function firstRequests(): Promise<void> {
  const { ca, cert, key } = makeCertificates(work);
  let arrived: (now: number) => void = () => undefined;
  const server = createServer({ ca, cert, key, requestCert: true, rejectUnauthorized: true }, (_request, response) => {
    arrived(performance.now());
    response.writeHead(404, { "content-type": "application/json" }).end("{}");
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const config = kubeconfig((server.address() as AddressInfo).port);
  const first =
    (command: string, args: readonly string[]): Contender =>
    async () => {
      const arrival = new Promise<number>((done) => (arrived = done));
      const started = performance.now();
      const ended = wholeRun(command, [...args, "--kubeconfig", config]);
      const milliseconds = (await arrival) - started;
      await ended;
      return milliseconds;
    };
  const contenders: Record<string, Contender> = {
    [BARE]: bareNode(),
    "kubectl checkpoint POD": first(EXECUTABLE, ["pod"]),
    "kubectl checkpoint POD (npm)": first(process.execPath, [resolve(import.meta.dirname, "../../dist/npm/kubectl-checkpoint.cjs"), "pod"]),
  };
  if (hasKubectl()) contenders["kubectl get --raw"] = first("kubectl", ["get", "--raw", "/api/v1/namespaces/default/pods/pod"]);
  const times = await measure(contenders, ROUNDS);
  server.closeAllConnections();
  server.close();
  report("start to first request", times, (time, base) => `+${(time - base).toFixed(1)} ms`);
}

function report(what: string, times: Record<string, Times>, compare: (time: number, base: number) => string): void {
  const base = times[BARE] ?? { median: NaN, fastest: NaN };
  const rows = Object.entries(times).map(([name, { median, fastest }]) => [
    name,
    median.toFixed(1),
    compare(median, base.median),
    fastest.toFixed(1),
    compare(fastest, base.fastest),
  ]);
  printTable([what, "median ms", "to bare node", "fastest ms", "to bare node"], rows);
}

function bareNode(): Contender {
  const empty = join(work, "empty.cjs");
  writeFileSync(empty, "");
  return async () => await wholeRun(process.execPath, [empty]);
}

async function wholeRun(command: string, args: readonly string[]): Promise<number> {
  const started = performance.now();
  await new Promise((done, fail) => spawn(command, args, { stdio: "ignore" }).on("exit", done).on("error", fail));
  return performance.now() - started;
}

function hasKubectl(): boolean {
  try {
    execFileSync("kubectl", ["version", "--client"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function kubeconfig(port: number): string {
  const data = (name: string): string => readFileSync(join(work, name)).toString("base64");
  const cluster = { server: `https://127.0.0.1:${port}`, "certificate-authority-data": data("ca.crt") };
  const user = { "client-certificate-data": data("tls.crt"), "client-key-data": data("tls.key") };
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster }],
    users: [{ name: "u", user }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
  };
  const file = join(work, "kubeconfig");
  writeFileSync(file, JSON.stringify(config));
  return file;
}
