// A TCP proxy in front of the API server that can be slow, and cut connections at a given byte.
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { readFileSync } from "node:fs";
import type { TestContext } from "node:test";
import { load } from "js-yaml";
import { ADMIN } from "./harness.ts";

export interface ProxyOptions {
  /** All connections are cut once so many bytes have come from the server. */
  readonly cutAfter?: number;
  /** Bytes a second from the server, all connections together. */
  readonly bytesPerSecond?: number;
}

export class TcpProxy {
  #port = 0;
  #cutAfter: number;
  #passed = 0;
  readonly #sockets = new Set<Socket>();

  private constructor(cutAfter: number) {
    this.#cutAfter = cutAfter;
  }

  static async start(t: TestContext, { cutAfter = Infinity, bytesPerSecond = Infinity }: ProxyOptions = {}): Promise<TcpProxy> {
    const { clusters } = load(readFileSync(ADMIN, "utf8")) as { clusters: { cluster: { server: string } }[] };
    const target = new URL(clusters[0]?.cluster.server ?? "");
    const proxy = new TcpProxy(cutAfter);
    const server = createServer((client) => proxy.#pass(client, connect(Number(target.port), target.hostname), bytesPerSecond));
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    proxy.#port = (server.address() as AddressInfo).port;
    t.after(() => {
      proxy.cut();
      server.close();
    });
    return proxy;
  }

  /** Flags that lead the plugin through it. */
  get flags(): readonly string[] {
    return ["--server", `https://127.0.0.1:${this.#port}`, "--tls-server-name", "kubernetes.default.svc"];
  }

  /** Bytes from the server so far. */
  get passed(): number {
    return this.#passed;
  }

  /** Ends every connection, without a word. New ones pass. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
    this.#sockets.clear();
  }

  #pass(client: Socket, upstream: Socket, bytesPerSecond: number): void {
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream);
    upstream.on("data", (bytes: Buffer) => {
      this.#passed += bytes.length;
      if (this.#passed >= this.#cutAfter) {
        this.#cutAfter = Infinity;
        this.cut();
        return;
      }
      client.write(bytes);
      if (bytesPerSecond === Infinity) {
        if (client.writableNeedDrain) {
          upstream.pause();
          client.once("drain", () => upstream.resume());
        }
        return;
      }
      upstream.pause();
      setTimeout(() => upstream.resume(), (1000 * bytes.length * Math.max(1, this.#sockets.size / 2)) / bytesPerSecond);
    });
  }
}
