// A registry in memory that keeps uploads as Docker's distribution does, wants logins, and fails where it is told to.
import { createHash, randomUUID } from "node:crypto";
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttps } from "node:https";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import type { Certificates } from "../certificates.ts";

export interface FakeOptions {
  readonly tls?: Certificates;
  /** Who may come in: with a password (Basic), or with a token that is got with one (Bearer). */
  readonly login?: { readonly kind: "basic" | "bearer"; readonly username: string; readonly password: string };
  /** Answers instead of the registry, where it does. */
  readonly instead?: (request: IncomingMessage, response: ServerResponse) => boolean;
  /** Cuts the connection of the n-th PATCH (from 1): before a byte of it is taken, or after so many. */
  /** It lets nobody delete an image. */
  readonly keeps?: boolean;
  readonly cut?: (patch: number) => { readonly after: number } | undefined;
}

export interface FakeRegistry {
  /** HOST:PORT. */
  readonly address: string;
  readonly blobs: Map<string, Buffer>;
  /** By "REPOSITORY DIGEST": who has which blob. */
  readonly links: Set<string>;
  /** By "REPOSITORY TAG-OR-DIGEST". */
  readonly manifests: Map<string, Buffer>;
  /** "METHOD PATH" of each request. */
  readonly requests: string[];
  /** Bytes of blobs that came in. */
  received: number;
}

export async function fakeRegistry(t: TestContext, options: FakeOptions = {}): Promise<FakeRegistry> {
  const uploads = new Map<string, { bytes: Buffer[]; state: string }>();
  const tokens = new Set<string>();
  let patches = 0;
  const { tls, login } = options;
  const registry: { -readonly [key in keyof FakeRegistry]: FakeRegistry[key] } = {
    address: "",
    blobs: new Map(),
    links: new Set(),
    manifests: new Map(),
    requests: [],
    received: 0,
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? "", `http${tls === undefined ? "" : "s"}://${registry.address}`);
    registry.requests.push(`${request.method} ${url.pathname}${url.search}`);
    if (options.instead?.(request, response) === true) return;
    const answer = (status: number, headers: Record<string, string> = {}, body: Buffer | string = ""): void => {
      response.writeHead(status, { "content-length": String(Buffer.byteLength(body)), ...headers });
      response.end(request.method === "HEAD" ? undefined : body);
    };
    const fail = (status: number, code: string, headers: Record<string, string> = {}): void =>
      answer(
        status,
        { "content-type": "application/json", ...headers },
        JSON.stringify({ errors: [{ code, message: code.toLowerCase() }] }),
      );
    if (url.pathname === "/token") {
      const basic = `Basic ${Buffer.from(`${login?.username}:${login?.password}`).toString("base64")}`;
      const form = request.method === "POST" ? new URLSearchParams((await bodyOf(request)).toString()) : undefined;
      if (request.headers.authorization !== basic && form?.get("refresh_token") !== login?.password) return fail(401, "UNAUTHORIZED");
      const token = randomUUID();
      tokens.add(`Bearer ${token}`);
      return answer(200, { "content-type": "application/json" }, JSON.stringify({ token, expires_in: 300 }));
    }
    if (login !== undefined) {
      const given = request.headers.authorization ?? "";
      const basic = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString("base64")}`;
      const challenge =
        login.kind === "basic" ? 'Basic realm="test"' : `Bearer realm="${url.origin}/token",service="test",scope="repository:x:pull"`;
      if (login.kind === "basic" ? given !== basic : !tokens.has(given))
        return fail(401, "UNAUTHORIZED", { "www-authenticate": challenge });
    }
    const [, repository = "", kind, rest = ""] = /^\/v2\/(.+?)\/(manifests|blobs)\/(.*)$/.exec(url.pathname) ?? [];
    const place = (id: string, state: string) => ({ location: `${url.origin}/v2/${repository}/blobs/uploads/${id}?_state=${state}` });

    if (kind === "manifests") {
      if (request.method === "PUT") {
        const bytes = await bodyOf(request);
        for (const name of [rest, digestOf(bytes)]) registry.manifests.set(`${repository} ${name}`, bytes);
        return answer(201, { "docker-content-digest": digestOf(bytes) });
      }
      if (request.method === "DELETE") {
        if (options.keeps === true) return fail(405, "UNSUPPORTED");
        const there = registry.manifests.delete(`${repository} ${rest}`);
        return there ? answer(202) : fail(404, "MANIFEST_UNKNOWN");
      }
      const found = registry.manifests.get(`${repository} ${rest}`);
      return found === undefined
        ? fail(404, "MANIFEST_UNKNOWN")
        : answer(200, { "content-type": "application/vnd.oci.image.manifest.v1+json" }, found);
    }
    if (kind === "blobs" && !rest.startsWith("uploads/")) {
      const found = registry.links.has(`${repository} ${rest}`) ? registry.blobs.get(rest) : undefined;
      if (found === undefined) return fail(404, "BLOB_UNKNOWN");
      const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
      return first === undefined
        ? answer(200, {}, found)
        : answer(206, {}, found.subarray(Number(first), Number(last || found.length) + 1));
    }
    if (request.method === "POST") {
      const [mount, from] = [url.searchParams.get("mount") ?? "", url.searchParams.get("from") ?? ""];
      if (registry.links.has(`${from} ${mount}`)) {
        registry.links.add(`${repository} ${mount}`);
        return answer(201);
      }
      const [id, state] = [randomUUID(), randomUUID()];
      uploads.set(id, { bytes: [], state });
      return answer(202, place(id, state));
    }
    const id = rest.slice("uploads/".length);
    const upload = uploads.get(id);
    if (upload === undefined || url.searchParams.get("_state") !== upload.state) return fail(404, "BLOB_UPLOAD_INVALID");
    const size = upload.bytes.reduce((sum, piece) => sum + piece.length, 0);
    switch (request.method) {
      case "GET":
        return answer(204, { ...place(id, upload.state), range: `0-${Math.max(0, size - 1)}` });
      case "DELETE":
        uploads.delete(id);
        return answer(204);
      case "PATCH": {
        const cut = options.cut?.((patches += 1));
        if (cut?.after === 0) return void request.socket.destroy();
        // What is cut in the middle loses the upload.
        if (cut !== undefined) uploads.delete(id);
        let came = 0;
        for await (const piece of request as AsyncIterable<Buffer>) {
          came += piece.length;
          registry.received += piece.length;
          if (cut !== undefined && came >= cut.after) return void request.socket.destroy();
          upload.bytes.push(piece);
        }
        upload.state = randomUUID();
        return answer(202, place(id, upload.state));
      }
      default: {
        upload.bytes.push(await bodyOf(request));
        const bytes = Buffer.concat(upload.bytes);
        uploads.delete(id);
        if (digestOf(bytes) !== url.searchParams.get("digest")) return fail(400, "DIGEST_INVALID");
        registry.blobs.set(digestOf(bytes), bytes);
        registry.links.add(`${repository} ${digestOf(bytes)}`);
        return answer(201);
      }
    }
  };
  const handle = (request: IncomingMessage, response: ServerResponse): void =>
    void serve(request, response).catch(() => response.socket?.destroy());
  const server = tls === undefined ? createHttp(handle) : createHttps({ cert: tls.cert, key: tls.key }, handle);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  registry.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return registry;
}

export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}
