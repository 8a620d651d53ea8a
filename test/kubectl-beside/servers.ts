// A fake API server, which records who asks it and how, and a fake issuer of OpenID Connect.
import { spawn } from "node:child_process";
import { createServer as createHttp, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createHttps } from "node:https";
import type { AddressInfo, Server } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Pki } from "./pki.ts";

/** What a request shows of its sender. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly host: string;
  /** "" without one; undefined without TLS. */
  readonly sni: string | undefined;
  /** The common name in the client's certificate. */
  readonly certificate: string | undefined;
  readonly authorization: string | undefined;
  readonly impersonated: Readonly<Record<string, readonly string[]>>;
}

export interface Listening {
  readonly port: number;
  /** For addresses: https://127.0.0.1:PORT. */
  readonly url: string;
  readonly close: () => void;
}

export async function listen(
  server: Server & { closeAllConnections?: () => void },
  scheme: string,
  host = "127.0.0.1",
): Promise<Listening> {
  await new Promise<void>((done) => server.listen(0, host, done));
  const { port } = server.address() as AddressInfo;
  const close = (): void => {
    server.closeAllConnections?.();
    server.close();
  };
  return { port, url: `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`, close };
}

/** Answers a request itself, or leaves it to the fake: then it returns false. */
export type Answer = (request: IncomingMessage, response: ServerResponse, seen: readonly Seen[]) => boolean;

export interface ApiServer extends Listening {
  readonly seen: Seen[];
}

export interface ApiServerOptions {
  /** Undefined: plain HTTP. */
  readonly pki: Pki | undefined;
  readonly certificate?: string;
  readonly host?: string;
  readonly answer?: Answer;
}

export async function apiServer({ pki, certificate = "server", host, answer }: ApiServerOptions): Promise<ApiServer> {
  const seen: Seen[] = [];
  const handle: RequestListener = (request, response) => {
    seen.push(seenOf(request));
    if (answer?.(request, response, seen) !== true) answered(request, response);
  };
  const server =
    pki === undefined
      ? createHttp(handle)
      : createHttps(
          {
            cert: pki.read(`${certificate}.crt`),
            key: pki.read(`${certificate}.key`),
            ca: pki.read("ca.crt"),
            requestCert: true,
            rejectUnauthorized: false,
          },
          handle,
        );
  server.on("tlsClientError", () => undefined);
  return { seen, ...(await listen(server, pki === undefined ? "http" : "https", host)) };
}

/** Ends the handshake of clients whose certificates its authority has not signed with a TLS alert, as load balancers do. */
export async function strictServer({ folder }: Pki): Promise<Listening> {
  const files = ["-cert", "server.crt", "-key", "server.key", "-CAfile", "ca.crt"];
  const child = spawn("openssl", ["s_server", "-accept", "127.0.0.1:0", ...files, "-Verify", "1", "-verify_return_error"], {
    cwd: folder,
    stdio: ["pipe", "pipe", "ignore"],
  });
  let said = "";
  for await (const piece of child.stdout) {
    said += String(piece);
    const port = /^ACCEPT .*:(\d+)$/m.exec(said)?.[1];
    if (port !== undefined) return { port: Number(port), url: `https://127.0.0.1:${port}`, close: () => void child.kill() };
  }
  throw new Error(`openssl s_server: ${said}`);
}

function seenOf(request: IncomingMessage): Seen {
  const socket = request.socket as TLSSocket;
  const encrypted = (request.socket as Partial<TLSSocket>).encrypted === true;
  const headers = request.headersDistinct;
  const impersonated = Object.fromEntries(
    Object.entries(headers).flatMap(([name, values]) => (name.startsWith("impersonate-") ? [[name, [...(values ?? [])].sort()]] : [])),
  );
  const subject = encrypted ? socket.getPeerCertificate().subject : undefined;
  return {
    method: request.method ?? "",
    url: request.url ?? "",
    host: request.headers.host ?? "",
    sni: encrypted ? socket.servername || "" : undefined,
    certificate: subject === undefined ? undefined : String(subject.CN),
    authorization: request.headers.authorization,
    impersonated,
  };
}

