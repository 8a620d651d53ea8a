// npm run bench start [-- ROUNDS [requests]]: from the start of the process to its answer, or to its first request, against bare Node.js and
// kubectl, with kubeconfigs of several kinds. OLD=EXECUTABLE takes part with an older version; "requests" measures the second alone.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { dump } from "js-yaml";
import { VERBS } from "../../src/cli/table.ts";
import { makeCertificates } from "../certificates.ts";
import { measure, printTable, ratioOf, ratioText, timesOf, type Contender, type Times } from "./measure.ts";

const EXECUTABLE = process.env["EXECUTABLE"] ?? resolve(import.meta.dirname, "../../dist/kubectl-checkpoint");
const BARE = `node empty.cjs (${process.version})`;
const ROUNDS = Number(process.argv[2] ?? 25);
const OLD = process.env["OLD"];

const work = mkdtempSync(join(tmpdir(), "bench-start-"));
try {
  if (process.argv[3] !== "requests") await answers();
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
  const configs = kubeconfigs((server.address() as AddressInfo).port);
  const first =
    (command: string, args: readonly string[], config: string = configs.certificate): Contender =>
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
  if (OLD !== undefined) contenders["kubectl checkpoint POD, the version before"] = first(OLD, ["pod"]);
  for (const [kind, config] of Object.entries(configs)) {
    if (kind === "certificate") continue;
    contenders[`kubectl checkpoint POD, ${kind}`] = first(EXECUTABLE, ["pod"], config);
    if (OLD !== undefined) contenders[`kubectl checkpoint POD, ${kind}, the version before`] = first(OLD, ["pod"], config);
    if (hasKubectl())
      contenders[`kubectl get --raw, ${kind}`] = first("kubectl", ["get", "--raw", "/api/v1/namespaces/default/pods/pod"], config);
  }
  const times = await measure(contenders, ROUNDS);
  server.closeAllConnections();
  server.close();
  report("start to first request", times, (time, base) => `+${(time - base).toFixed(1)} ms`);
}

function report(what: string, times: Record<string, Times>, compare: (time: number, base: number) => string): void {
  const { [BARE]: base, "kubectl checkpoint POD": now, "kubectl checkpoint POD, the version before": before } = times;
  const rows = Object.entries(times).map(([name, { median, low, high, fastest }]) => [
    name,
    `${median.toFixed(1)} (${low.toFixed(1)} to ${high.toFixed(1)})`,
    compare(median, base?.median ?? NaN),
    fastest.toFixed(1),
    compare(fastest, base?.fastest ?? NaN),
  ]);
  printTable([what, "median ms (middle half)", "to bare node", "fastest ms", "to bare node"], rows);
  if (base === undefined || now === undefined || before === undefined) return;
  const distance = (one: Times): Times =>
    timesOf(one.rounds.map((milliseconds, round) => (milliseconds ?? NaN) - (base.rounds[round] ?? NaN)));
  process.stdout.write(`The distance from bare node, to the version before: ${ratioText(ratioOf(distance(now), distance(before)))}.\n\n`);
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

/** Files: with a client certificate in JSON; the same in YAML; with an exec plugin; of 5 MB. */
function kubeconfigs(port: number): Record<"certificate" | "YAML" | "exec plugin" | "5 MB", string> {
  const data = (name: string): string => readFileSync(join(work, name)).toString("base64");
  const cluster = { server: `https://127.0.0.1:${port}`, "certificate-authority-data": data("ca.crt") };
  const certificate = { "client-certificate-data": data("tls.crt"), "client-key-data": data("tls.key") };
  const credential = join(work, "credential.json");
  const status = {
    clientCertificateData: readFileSync(join(work, "tls.crt"), "utf8"),
    clientKeyData: readFileSync(join(work, "tls.key"), "utf8"),
  };
  writeFileSync(credential, JSON.stringify({ apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential", status }));
  const exec = { apiVersion: "client.authentication.k8s.io/v1", command: "cat", args: [credential], interactiveMode: "Never" };
  // Of 2048 bits, as kubeadm makes them; none twice, which would be written once.
  const longer = (text: string, times: number): string =>
    Buffer.from(Buffer.from(text, "base64").toString().repeat(times)).toString("base64");
  const others = Array.from({ length: 1000 }, (_, index) => ({
    name: `other-${index}`,
    cluster: { ...cluster, "certificate-authority-data": longer(cluster["certificate-authority-data"], 2) },
  }));
  const otherUsers = others.map(({ name }) => ({
    name,
    user: {
      "client-certificate-data": longer(certificate["client-certificate-data"], 2),
      "client-key-data": longer(certificate["client-key-data"], 7),
    },
  }));
  const config = (user: object, more: readonly object[] = [], users: readonly object[] = []): object => ({
    apiVersion: "v1",
    kind: "Config",
    clusters: [...more, { name: "c", cluster }],
    users: [...users, { name: "u", user }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
  });
  const file = (name: string, text: string): string => {
    writeFileSync(join(work, name), text);
    return join(work, name);
  };
  return {
    certificate: file("kubeconfig", JSON.stringify(config(certificate))),
    YAML: file("kubeconfig.yaml", dump(config(certificate))),
    "exec plugin": file("kubeconfig-exec.yaml", dump(config({ exec }))),
    "5 MB": file("kubeconfig-large.yaml", dump(config(certificate, others, otherUsers))),
  };
}
