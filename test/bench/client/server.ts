// An API server, a kubelet and busybox's httpd in one, for `npm run bench client`: it sends bytes that it has made beforehand, as fast as the
// client takes them. Runs in a process of its own, so that the client's processor time is the client's alone.
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { program } from "../../tools/tool.ts";

const BLOCK = 65_536;
/** As containerd's streaming server sends them. */
const FRAME = 32_768;

const [directory = "", megabytes = "256", kind = "dump"] = process.argv.slice(2);
const bytes = Number(megabytes) * 2 ** 20;
const file = contents();
const identity = `${bytes} 1000000000 7`;

/** A dump compresses about four times with lzop: text and pointers, pages of zeros, pages that do not compress. */
function contents(): Buffer {
  if (kind === "random") return randomBytes(bytes);
  const page = 4096;
  const all = Buffer.alloc(bytes);
  const row = Buffer.from(
    Array.from({ length: 64 }, (_, index) => `{"id":${index},"name":"user-${index * 7919}","tags":[0.${index}]},`).join(""),
  );
  for (let at = 0; at < bytes; at += page) {
    const sort = (at / page) % 8;
    if (sort === 0) randomBytes(page).copy(all, at);
    else if (sort < 6) for (let to = 0; to < page; to += row.length) row.copy(all, at + to, 0, Math.min(row.length, page - to));
    if (sort > 0 && sort < 6) all.writeUInt32LE((at * 2_654_435_761) >>> 0, at + sort * 512);
  }
  return all;
}

const encoded = new Map<string, Buffer>();

/** Of the whole file in pieces of 8 MiB, made once: the client asks for such. */
function encode(codec: string, plain: Buffer, key: string): Buffer {
  const known = encoded.get(key);
  if (known !== undefined) return known;
  const made =
    codec === "gzip" ? gzipSync(plain, { level: 1 }) : codec === "zstd" ? zstdCompressSync(plain) : codec === "lzop" ? lzop(plain) : plain;
  encoded.set(key, made);
  return made;
}

function lzop(plain: Buffer): Buffer {
  const [command = "", ...args] = program("lzop") ?? [];
  return execFileSync(command, [...args, "-1", "-c"], { input: plain, maxBuffer: 1 << 30 });
}

/** What httpd says to a request: its head and its body. */
function answer(request: string): { head: string; body: Buffer } {
  const target = /^GET (\S+)/.exec(request)?.[1] ?? "";
  const text = (said: string): { head: string; body: Buffer } => ({
    head: "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    body: Buffer.from(said),
  });
  const range = /range: bytes=(\d+)-(\d+)/i.exec(request);
  if (range !== null) {
    const [first, last] = [Number(range[1]), Number(range[2])];
    const body = file.subarray(first, last + 1);
    return {
      head: `HTTP/1.1 206 Partial Content\r\nContent-Length: ${body.length}\r\nContent-Range: bytes ${first}-${last}/${bytes}\r\n\r\n`,
      body,
    };
  }
  const [operation, codec = "", skip = "", count = ""] = (target.split("?")[1] ?? "").split("&");
  if (operation === "tools") return text("zstd\nlzop\ngzip\nstat\nend\n");
  if (operation === "stat") return text(`${identity}\n2000000000\nclosed\nend\n`);
  if (operation === "sum") return text(`${createHash("sha256").update(file).digest("hex")}  -\n${identity}\nend\n`);
  if (operation !== "chunk") return text("end\n");
  const plain = file.subarray(Number(skip) * BLOCK, (Number(skip) + Number(count)) * BLOCK);
  return { head: "HTTP/1.1 200 OK\r\n\r\n", body: encode(codec, plain, `${codec} ${skip} ${count}`) };
}

function frame(channel: number, payload: Buffer): Buffer {
  const length = payload.length + 1;
  const head =
    length < 126 ? Buffer.from([0x82, length]) : length < 65_536 ? Buffer.from([0x82, 126, length >> 8, length & 255]) : Buffer.alloc(10);
  if (head.length === 10) {
    head[0] = 0x82;
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, Buffer.from([channel]), payload]);
}

async function drained(socket: Duplex): Promise<void> {
  const ended = new AbortController();
  await Promise.race([once(socket, "drain", ended), once(socket, "close", ended)]).finally(() => ended.abort());
}

async function send(socket: Duplex, { head, body }: { head: string; body: Buffer }): Promise<void> {
  socket.write(frame(0, Buffer.from(head)));
  for (let at = 0; at < body.length && !socket.destroyed; at += FRAME) {
    if (!socket.write(frame(0, body.subarray(at, at + FRAME)))) await drained(socket);
  }
  socket.write(Buffer.from([0x88, 2, 0x03, 0xe8]));
}

const [key, cert] = ["tls.key", "tls.crt"].map((name) => readFileSync(join(directory, name)));
const server = createServer({ key, cert });
server.on("upgrade", (request, socket: Duplex) => {
  const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-protocol: v4.channel.k8s.io\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
  );
  socket.on("error", () => undefined);
  for (const channel of [0, 1]) socket.write(Buffer.from([0x82, 3, channel, 0x90, 0x1f]));
  let asked = "";
  socket.on("data", (data: Buffer) => {
    // The client's frames are short, and masked.
    for (let at = 0; at + 6 <= data.length;) {
      const short = (data[at + 1] ?? 0) & 0x7f;
      const start = short === 126 ? 4 : 2;
      const length = short === 126 ? data.readUInt16BE(at + 2) : short;
      const mask = data.subarray(at + start, at + start + 4);
      const payload = Buffer.from(
        data.subarray(at + start + 4, at + start + 4 + length).map((byte, index) => byte ^ (mask[index % 4] ?? 0)),
      );
      if (((data[at] ?? 0) & 15) === 2) asked += payload.subarray(1).toString("latin1");
      at += start + 4 + length;
    }
    if (!asked.includes("\r\n\r\n")) return;
    const whole = asked;
    asked = "";
    void send(socket, answer(whole));
  });
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
