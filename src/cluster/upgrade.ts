import { createHash, randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import type { Dispatcher } from "undici";
import { UserError } from "../model/error.ts";
import type { ApiAnswer } from "./answer.ts";

export interface UpgradeRequest {
  readonly origin: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  /** The WebSocket subprotocol. */
  readonly protocol: string;
}

/** RFC 6455, section 1.3. */
const ACCEPT_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** What is kept of the body of a refusal. */
const MAX_BODY = 64 * 1024;

/**
 * A WebSocket handshake through undici. Unlike undici's own upgrade, an answer other than 101 is read like any other
 * answer, since it says why: then there is no socket.
 */
export async function upgradeConnection(
  dispatcher: Dispatcher,
  { origin, path, headers, protocol }: UpgradeRequest,
  signal: AbortSignal,
): Promise<ApiAnswer & { readonly socket?: Duplex }> {
  const key = randomBytes(16).toString("base64");
  const handshake = { ...headers, "sec-websocket-version": "13", "sec-websocket-key": key, "sec-websocket-protocol": protocol };
  return await new Promise((resolve, reject) => {
    let status = 0;
    let answerHeaders: ApiAnswer["headers"] = {};
    let body = "";
    let abort: (reason: Error) => void = () => undefined;
    const aborted = (): void => {
      abort(signal.reason as Error);
      reject(signal.reason as Error);
    };
    signal.addEventListener("abort", aborted, { once: true });
    const settled = <T>(settle: (value: T) => void): ((value: T) => void) => {
      return (value) => {
        signal.removeEventListener("abort", aborted);
        settle(value);
      };
    };
    dispatcher.dispatch(
      { origin, path, method: "GET", headers: handshake, upgrade: "websocket", headersTimeout: 0, bodyTimeout: 0 },
      {
        onRequestStart(controller) {
          abort = (reason) => controller.abort(reason);
          if (signal.aborted) aborted();
        },
        onRequestUpgrade(_controller, statusCode, upgradeHeaders, socket) {
          if (upgradeHeaders["sec-websocket-accept"] !== acceptOf(key) || upgradeHeaders["sec-websocket-protocol"] !== protocol) {
            socket.destroy();
            settled(reject)(
              new UserError({ reason: "AnswerInvalid", message: `the API server does not speak ${protocol} over WebSocket` }),
            );
            return;
          }
          settled(resolve)({ status: statusCode, headers: upgradeHeaders, text: "", socket });
        },
        onResponseStart(_controller, statusCode, responseHeaders) {
          status = statusCode;
          answerHeaders = responseHeaders;
        },
        onResponseData(_controller, chunk) {
          if (body.length < MAX_BODY) body += chunk.toString("utf8");
        },
        onResponseEnd: () => settled(resolve)({ status, headers: answerHeaders, text: body }),
        onResponseError: (_controller, error) => settled(reject)(error),
      },
    );
  });
}

function acceptOf(key: string): string {
  return createHash("sha1")
    .update(key + ACCEPT_SUFFIX)
    .digest("base64");
}
