// One copy from test/bench/client/server.ts, as the plugin makes it: prints the processor seconds of this process and how long it took.
import { createHash } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Connection } from "../../../src/cluster/connection.ts";
import { NodeDirectory, type Codec } from "../../../src/helper/directory.ts";
import { reach } from "../../../src/helper/reach.ts";
import { Directory } from "../../../src/local/directory.ts";
import { Part } from "../../../src/local/part.ts";
import { download } from "../../../src/transfer/download.ts";
import { context, NO_OPTIONS } from "../../fakes.ts";

const [port = "", codec = "none"] = process.argv.slice(2);
const { signal } = new AbortController();
const to = await mkdtemp(join(tmpdir(), "bench-client-"));
const connection = await Connection.open(
  { ...NO_OPTIONS, kubeconfig: "/dev/null", server: `https://127.0.0.1:${port}`, insecure: true, token: "x" },
  context(signal),
);
try {
  const pod = { namespace: "n", name: "p", imageID: "" };
  const helper = { pod, signal, ...(await reach(connection, pod, signal)) };
  const directory = new NodeDirectory("n", "/d", {
    helper: async () => await Promise.resolve(helper),
    [Symbol.asyncDispose]: async () => await Promise.resolve(),
  });
  const file = await directory.stat("a.tar");
  await using local = await Directory.open(to);
  const part = await Part.open(local, "a.tar", { node: "n", name: "a.tar", bytes: file.bytes, identity: file.identity });
  const source = { codecs: [codec as Codec], pour: directory.pour.bind(directory, file) };
  const before = process.cpuUsage();
  const started = performance.now();
  const { sha256 } = await download({ source, part, codec: codec as Codec, streams: 2, signal, progress: () => undefined });
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(before);
  await part.close();
  // All of it has to be right, or it proves nothing.
  if (
    createHash("sha256")
      .update(readFileSync(join(to, "a.tar.part")))
      .digest("hex") !== sha256
  )
    throw new Error("other bytes on the disk");
  process.stdout.write(JSON.stringify({ cpu: (user + system) / 1e6, seconds, sha256 }));
} finally {
  await connection.close();
  rmSync(to, { recursive: true });
}
