// The transport against a helper pod that lies, cuts and stalls: a real one cannot be made to.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { connect, type AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { test, type TestContext } from "node:test";
import { NodeDirectory } from "../../src/helper/directory.ts";
import { reach } from "../../src/helper/reach.ts";
import type { Transport } from "../../src/helper/transport.ts";
import { connectTo } from "../fakes.ts";

const POD = { namespace: "kube-system", name: "helper" };
const RANGE = { path: "a.tar", first: 0, last: 9, size: 100 };

type Httpd = (request: IncomingMessage, response: ServerResponse) => void;

/** An API server whose port-forward ends in a web server of ours: the helper pod's httpd. */
async function helperPod(t: TestContext, httpd: Httpd, forward: (socket: Duplex) => boolean = () => true): Promise<Transport> {
  const web = createServer((request, response) => {
    if (request.url === "/cgi-bin/op?tools") response.end("gzip\nend\n");
    else httpd(request, response);
  });
  const api = createServer((_request, response) => response.writeHead(404, { "content-type": "application/json" }).end("{}"));
  await Promise.all([web, api].map(async (server) => await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))));
  api.on("upgrade", (request, socket) => {
    const accept = createHash("sha1")
      .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-protocol: v4.channel.k8s.io\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
    );
    socket.on("error", () => undefined);
    for (const channel of [0, 1]) socket.write(Buffer.from([0x82, 3, channel, 0x90, 0x1f]));
    if (!forward(socket)) return;
    const upstream = connect((web.address() as AddressInfo).port, "127.0.0.1");
    upstream.on("data", (bytes: Buffer) => {
      for (let at = 0; at < bytes.length; at += 100) {
        const piece = bytes.subarray(at, at + 100);
        socket.write(Buffer.concat([Buffer.from([0x82, piece.length + 1, 0]), piece]));
      }
    });
    upstream.on("end", () => socket.end(Buffer.from([0x88, 2, 0x03, 0xe8])));
    upstream.on("error", () => undefined);
    // The client's frames are short, and come whole.
    socket.on("data", (bytes: Buffer) => {
      for (let at = 0; at + 6 <= bytes.length;) {
        const short = (bytes[at + 1] ?? 0) & 0x7f;
        const head = short === 126 ? 4 : 2;
        const length = short === 126 ? bytes.readUInt16BE(at + 2) : short;
        const mask = bytes.subarray(at + head, at + head + 4);
        const payload = Buffer.from(
          bytes.subarray(at + head + 4, at + head + 4 + length).map((byte, index) => byte ^ (mask[index % 4] ?? 0)),
        );
        if (((bytes[at] ?? 0) & 15) === 2) upstream.write(payload.subarray(1));
        at += head + 4 + length;
      }
    });
    socket.on("close", () => upstream.destroy());
  });
  t.after(() => {
    for (const server of [web, api]) {
      server.closeAllConnections();
      server.close();
    }
  });
  const connection = await connectTo(t, `http://127.0.0.1:${(api.address() as AddressInfo).port}`);
  const { transport } = await reach(connection, POD, t.signal);
  t.after(async () => await transport.close());
  return transport;
}

function directoryOf(transport: Transport, signal: AbortSignal): NodeDirectory {
  const helper = async () => await Promise.resolve({ pod: { ...POD, imageID: "" }, transport, tools: [], signal });
  return new NodeDirectory("n", "/d", { helper, [Symbol.asyncDispose]: async () => await Promise.resolve() });
}

async function range(t: TestContext, transport: Transport): Promise<string> {
  let text = "";
  await transport.range?.(RANGE, (piece) => void (text += piece.toString()), t.signal);
  return text;
}

test("a range through the tunnel", async (t) => {
  const transport = await helperPod(t, (request, response) => {
    assert.equal(request.headers.range, "bytes=0-9");
    response.writeHead(206, { "content-range": "bytes 0-9/100", "content-length": 10 }).end("0123456789");
  });
  assert.equal(await range(t, transport), "0123456789");
});

