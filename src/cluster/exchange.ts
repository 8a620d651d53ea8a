import { createHash, randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { setImmediate } from "node:timers/promises";
import type { Dispatcher } from "undici";
import { UserError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import type { ApiAnswer } from "./answer.ts";

/** A request as it goes out. */
export interface Outgoing {
  readonly origin: string;
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: string | null;
  /** The WebSocket subprotocol that the connection is to become. */
  readonly protocol?: string;
}

export interface Hooks {
  readonly signal: AbortSignal;
  /** A connection is there, and the first byte is about to be written: from here on it may be carried out. */
  readonly sending: () => void;
  /** Of a successful answer; the answer is there at its headers then. False holds the sender back until `resume`. */
  readonly body?: (piece: Buffer | undefined, error?: Error) => boolean;
}

export interface Exchanged extends ApiAnswer {
  readonly socket?: Duplex;
  readonly resume: () => void;
}

/** RFC 6455, section 1.3. */
const ACCEPT_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** An answer is a page of a list at most; anything longer is not held in memory. */
const MAX_ANSWER_BYTES = 128 * 1024 * 1024;

/**
 * One request and its answer, whatever its status. Where `protocol` is given, an answer other than 101 is read as any other: it says
 * why there is no socket. Throws undici's errors, the signal's reason, or a UserError.
 */
export async function exchange(dispatcher: Dispatcher, outgoing: Outgoing, hooks: Hooks): Promise<Exchanged> {
  const { protocol, ...request } = outgoing;
  const key = protocol === undefined ? "" : randomBytes(16).toString("base64");
  const handshake = { "sec-websocket-version": "13", "sec-websocket-key": key, "sec-websocket-protocol": protocol ?? "" };
  const headers = protocol === undefined ? request.headers : { ...request.headers, ...handshake };
  const { signal, sending, body } = hooks;
  signal.throwIfAborted();
  return await new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | undefined;
    let status = 0;
    let answerHeaders: ApiAnswer["headers"] = {};
    const pieces: Buffer[] = [];
    let size = 0;
    let streaming = false;
    let failed = false;
    const aborted = (): void => fail(signal.reason as Error);
    const done = (): void => signal.removeEventListener("abort", aborted);
    const fail = (error: Error): void => {
      if (failed) return;
      failed = true;
      done();
      controller?.abort(error);
      if (streaming) body?.(undefined, error);
      else reject(error);
    };
    signal.addEventListener("abort", aborted, { once: true });
    const resume = (): void => controller?.resume();
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(started) {
        controller = started;
        if (signal.aborted) started.abort(signal.reason as Error);
        else sending();
      },
      onRequestUpgrade(_controller, statusCode, upgradeHeaders, socket) {
        done();
        if (upgradeHeaders["sec-websocket-accept"] === acceptOf(key) && upgradeHeaders["sec-websocket-protocol"] === protocol) {
          resolve({ status: statusCode, headers: upgradeHeaders, text: "", socket, resume });
          return;
        }
        socket.destroy();
        reject(new UserError({ reason: "AnswerInvalid", message: say`the API server does not support ${protocol ?? ""} over WebSocket` }));
      },
      onResponseStart(_controller, statusCode, responseHeaders) {
        // 103 and its kind come before the answer.
        if (statusCode < 200) return;
        status = statusCode;
        answerHeaders = responseHeaders;
        if (body === undefined || statusCode >= 300) return;
        streaming = true;
        resolve({ status, headers: answerHeaders, text: "", resume });
      },
      onResponseData(of, piece) {
        if (streaming) {
          if (body?.(piece) === false) of.pause();
          return;
        }
        size += piece.length;
        if (size > MAX_ANSWER_BYTES) {
          fail(new UserError({ reason: "AnswerTooLong", message: say`the API server's answer is longer than ${MAX_ANSWER_BYTES} bytes` }));
        } else pieces.push(piece);
      },
      onResponseEnd() {
        done();
        if (streaming) body?.(undefined);
        // undici frees the connection a moment after the last byte: without that moment the next request would open another one.
        else
          void setImmediate().then(() => resolve({ status, headers: answerHeaders, text: Buffer.concat(pieces).toString("utf8"), resume }));
      },
      onResponseError: (_controller, error) => fail(error),
    };
    dispatcher.dispatch(
      { ...request, headers, ...(protocol === undefined ? {} : { upgrade: "websocket" }), headersTimeout: 0, bodyTimeout: 0 },
      handler,
    );
  });
}

function acceptOf(key: string): string {
  return createHash("sha1")
    .update(key + ACCEPT_SUFFIX)
    .digest("base64");
}