const RESOURCES = {
  kind: "APIResourceList",
  apiVersion: "v1",
  groupVersion: "v1",
  resources: [{ name: "pods", singularName: "pod", namespaced: true, kind: "Pod", verbs: ["get", "list", "watch"] }],
};

/** Enough for `kubectl get pod`. */
function answered(request: IncomingMessage, response: ServerResponse): void {
  const { pathname } = new URL(request.url ?? "", "http://api");
  const [, namespace, name] = /\/namespaces\/([^/]+)\/pods\/([^/]+)$/.exec(pathname) ?? [];
  if (pathname.endsWith("/api")) json(response, 200, { kind: "APIVersions", versions: ["v1"] });
  else if (pathname.endsWith("/apis")) json(response, 200, { kind: "APIGroupList", apiVersion: "v1", groups: [] });
  else if (pathname.endsWith("/api/v1")) json(response, 200, RESOURCES);
  else if (name !== undefined) json(response, 200, { kind: "Pod", apiVersion: "v1", metadata: { name, namespace } });
  else status(response, 404, "NotFound", `${pathname} is not there`);
}

export function json(response: ServerResponse, code: number, body: object, headers: Record<string, string> = {}): true {
  response.writeHead(code, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
  return true;
}

export function status(
  response: ServerResponse,
  code: number,
  reason: string,
  message: string,
  headers: Record<string, string> = {},
): true {
  return json(response, code, { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message }, headers);
}

const STARTED = Math.floor(Date.now() / 1000);

/** A token that is good for so many seconds from when this process began: the same one whenever it is made. */
export function idToken(name: string, seconds: number): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "none" })}.${part({ sub: name, exp: STARTED + seconds })}.c2ln`;
}

export interface Issuer extends Listening {
  /** How each refresh came: "refresh_token of client:secret". */
  readonly refreshes: string[];
  /** Refresh tokens that were used count as new again. */
  readonly forget: () => void;
}

/** Answers each refresh with a new id token, and with a new refresh token where `rotates` says so. */
export async function issuer(pki: Pki, { rotates = false, lacksIdToken = false } = {}): Promise<Issuer> {
  const refreshes: string[] = [];
  const issued = new Set<string>();
  const server = createHttps({ cert: pki.read("server.crt"), key: pki.read("server.key") }, (request, response) => {
    if (request.url === "/realm/.well-known/openid-configuration") {
      const base = `https://${request.headers.host}/realm`;
      json(response, 200, {
        issuer: base,
        token_endpoint: `${base}/token`,
        authorization_endpoint: `${base}/auth`,
        jwks_uri: `${base}/keys`,
      });
      return;
    }
    let body = "";
    request.on("data", (piece: Buffer) => (body += piece.toString()));
    request.on("end", () => {
      const form = new URLSearchParams(body);
      const [id = "", secret = ""] = /^Basic (.*)$/.exec(request.headers.authorization ?? "")?.[1]
        ? Buffer.from(request.headers.authorization?.slice(6) ?? "", "base64")
            .toString()
            .split(":")
            .map(decodeURIComponent)
        : [form.get("client_id") ?? "", form.get("client_secret") ?? ""];
      const token = form.get("refresh_token") ?? "";
      refreshes.push(`${form.get("grant_type")} ${token} of ${id}:${secret}`);
      if (issued.has(token) || (secret !== "s3cret" && id === "confidential")) {
        json(response, 400, { error: "invalid_grant", error_description: "it was used before" });
        return;
      }
      if (rotates) issued.add(token);
      json(response, 200, {
        access_token: "a",
        token_type: "Bearer",
        expires_in: 3600,
        ...(lacksIdToken ? {} : { id_token: idToken(`refreshed-${refreshes.length}`, 3600) }),
        ...(rotates ? { refresh_token: `${token}+` } : {}),
      });
    });
  });
  return { refreshes, forget: () => issued.clear(), ...(await listen(server, "https")) };
}