test("lies about length and range, and answers that are not to the question", async (t) => {
  const lies: [string, Httpd, RegExp][] = [
    [
      "ArchiveChanged",
      (_request, response) => response.writeHead(206, { "content-range": "bytes 0-9/200", "content-length": 10 }).end("0123456789"),
      /requested bytes 0-9\/100, received bytes 0-9\/200/,
    ],
    ["ArchiveChanged", (_request, response) => response.writeHead(200).end("x".repeat(100)), /received undefined/],
    [
      "TransferCut",
      (_request, response) => response.writeHead(206, { "content-range": "bytes 0-9/100" }).end("0123"),
      /4 of 10 bytes arrived/,
    ],
    [
      "TransferCut",
      (_request, response) => response.writeHead(206, { "content-range": "bytes 0-9/100" }).end("0123456789ab"),
      /more bytes came/,
    ],
    ["TransferCut", (request) => request.socket.destroy(), /./],
    ["TransferCut", (request) => request.socket.end("not HTTP at all\r\n\r\n"), /./],
    ["TransferCut", (_request, response) => response.writeHead(500).end("no"), /answered 500/],
    ["ArchiveNotFound", (_request, response) => response.writeHead(404).end(), /./],
  ];
  for (const [reason, httpd, why] of lies) {
    const transport = await helperPod(t, httpd);
    await assert.rejects(range(t, transport), (error: { reason: string; why?: string; message: string }) => {
      assert.equal(error.reason, reason, error.message);
      assert.match(error.why ?? error.message, why);
      return true;
    });
  }
});

test("a range that has come whole is there, whether the connection ends or not", async (t) => {
  const transport = await helperPod(t, (_request, response) => {
    response.writeHead(206, { "content-range": "bytes 0-9/100", "content-length": 10 }).write("01234");
    setTimeout(() => response.socket?.write("56789"), 50);
  });
  // Containerd closes it a second after the last byte.
  const started = performance.now();
  assert.equal(await range(t, transport), "0123456789");
  assert.ok(performance.now() - started < 900);
});

test("a text answer that does not end with its last line is no answer", async (t) => {
  const answers = ["100 1 2\n5\nclosed\n", "100 1 2\n5\nclosed\nen", ""];
  for (const answer of answers) {
    const transport = await helperPod(t, (_request, response) => response.end(answer));
    await assert.rejects(transport.ask(["stat", "141"], t.signal), { reason: "TransferCut" });
  }
});

test("a removal whose answer is lost is asked again, and what is not there then was removed", async (t) => {
  const answers = ["", "none\nend\n", "none\nend\n"];
  const transport = await helperPod(t, (request, response) => {
    const answer = answers.shift();
    if (answer === "") request.socket.destroy();
    else response.end(answer);
  });
  const directory = directoryOf(transport, t.signal);
  await directory.remove("a.tar");
  await assert.rejects(directory.remove("a.tar"), { reason: "ArchiveNotFound" });
});

test("what the pod says of a file is not believed blindly", async (t) => {
  for (const facts of ["-1 1 2", "x 1 2", "1e30 1 2", "9007199254740993 1 2", ""]) {
    const transport = await helperPod(t, (request, response) =>
      response.end(request.url?.includes("stat") === true ? `${facts}\n5\nclosed\nend\n` : "abc\nend\n"),
    );
    const signal = AbortSignal.any([t.signal, AbortSignal.timeout(500)]);
    const directory = directoryOf(transport, signal);
    await assert.rejects(directory.stat("a.tar"), facts);
    await assert.rejects(directory.sha256("a.tar"));
  }
});

test("a tunnel that the kubelet cannot open says why", async (t) => {
  const opened: Duplex[] = [];
  const transport = await helperPod(
    t,
    (_request, response) => response.end("x"),
    (socket) => {
      opened.push(socket);
      if (opened.length === 1) return true;
      socket.write(Buffer.concat([Buffer.from([0x82, 20, 1]), Buffer.from("something is wrong!")]));
      socket.end(Buffer.from([0x88, 2, 0x03, 0xe8]));
      return false;
    },
  );
  await assert.rejects(range(t, transport), { reason: "TunnelBroken", why: "something is wrong!" });
});

test("interrupted in the middle, it ends at once", async (t) => {
  const transport = await helperPod(t, (_request, response) => response.writeHead(206, { "content-range": "bytes 0-9/100" }).write("0"));
  const interrupt = new AbortController();
  setTimeout(() => interrupt.abort(new Error("stop")), 200);
  const started = Date.now();
  await assert.rejects(async () => await transport.range?.(RANGE, () => undefined, interrupt.signal), /stop/);
  assert.ok(Date.now() - started < 5000);
});

test("a busy sink holds the sender back", async (t) => {
  const transport = await helperPod(t, (_request, response) => {
    response.writeHead(206, { "content-range": "bytes 0-99999/100000" }).end("x".repeat(100_000));
  });
  let busy = 0;
  let most = 0;
  let bytes = 0;
  const sink = async (piece: Buffer): Promise<void> => {
    most = Math.max(most, (busy += 1));
    bytes += piece.length;
    await new Promise((done) => setTimeout(done, 1));
    busy -= 1;
  };
  await transport.range?.({ path: "a", first: 0, last: 99_999, size: 100_000 }, sink, t.signal);
  assert.equal(bytes, 100_000);
  assert.ok(most <= 2, `${most} pieces at once`);
});
