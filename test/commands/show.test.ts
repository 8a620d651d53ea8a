// Runs on Linux only: it needs mkfifo and timeout.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { constants, copyFileSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { verb as show } from "../../src/commands/show.ts";
import { builtCommand } from "../cli/built.ts";
import { REGISTRY, requestOf, runVerb } from "./running.ts";
import { plain } from "../../src/model/phrase.ts";

const COUNTER = "test/data/archives/checkpoint-counter_default-counter-2026-11-24T02-28-30Z.tar";
const REDIS = "test/data/archives/containerd-2.1.9-criu4.2.1-k8s-redis.tar";
const CRIO = "test/data/archives/crio-1.34.11-criu4.2.1.tar";
const OLD_PAGEMAP = "test/data/archives/podman-5.4.2-criu4.1.1-oldpagemap.tar.gz";
const ZSTD = "test/data/archives/podman-zstd.tar.zst";

test("words and flags become a request", () => {
  assert.deepEqual(requestOf(show, ["a.tar", "-"], { output: "wide" }), { files: ["a.tar", "-"], wide: true, registry: REGISTRY });
  assert.throws(() => requestOf(show, []), { reason: "Usage" });
});

test("a line an archive, on all three engines and both generations of pagemaps", async () => {
  const { lines, exitCode } = await runVerb(show, [COUNTER, REDIS, CRIO, OLD_PAGEMAP, ZSTD]);
  assert.deepEqual(lines, [
    "POD|NAMESPACE|CONTAINER|IMAGE|RUNTIME|ENGINE|CREATED|CHECKPOINTED|SIZE|MEMORY|PAUSED|FILE",
    `counter|default|counter|docker.io/library/busybox:1.36|io.containerd.runc.v2|containerd|2026-11-24T02:28:10Z|2026-11-24T02:28:30Z|267 KiB|136 KiB|>175ms|${COUNTER}`,
    `apps|default|redis|10.90.0.1:5000/apps:1|io.containerd.runc.v2|containerd|2026-11-24T06:10:16Z|2026-11-24T06:10:21Z|6.3 MiB|6.0 MiB|>166ms|${REDIS}`,
    `pod-k|default|counter|127.0.0.1:5000/bbc:1|crun|cri-o|2026-11-24T02:34:14Z|2026-11-24T02:34:18Z|441 KiB|276 KiB|>180ms|${CRIO}`,
    `<none>|<none>|fixture|localhost/bb:1|crun|podman|2026-11-24T02:22:32Z|2026-11-24T02:22:36Z|90.8 KiB|8.1 MiB|>201ms|${OLD_PAGEMAP}`,
    `<none>|<none>|counter|localhost/bb:1|crun|podman|2026-11-24T00:31:26Z|2026-11-24T00:31:30Z|33.6 KiB|272 KiB|>445ms|${ZSTD}`,
  ]);
  assert.equal(exitCode, 0);
});

test("one archive needs no column for its name; -o wide has more of it, -o name the paths", async () => {
  const { lines, pieces } = await runVerb(show, [CRIO]);
  assert.match(lines[0] ?? "", /^POD\|/);
  const wide = await runVerb(show, [CRIO], { output: "wide" });
  assert.match(wide.lines[0] ?? "", /^POD\|.*\|PAUSED\|IMAGES\|ROOTFS CHANGE\|COMPRESSION\|IP\|CONTAINER ID\|IMAGE ID\|FILE$/);
  assert.match(wide.lines[1] ?? "", /\|295 KiB\|2\.5 KiB\|none\|10\.213\.7\.33\|db3636326e8c.*\|9079477346761d/);
  assert.deepEqual(
    pieces.flatMap(({ name }) => name ?? []),
    [CRIO],
  );
});

test("the document SummaryList", async () => {
  const { document } = await runVerb(show, [COUNTER]);
  const plainDocument = JSON.parse(JSON.stringify(document)) as { items: Record<string, unknown>[] };
  const [{ annotations, command } = {}] = plainDocument.items;
  assert.equal((annotations as Record<string, string>)["io.kubernetes.cri.sandbox-uid"], "16cc558e-7424-471e-aaa9-6d7803ec26a7");
  assert.equal((command as string[])[0], "/bin/sh");
  assert.deepEqual(plainDocument, {
    apiVersion: "checkpoint.kubectl/v1",
    kind: "SummaryList",
    items: [
      {
        path: COUNTER,
        engine: "containerd",
        runtime: "io.containerd.runc.v2",
        namespace: "default",
        pod: "counter",
        podUID: "16cc558e-7424-471e-aaa9-6d7803ec26a7",
        container: "counter",
        containerID: "containerd://f4cdecd9520037c35971a44ebeec97f2688e872ac100174deece43a9931ffba1",
        restartCount: 0,
        image: "docker.io/library/busybox:1.36",
        imageID: "sha256:10a67bf165cce74854088d3cbfafadc12ca47f47c2e03c4eaf12470bddd5df82",
        createdAt: "2026-11-24T02:28:10.133Z",
        startedAt: "2026-11-24T02:28:10.259Z",
        checkpointedAt: "2026-11-24T02:28:30.274Z",
        ips: [],
        macs: [],
        networks: [],
        annotations,
        command,
        bytes: 273408,
        compression: "none",
        imagesBytes: 155465,
        memoryBytes: 139264,
        rootfsDiffBytes: 286,
        frozenSeconds: 0.175461,
        interrupted: [],
        problems: [],
        volumes: [
          {
            path: "/var/run/secrets/kubernetes.io/serviceaccount",
            source: "/var/lib/kubelet/pods/16cc558e-7424-471e-aaa9-6d7803ec26a7/volumes/kubernetes.io~projected/kube-api-access-vf779",
            name: "kube-api-access-vf779",
            kind: "projected",
            included: false,
          },
        ],
      },
    ],
  });
});

