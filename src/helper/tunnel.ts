import type { Duplex } from "node:stream";
import { UserError } from "../model/error.ts";
import { ApiFailure, type ApiRequest } from "../cluster/answer.ts";
import { apiPath, type Connection } from "../cluster/connection.ts";
import { Channels } from "./channels.ts";

/** The pod that is talked with. */
export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

const DATA = 0;
const ERROR = 1;
/** Every channel begins with the port, as two bytes. */
const PORT_BYTES = 2;

export interface TunnelEvents {
  /** The piece is only there until this returns. False: enough for now, until `resume`; what has been read already still comes. */
  data(piece: Buffer): boolean;
  /** Once, at the end: TunnelBroken where the pod's side said why it could not connect, or the connection was lost. */
  ended(error: UserError | undefined): void;
}

/** One TCP connection to a port on a pod's loopback, through the API server and the kubelet. */
export interface Tunnel {
  send(bytes: Buffer): void;
  resume(): void;
  /** Nothing comes any more. */
  destroy(): void;
}

/**
 * Opens a tunnel. That it ends normally says nothing about the server having sent all it had: whoever reads must know how much is to
 * come. Throws an ApiFailure (needs get and create on pods/portforward).
 */
export async function openTunnel(connection: Connection, pod: PodName, port: number, events: TunnelEvents): Promise<Tunnel> {
  const path = apiPath`/api/v1/namespaces/${pod.namespace}/pods/${pod.name}/portforward`;
  const socket = await upgradeToPod(connection, pod, { path, query: { ports: String(port) } }, "v4.channel.k8s.io");
  let said = "";
  let open = true;
  const toSkip = [PORT_BYTES, PORT_BYTES];
  const channels = new Channels(socket, {
    data(channel, bytes) {
      if (!open) return;
      const skip = Math.min(toSkip[channel] ?? 0, bytes.length);
      toSkip[channel] = (toSkip[channel] ?? 0) - skip;
      const piece = skip === 0 ? bytes : bytes.subarray(skip);
      if (piece.length === 0) return;
      if (channel === ERROR) said += piece.toString("utf8").slice(0, 1000);
      else if (channel === DATA && !events.data(piece)) channels.pause();
    },
    closed(code) {
      if (!open) return;
      open = false;
      if (code === 1000 && said === "") {
        events.ended(undefined);
        return;
      }
      const why = said || `the connection was lost (${code})`;
      events.ended(new UserError({ reason: "TunnelBroken", message: "the tunnel to the helper pod broke", why }));
    },
  });
  return {
    send: (bytes) => channels.send(DATA, bytes),
    resume: () => channels.resume(),
    destroy() {
      open = false;
      channels.destroy();
    },
  };
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

export function helperLost(cause?: unknown): UserError {
  return new UserError({
    reason: "HelperLost",
    message: "the helper pod is gone",
    why: "it was deleted or evicted, or its node is lost",
    fix: "rerun the command to resume the copy",
    cause,
  });
}
