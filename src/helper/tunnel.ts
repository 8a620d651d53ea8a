import { Duplex } from "node:stream";
import { UserError } from "../model/error.ts";
import { ApiFailure, type ApiRequest } from "../cluster/answer.ts";
import { apiPath, type Connection } from "../cluster/connection.ts";
import { Channels } from "./channels.ts";
import { Gather } from "./gather.ts";

/** The pod that is talked with. */
export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

const DATA = 0;
const ERROR = 1;
/** Every channel begins with the port, as two bytes. */
const PORT_BYTES = 2;

/**
 * One TCP connection to a port on a pod's loopback, through the API server and the kubelet, as a stream.
 * It ends in an error TunnelBroken where the pod's side said why it could not connect or the connection was lost. A normal
 * end tells nothing about the server having sent all it had: whoever reads must know how much is to come.
 * Throws an ApiFailure (needs get and create on pods/portforward).
 */
export async function openTunnel(connection: Connection, pod: PodName, port: number): Promise<Duplex> {
  const path = apiPath`/api/v1/namespaces/${pod.namespace}/pods/${pod.name}/portforward`;
  return new Tunnel(await upgradeToPod(connection, pod, { path, query: { ports: String(port) } }, "v4.channel.k8s.io"));
}

/**
 * An upgrade that knows what a missing pod means: a kubelet that has just started does not know its pods yet, so the API
 * server is asked. Throws HelperLost, or TunnelBroken where another try may work.
 */
export async function upgradeToPod(
  connection: Connection,
  pod: PodName,
  request: Pick<ApiRequest, "path" | "query">,
  protocol: string,
): Promise<Duplex> {
  try {
    return await connection.upgrade(request, protocol);
  } catch (error) {
    const unknown = error instanceof ApiFailure && (error.status === 404 || /pod not found|pod does not exist/.test(error.why ?? ""));
    if (!unknown) throw error;
    const { status } = await connection.call({ path: apiPath`/api/v1/namespaces/${pod.namespace}/pods/${pod.name}` });
    if (status === 404) throw helperLost(error);
    throw new UserError({ reason: "TunnelBroken", message: "the kubelet does not know the helper pod", cause: error });
  }
}

export function helperLost(cause: unknown): UserError {
  return new UserError({
    reason: "HelperLost",
    message: "the helper pod is gone",
    why: "it was deleted or evicted, or its node is lost",
    fix: "rerun the command to resume the copy",
    cause,
  });
}

class Tunnel extends Duplex {
  readonly #channels: Channels;
  /** Of the port's bytes on each channel. */
  readonly #toSkip = [PORT_BYTES, PORT_BYTES];
  #said = "";
  /** Readers use what they have read at once, or copy it (transport.ts). */
  readonly #gather = new Gather(
    (bytes) => this.push(bytes),
    () => this.readableLength,
  );

  constructor(socket: Duplex) {
    super({ allowHalfOpen: false, readableHighWaterMark: 256 * 1024 });
    this.#channels = new Channels(socket, {
      data: (channel, piece) => this.#receive(channel, piece),
      closed: (code) => this.#closed(code),
    });
  }

  override _read(): void {
    this.#channels.resume();
  }

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.#channels.send(DATA, bytes, done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#channels.destroy();
    done(error);
  }

  #receive(channel: number, bytes: Buffer): void {
    const skip = Math.min(this.#toSkip[channel] ?? 0, bytes.length);
    this.#toSkip[channel] = (this.#toSkip[channel] ?? 0) - skip;
    const piece = skip === 0 ? bytes : bytes.subarray(skip);
    if (piece.length === 0) return;
    if (channel === ERROR) this.#said += piece.toString("utf8").slice(0, 1000);
    else if (channel === DATA && !this.#gather.add(piece)) this.#channels.pause();
  }

  #closed(code: number): void {
    if (this.destroyed) return;
    this.#gather.flush();
    if (code === 1000 && this.#said === "") this.push(null);
    else
      this.destroy(
        new UserError({
          reason: "TunnelBroken",
          message: "the tunnel to the helper pod broke",
          why: this.#said || `the connection was lost (${code})`,
        }),
      );
  }
}
