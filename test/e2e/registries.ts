// Registries of a test's own, on a node of the cluster: one that is full, one behind a link that is cut.
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { eventually, NETWORK, onNode } from "./harness.ts";

const NODE = "node1";
const HOST = `${NETWORK}.11`;

/** A registry without TLS, its storage so many MiB in memory; gone with the test. Its HOST:PORT. */
export async function ownRegistry(t: TestContext, port: number, mebibytes: number): Promise<string> {
  const directory = `/tmp/registry-${port}`;
  const config = `{version: 0.1, log: {level: error}, storage: {filesystem: {rootdirectory: ${directory}/data}}, http: {addr: '${HOST}:${port}'}}`;
  t.after(async () => {
    await onNode(
      NODE,
      "sh",
      "-c",
      `kill $(cat ${directory}.pid); rm -f ${directory}.pid ${directory}.yml; umount --lazy ${directory}; rmdir ${directory}`,
    );
  });
  const serve = `nohup docker-registry serve ${directory}.yml >/dev/null 2>&1 & echo $! >${directory}.pid`;
  await onNode(
    NODE,
    "sh",
    "-c",
    `mkdir -p ${directory}; mount -t tmpfs -o size=${mebibytes}m tmpfs ${directory}; echo "${config}" >${directory}.yml; ${serve}`,
  );
  await eventually(async () => await answers(port), "the registry");
  return `${HOST}:${port}`;
}

async function answers(port: number): Promise<boolean> {
  return await fetch(`http://${HOST}:${port}/v2/`).then(
    ({ ok }) => ok,
    () => false,
  );
}

export interface CuttingProxy {
  readonly address: string;
  /** Bytes that went to the registry. */
  readonly sent: () => number;
}

/**
 * Leads to a registry, and cuts connections: with "between" behind the answer to the n-th PATCH, with "middle" when so many
 * bytes of one connection have gone; each of `at` once.
 */
export async function cuttingProxy(t: TestContext, target: string, where: "between" | "middle", at: number[]): Promise<CuttingProxy> {
  const [host = "", port = ""] = target.split(":");
  let sent = 0;
  let answered = 0;
  const server = createServer((client) => {
    const upstream = connect(Number(port), host);
    let passed = 0;
    const end = (...sockets: Socket[]): void => {
      for (const socket of sockets) socket.destroy();
    };
    for (const socket of [client, upstream]) {
      socket.on("error", () => undefined);
      socket.on("close", () => end(client, upstream));
    }
    client.on("data", (bytes: Buffer) => {
      sent += bytes.length;
      passed += bytes.length;
      if (where === "middle" && at.length > 0 && passed >= (at[0] ?? 0)) {
        at.shift();
        client.resetAndDestroy();
        return;
      }
      if (!upstream.write(bytes)) {
        client.pause();
        upstream.once("drain", () => client.resume());
      }
    });
    upstream.on("data", (bytes: Buffer) => {
      client.write(bytes);
      // Uploads are answered with 202 when they begin, and after every piece.
      if (where !== "between" || !bytes.includes("HTTP/1.1 202")) return;
      answered += 1;
      if (at.length > 0 && answered > (at[0] ?? 0)) {
        at.shift();
        client.end();
        upstream.destroy();
      }
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => void server.close());
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, sent: () => sent };
}