test("how long the container was paused: by the record beside the archive, else by CRIU's part of it; what was interrupted", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "kubectl-checkpoint-test-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const copy = join(directory, "redis.tar");
  copyFileSync(REDIS, copy);
  writeFileSync(`${copy}.json`, JSON.stringify({ items: [{ pausedSeconds: 2.85 }] }));
  const { lines, document } = await runVerb(show, [copy]);
  assert.match(lines[1] ?? "", /\|<2\.9s$/);
  const [item] = (document as { items: Record<string, unknown>[] }).items;
  assert.deepEqual([item?.["pausedSeconds"], item?.["frozenSeconds"]], [2.85, 0.166443]);
  assert.deepEqual(item?.["interrupted"], [
    { tid: 1, comm: "redis-server", call: "epoll_wait" },
    { tid: 10, comm: "jemalloc_bg_thd", call: "futex" },
  ]);
  writeFileSync(`${copy}.json`, "no JSON");
  assert.match((await runVerb(show, [copy])).lines[1] ?? "", /\|>166ms$/);
});

test("it says that volumes are not inside, and which", async () => {
  const hints = async (file: string) => {
    const { events } = await runVerb(show, [file]);
    return events.map((event) => (event.kind === "hint" ? plain(event.text) : event.kind));
  };
  assert.deepEqual(await hints(REDIS), [
    `${REDIS}: system calls that the checkpoint interrupted: epoll_wait of thread 1 (redis-server), futex of thread 10 (jemalloc_bg_thd)`,
    `${REDIS}: volumes that are not included: /var/run/secrets/kubernetes.io/serviceaccount (projected kube-api-access-pcn7g)`,
  ]);
  assert.deepEqual(await hints(CRIO), [
    `${CRIO}: system calls that the checkpoint interrupted: clock_nanosleep of thread 5 (sleep), clock_nanosleep of thread 10 (sleep)`,
    "archives do not include volumes; this container had none",
  ]);
});

test("an archive that breaks off: what can be told, a warning, and no sum of a part", async () => {
  const path = join(mkdtempSync(join(tmpdir(), "show-")), "cut.tar");
  writeFileSync(path, readFileSync("test/data/archives/containerd-a.tar").subarray(0, 320_000));
  const { lines, events, exitCode } = await runVerb(show, [path]);
  assert.equal(
    lines[1],
    "pod-a|default|counter|localhost/bb:1|io.containerd.runc.v2|containerd|2026-11-24T02:14:08Z|2026-11-24T02:14:12Z|313 KiB|<none>|<none>",
  );
  assert.deepEqual(
    events.map((event) => (event.kind === "warning" ? plain(event.text) : event.kind)),
    [`${path}: it is cut off in the middle of its last member`],
  );
  assert.equal(exitCode, 3);
});

test("files that are none: told one by one, the others shown; exit 3 where some, 1 where all failed", async () => {
  const some = await runVerb(show, ["/nonexistent.tar", COUNTER, "package.json"]);
  assert.deepEqual(
    some.errors.map(({ reason }) => reason),
    ["NoSuchFile", "NotAnArchive"],
  );
  assert.equal(some.lines.length, 2);
  assert.equal(some.exitCode, 3);
  const all = await runVerb(show, ["/nonexistent.tar"]);
  assert.deepEqual([all.lines, all.exitCode], [[], 1]);
});

test("a producer that takes its time, on standard input and through a named pipe; a signal ends the waiting", async () => {
  const command = await builtCommand();
  const pipe = join(mkdtempSync(join(tmpdir(), "show-")), "pipe");
  const show = `"${process.execPath}" ${command} show -q`;
  const slowly = `(sleep 0.3; cat ${CRIO})`;
  for (const script of [`${slowly} | ${show} -`, `mkfifo ${pipe}; ${slowly} > ${pipe} & ${show} ${pipe}`]) {
    const { stdout, stderr } = spawnSync("sh", ["-c", script], { encoding: "utf8" });
    assert.match(stdout, /^pod-k {3}/m, stderr);
  }
  for (const file of ["-", pipe]) {
    const started = performance.now();
    // Its standard input is a pipe that nothing comes through.
    const child = spawnSync("timeout", ["-s", "INT", "-k", "9", "1", process.execPath, command, "show", file], {
      stdio: [openSync(pipe, constants.O_RDWR), "pipe", "pipe"],
      encoding: "utf8",
    });
    assert.deepEqual([child.stdout, child.stderr], ["", ""]);
    assert.ok(performance.now() - started < 4000, `${file}: ended by the signal, not left behind`);
  }
});

test("a pod or an archive on a node where a file is meant: what to do first", async () => {
  const cases: Readonly<Record<string, string | undefined>> = {
    nginx: "if a pod was meant, its archive is made first: kubectl checkpoint nginx --copy",
    "pod/nginx": "if a pod was meant, its archive is made first: kubectl checkpoint pod/nginx --copy",
    "node1:/var/lib/kubelet/checkpoints/checkpoint-x.tar":
      "an archive on a node is copied first: kubectl checkpoint cp node1:/var/lib/kubelet/checkpoints/checkpoint-x.tar",
    "/nonexistent.tar": undefined,
  };
  for (const [path, fix] of Object.entries(cases)) {
    const { errors } = await runVerb(show, [path]);
    assert.deepEqual([errors[0]?.reason, errors[0]?.fix], ["NoSuchFile", fix]);
  }
});
