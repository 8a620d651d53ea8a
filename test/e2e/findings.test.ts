// A pod in which somebody did what intruders do, and ten that do their work: what a report of live containers says of each.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Report } from "../../src/model/findings.ts";
import {
  APPS,
  apply,
  BUSYBOX,
  clusterTest,
  container,
  counting,
  eventually,
  getJson,
  kubectl,
  ownNamespace,
  plugin,
  pod,
  running,
  shareCluster,
  temporaryDirectory,
} from "./harness.ts";

const NAMESPACE = "e2e-findings";
const SOURCES = join(import.meta.dirname, "suspicious");

/** The payload as it was compiled once: the record of the archive in test/data has it. */
function payload(): string {
  const text = readFileSync("test/data/archives/containerd-suspicious.tar.json", "utf8");
  const found = /"PAYLOAD",\s*"value":\s*"([\w+/=]+)"/.exec(text)?.[1];
  assert.ok(found !== undefined);
  return found;
}

async function intruded(): Promise<void> {
  await apply(pod(NAMESPACE, "away", [container("c", "while true; do nc -l -p 4444 -e sleep 100000; done")]));
  await running(NAMESPACE, "away");
  const { status } = await getJson<{ status: { podIP: string } }>("pod", "away", "-n", NAMESPACE);
  const env = {
    C2: status.podIP,
    DATABASE_PASSWORD: "db-s3cr3t-value",
    PAYLOAD: payload(),
    INTRUDE: readFileSync(join(SOURCES, "intrude.py")).toString("base64"),
  };
  const command = 'mkdir -p /www; httpd -p 8080 -h /www; echo "$INTRUDE" | base64 -d | python3 -; unset PAYLOAD INTRUDE; exec sleep 100000';
  const variables = Object.entries(env).map(([name, value]) => ({ name, value }));
  await apply(
    pod(NAMESPACE, "shop", [
      { name: "web", image: APPS, command: ["sh", "-c", command], ports: [{ containerPort: 8080 }], env: variables },
    ]),
  );
  await running(NAMESPACE, "shop");
  const logs = async (): Promise<string> => (await kubectl("logs", "shop", "-n", NAMESPACE)).stdout;
  await eventually(async () => /^(done|Traceback)/m.test(await logs()), "the intruder is done");
  assert.match(await logs(), /^done$/m);
}

/** What the intruder did, as the first screen names it. */
const DONE = [
  /^high +MemoryExecutable: .*memfd:payload/m,
  /^high +DeletedExecutable: .*xmrig/m,
  /^high +RemoteShell: .*sh -i/m,
  /^high +ScheduledJob: \/etc\/cron\.d/m,
  /^high +AuthorizedKeys: \/root/m,
  /^high +SetuidFile: \/usr\/bin\/\.ping/m,
  /^high +FalseName: .*\/usr\/sbin\/sshd/m,
  /^high +UndeclaredListener: .*31337/m,
];

function testIntruded(): void {
  clusterTest(
    "all that an intruder did is in the first screen",
    async (t) => {
      await intruded();
      const archive = join(await temporaryDirectory(t), "shop.tar");
      const options = ["--criu-option", "tcp-established", "--yes", "--prove", "0", "--helper-image", BUSYBOX];
      const taken = await plugin(["-n", NAMESPACE, "shop", `--copy=${archive}`, ...options]);
      assert.equal(taken.code, 0, taken.stderr);
      const { code, stdout, stderr } = await plugin(["report", archive]);
      assert.equal(code, 0, stderr);
      const lines = stdout.split("\n");
      // A screen and a half.
      const screen = lines.slice(0, 60).join("\n");
      for (const what of DONE) assert.match(screen, what);
      assert.doesNotMatch(stdout, /hunter2-miner|db-s3cr3t-value|AKIAIOSFODNN7EXAMPLE/);
    },
    { alone: true, timeout: 300_000 },
  );
}

const SERVER =
  "import asyncio, socket\nasync def main():\n  server = await asyncio.start_server(lambda r, w: w.close(), '0.0.0.0', 7001)\n  await server.serve_forever()\nasyncio.run(main())";
const THREADS =
  "import threading, time, sqlite3\nsqlite3.connect('/tmp/app.db').execute('create table t (a)')\n[threading.Thread(target=time.sleep, args=(1e6,)).start() for _ in range(8)]";

const PREFORK =
  "import os, socket, time\ns = socket.create_server(('', 8001))\nfor _ in range(3):\n  if os.fork() == 0: break\nwhile True: s.accept()[0].close()";

/** Ordinary programs, each with the ports that it listens on. */
const ORDINARY: Readonly<Record<string, readonly [image: string, command: readonly string[], ...ports: readonly number[]]>> = {
  redis: [APPS, ["redis-server", "--port", "6379", "--save", "1", "1", "--dir", "/tmp"], 6379],
  "python-web": [APPS, ["python3", "-m", "http.server", "8000", "--directory", "/tmp"], 8000],
  "python-async": [APPS, ["python3", "-c", SERVER], 7001],
  "python-threads": [APPS, ["python3", "-c", THREADS]],
  "python-prefork": [APPS, ["python3", "-c", PREFORK], 8001],
  shell: [BUSYBOX, ["sh", "-c", counting("$i >/tmp/count")]],
  httpd: [BUSYBOX, ["sh", "-c", "mkdir -p /www; echo hi >/www/index.html; exec httpd -f -p 8080 -h /www"], 8080],
  pipeline: [BUSYBOX, ["sh", "-c", "tail -f /dev/null | grep --line-buffered x | tee /tmp/log"]],
  cron: [BUSYBOX, ["sh", "-c", "mkdir -p /tmp/jobs; exec crond -f -c /tmp/jobs"]],
  awk: [BUSYBOX, ["sh", "-c", `${counting("$i")} | awk '{ n += $1; print n > "/tmp/n"; fflush() }'`]],
};

function testOrdinary(): void {
  clusterTest(
    "of ten ordinary workloads nothing is above a note",
    async (t) => {
      const containers = Object.entries(ORDINARY).map(([name, [image, command, ...ports]]) => ({
        name,
        image,
        command,
        ports: ports.map((containerPort) => ({ containerPort })),
      }));
      await apply(pod(NAMESPACE, "ordinary", containers));
      await running(NAMESPACE, "ordinary");
      const directory = await temporaryDirectory(t);
      const taken = await plugin([
        "-n",
        NAMESPACE,
        "ordinary",
        "--all-containers",
        `--copy=${directory}/`,
        "--yes",
        "--prove",
        "0",
        "--helper-image",
        BUSYBOX,
        "-o",
        "json",
      ]);
      assert.equal(taken.code, 0, taken.stderr);
      const { items } = JSON.parse(taken.stdout) as { items: readonly { container: string; copy: { path: string } }[] };
      assert.equal(items.length, containers.length);
      for (const { container: name, copy } of items) {
        const { code, stdout, stderr } = await plugin(["report", copy.path, "-o", "json"]);
        assert.equal(code, 0, stderr);
        const { findings, container: of } = JSON.parse(stdout) as Report;
        const above = findings.filter(({ severity }) => severity !== "note").map(({ id, title }) => `${id}: ${title}`);
        assert.deepEqual(above, [], name);
        assert.ok((of.processes ?? 0) > 0, name);
      }
    },
    { timeout: 300_000 },
  );
}

if (process.env["FULL"] === undefined)
  test("reports of live containers", { skip: "FULL is not set: eleven checkpoints, one with the node's CRIU options changed" }, () => {});
else {
  shareCluster();
  ownNamespace(NAMESPACE);
  testIntruded();
  testOrdinary();
}
