// The archives on the nodes kept in order: ls, rm, prune over two real nodes with hundreds of files each, some with names that nobody expects.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { after, type TestContext } from "node:test";
import type { V1PodList } from "@kubernetes/client-node";
import type { ArchiveItem, ArchiveList, RemovalList } from "../../src/model/archives.ts";
import {
  apply,
  BUSYBOX,
  clusterTest,
  container,
  COUNT,
  eventually,
  getJson,
  NO_CLUSTER,
  onNode,
  ownNamespace,
  plugin,
  pod,
  REGISTRY,
  run,
  running,
  setUp,
  shareCluster,
  temporaryDirectory,
  type Ended,
  type RunOptions,
} from "./harness.ts";
import { Terminal } from "./terminal.ts";

shareCluster();

const namespace = ownNamespace("e2e-nodes");
const NODES = ["node1", "node2"] as const;
/** One of our own: other tests' archives stay out of it. */
const DIRECTORY = "/var/lib/kubelet/checkpoints-e2e-nodes";
const CLUSTER = resolve(import.meta.dirname, "../cluster/cluster");
// Other files' helpers may run beside these.
const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX, KUBECTL_CHECKPOINT_HELPER_NAMESPACE: namespace };
/** Both readings of these names are names: e2e-nodes/web-app, e2e/nodes-web-app… */
const AMBIGUOUS = process.env["FULL"] === undefined ? 120 : 450;
/** On each node. */
const FILES = AMBIGUOUS + 50;
const DAY = 86_400;

/** As a shell's printf has them; all with one byte in them. */
const HOSTILE = [
  "new\\nline end\\nend\\n.tar",
  "bad\\377\\376utf8.tar",
  " spaces & $(touch x) `id` ;'\"\\.tar",
  "-rf",
  "*",
  "\\360\\237\\230\\200.tar",
  "\\033[31mred\\007.tar",
  ".hidden",
  "a=b&c%%41?d#e+f.tar",
];
/** The same, as they are told in JSON. */
const HOSTILE_NAMES = [
  String.raw`new\x0aline end\x0aend\x0a.tar`,
  "bad\\xff\\xfeutf8.tar",
  " spaces & $(touch x) `id` ;'\"\\\\.tar",
  "-rf",
  "*",
  "😀.tar",
  String.raw`\x1b[31mred\x07.tar`,
  ".hidden",
  "a=b&c%41?d#e+f.tar",
];

function name(podName: string, rest: string, index: number): string {
  const [minutes, seconds] = [Math.floor(index / 60), index % 60].map((value) => String(value).padStart(2, "0"));
  return `checkpoint-${podName}_${rest}-2026-11-01T00:${minutes}:${seconds}Z.tar`;
}

/** FILES of them: archives of days ago, leftovers, what is not ours, and what is no file at all. */
async function fill(node: string, archive: string): Promise<void> {
  const send = await run(
    CLUSTER,
    ["node-shell", node, "--", "sh", "-c", `rm -rf ${DIRECTORY}; mkdir -m 700 ${DIRECTORY}; cat >${DIRECTORY}/src`],
    {
      started: (child) => child.stdin?.write(readFileSync(archive)),
    },
  );
  assert.equal(send.code, 0, send.stderr);
  const script = [
    `cd ${DIRECTORY}; now=$(date +%s)`,
    ...Array.from({ length: AMBIGUOUS }, (_, index) => `cp src '${name("counter", `${namespace}-web-app`, index)}'`),
    ...Array.from({ length: 20 }, (_, index) => `cp src '${name("solo", "default-app", index)}'`),
    `for f in checkpoint-*; do s=\${f#*T00:}; m=\${s%%:*}; s=\${s#*:}; s=\${s%Z.tar}; touch -d "@$((now - 3 * ${DAY} + 1\${m}\${s#} % 10000))" "$f"; done`,
    // Renamed ones: one that contradicts its metadata, one that nothing contradicts.
    `cp src '${name("liar", `${namespace}-web-app`, 1)}'; cp src backup.tar; touch -d "@$((now - 3 * ${DAY}))" *liar* backup.tar`,
    ...HOSTILE.map((odd) => `printf x >"$(printf -- '${odd.replaceAll("'", `'"'"'`)}')"`),
    `{ head -c 100000 src; printf x; } >'${name("counter", `${namespace}-web-app`, 900)}'`,
    `{ head -c 100000 src; printf x; } >'${name("counter", `${namespace}-web-app`, 901)}'; touch -d "@$((now - 7200))" '${name("counter", `${namespace}-web-app`, 901)}'`,
    `ln -s /etc/hostname link.tar; ln -s src '${name("counter", `${namespace}-web-app`, 902)}'; mkdir dir.tar; mkfifo pipe.tar`,
    `rm src; for i in $(seq ${FILES - AMBIGUOUS - 20 - 2 - HOSTILE.length - 2}); do echo x >fill$i; done`,
  ].join("\n");
  const filled = await run(CLUSTER, ["node-shell", node, "--", "bash", "-s"], { started: (child) => child.stdin?.write(script) });
  assert.equal(filled.code, 0, filled.stderr);
}

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    await apply(pod(namespace, "counter", [container("web-app", COUNT)], { node: "node1" }));
    await running(namespace, "counter");
    const cleanup: (() => unknown)[] = [];
    const t = { after: (work: () => unknown) => cleanup.push(work) } as unknown as TestContext;
    const directory = await temporaryDirectory(t);
    const taken = await plugin(["--prove", "0", "counter", "-n", namespace, `--copy=${directory}/`, "--remove", "-o", "name"], { env });
    assert.equal(taken.code, 0, taken.stderr);
    for (const node of NODES) await fill(node, taken.stdout.trim());
    for (const work of cleanup) await work();
  });
  after(async () => {
    for (const node of NODES) await onNode(node, "rm", "-rf", DIRECTORY);
  });
}

async function checkpoint(verb: string, ...args: string[]): Promise<Ended> {
  return await plugin([verb, "-n", namespace, "--checkpoint-dir", DIRECTORY, "--yes", ...args], { env });
}

async function list(...args: string[]): Promise<readonly ArchiveItem[]> {
  const { code, stdout, stderr } = await checkpoint("ls", "-o", "json", ...args);
  assert.equal(code, 0, stderr);
  return (JSON.parse(stdout) as ArchiveList).items;
}

function names(items: readonly { readonly path: string }[]): string[] {
  return items.map(({ path }) => path.slice(DIRECTORY.length + 1)).sort();
}

/** What is offered after `rm`; a busy machine may not have an answer in the time that a completion has. */
async function completions(word: string, options: RunOptions, wanted: (offered: readonly string[]) => boolean): Promise<string[]> {
  let offered: string[] = [];
  await eventually(async () => {
    offered = (await plugin(["__complete", "rm", word], options)).stdout.trim().split("\n");
    return wanted(offered);
  }, `completions of ${word}`);
  return offered;
}

async function onDisk(node: string): Promise<string[]> {
  return (await onNode(node, "sh", "-c", `cd ${DIRECTORY} && find . -mindepth 1 -maxdepth 1 -printf '%f\\0'`)).split("\0").filter(Boolean);
}

async function helpersLeft(): Promise<number> {
  return (await getJson<V1PodList>("pods,jobs", "-n", namespace, "-l", "app.kubernetes.io/name=kubectl-checkpoint")).items.length;
}

clusterTest("ls: of this namespace, told by the archives' own metadata, exactly, in time", async (t) => {
  const started = Date.now();
  const items = await list();
  t.diagnostic(`${items.length} of ${2 * FILES} files on two nodes listed in ${Date.now() - started} ms, helper pods included`);
  for (const node of NODES) {
    const own = items.filter((item) => item.node === node);
    const expected = Array.from({ length: AMBIGUOUS }, (_, index) => name("counter", `${namespace}-web-app`, index));
    assert.deepEqual(names(own.filter(({ complete }) => complete)), [...expected, "backup.tar"].sort(), node);
    assert.deepEqual(
      new Set(own.map((item) => `${item.namespace}/${item.pod}/${item.container}`)),
      new Set([`${namespace}/counter/web-app`]),
    );
  }
  const [first] = items;
  const [bytes, seconds] = (await onNode(first?.node ?? "", "stat", "-c", "%s %Y", first?.path ?? "")).trim().split(" ").map(Number);
  assert.deepEqual([first?.bytes, Date.parse(first?.modifiedAt ?? "") / 1000], [bytes, seconds]);
  const times = items.map(({ modifiedAt }) => modifiedAt ?? "");
  assert.deepEqual(times, times.toSorted(), "of one container, the oldest first");
  assert.ok(Date.now() - started < 20_000, "fast, even where everything else is slow");
  assert.equal(await helpersLeft(), 0);
});

clusterTest("ls -A: everything that is a file, with its name as it is; what cannot be told is left open", async () => {
  const items = await list("-A");
  for (const node of NODES) {
    const own = items.filter((item) => item.node === node);
    assert.equal(own.length, FILES, node);
    const byName = new Map(own.map((item) => [item.path.slice(DIRECTORY.length + 1), item]));
    for (const odd of HOSTILE_NAMES) {
      const { path: _, ...rest } = byName.get(odd) ?? assert.fail(`${JSON.stringify(odd)} is listed`);
      assert.deepEqual({ ...rest, modifiedAt: "" }, { node, bytes: 1, modifiedAt: "", complete: false });
    }
    const liar = byName.get(name("liar", `${namespace}-web-app`, 1));
    assert.deepEqual([liar?.pod, liar?.namespace, liar?.container, liar?.complete], ["liar", undefined, undefined, true]);
    const solo = own.filter((item) => item.pod === "solo");
    assert.deepEqual([solo.length, solo[0]?.namespace, solo[0]?.container], [20, "default", "app"]);
    for (const index of [900, 901]) {
      const unfinished = byName.get(name("counter", `${namespace}-web-app`, index));
      assert.deepEqual([unfinished?.complete, unfinished?.pod, unfinished?.namespace], [false, "counter", undefined]);
    }
    for (const none of ["link.tar", "dir.tar", "pipe.tar", name("counter", `${namespace}-web-app`, 902)])
      assert.equal(byName.has(none), false, none);
  }
});

clusterTest("ls deploy/web: the archives of its pods, which completion then offers", async (t) => {
  const labels = { app: "web" };
  const template = { metadata: { labels }, spec: { terminationGracePeriodSeconds: 0, containers: [container("app", COUNT)] } };
  const spec = { replicas: 2, selector: { matchLabels: labels }, template };
  await apply({ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web", namespace }, spec });
  await run("kubectl", ["rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s"]);
  const taken = await plugin(["deploy/web", "counter", "--prove", "0", "-n", namespace, "-o", "name"]);
  assert.equal(taken.code, 0, taken.stderr);
  const all = taken.stdout.trim().split("\n");
  const own = all.filter((place) => place.includes("/checkpoint-web-")).sort();
  assert.deepEqual([all.length, own.length], [3, 2]);

  const privately = { env: { ...env, XDG_CACHE_HOME: await temporaryDirectory(t) } };
  const listed = await plugin(["ls", "deploy/web", "-n", namespace, "--yes", "-o", "name"], privately);
  assert.deepEqual(listed.stdout.trim().split("\n").sort(), own);
  const short = own.map((place) => place.replace("/var/lib/kubelet/checkpoints/", ""));
  const completed = await completions("node", privately, (offered) => short.every((place) => offered.includes(place)));
  assert.doesNotMatch(completed.join("\n"), /counter/);
  assert.equal((await plugin(["rm", ...all, "-n", namespace, "--yes"], { env })).code, 0);
});

clusterTest("ls for people: sizes, ages, totals; no character of a name reaches the terminal, or a shell that completes it", async (t) => {
  const directory = await temporaryDirectory(t);
  const privately = { env: { ...env, XDG_CACHE_HOME: directory } };
  const { code, stdout } = await plugin(["ls", "-A", "--node", "node1", "--checkpoint-dir", DIRECTORY, "--yes"], privately);
  assert.equal(code, 0);
  const completed = await completions("node1:", privately, ({ length }) => length > FILES - 20);
  for (const line of completed) assert.match(line, /^(:4|node1:\/var\/lib\/kubelet\/checkpoints-e2e-nodes\/[\w.:=@%+,-]+)$/);
  const lines = stdout.trimEnd().split("\n");
  assert.match(lines[0] ?? "", /^NAMESPACE +POD +CONTAINER +NODE +SIZE +AGE +COMPLETE +ARCHIVE$/);
  assert.match(
    stdout,
    new RegExp(`^${namespace} +counter +web-app +node1 +\\d{3} KiB +[23]d +yes +${name("counter", `${namespace}-web-app`, 7)}$`, "m"),
  );
  assert.match(stdout, /^<unknown> +<unknown> +<unknown> +node1 +1 B +\d+[sm] +no +\\x1b\[31mred\\x07\.tar$/m);
  assert.match(lines.at(-1) ?? "", new RegExp(`^${FILES} archives, \\d+(\\.\\d)? MiB on 1 node$`));
  // oxlint-disable-next-line no-control-regex -- they are what must not be there
  assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f]/);
  const wide = await checkpoint("ls", "solo", "-A", "-o", "wide");
  assert.match(
    wide.stdout,
    /^NAMESPACE .* MODIFIED +PATH\ndefault +solo +app +node\d .* 20\d\d-\S+Z +\/var\/lib\/kubelet\/checkpoints-e2e-nodes\/checkpoint-solo_/,
  );
  assert.match(wide.stdout, /\n40 archives, .* on 2 nodes\n$/);
  assert.equal((await checkpoint("ls", "solo", "-o", "name")).stdout, "", "of another namespace");
});

clusterTest(
  "an image without httpd, tar and busybox lists the same, by exec",
  async () => {
    const scope = ["solo", "-A", "--node", "node1"];
    assert.deepEqual(await list(...scope, "--helper-image", `${REGISTRY}/plain:1`), await list(...scope));
    const ambiguous = await list("-n", "default", "--node", "node2", "--helper-image", `${REGISTRY}/plain:1`);
    assert.equal(ambiguous.length, 20);
  },
  { full: true },
);

clusterTest("a node that cannot be asked is reported, and does not keep the others from being listed", async () => {
  const { code, stdout, stderr } = await checkpoint("ls", "solo", "-A", "-o", "json", "--node", "node1", "--node", "nowhere");
  assert.equal(code, 3);
  const { items, unreachable } = JSON.parse(stdout) as ArchiveList;
  assert.deepEqual([items.length, unreachable.map(({ node, reason }) => `${node} ${reason}`)], [20, ["nowhere NodeNotFound"]]);
  assert.match(stderr, /^error: node\/nowhere not found\n/);
  const none = await plugin(["ls", "--yes", "--node", "node1", "--checkpoint-dir", "/no/such/dir"], { env });
  assert.equal(none.code, 1);
  assert.match(none.stderr, /^error: checkpoint directory \/no\/such\/dir not found on node1\n/);
});

clusterTest("privileged pods are made only where that was agreed to", async (t) => {
  for (const args of [["ls"], ["rm", "node1:x"], ["prune", "--keep", "1"]]) {
    const { code, stderr } = await plugin([...args, "-n", namespace], { env });
    assert.equal(code, 2);
    assert.match(
      stderr,
      /^error: this needs (a )?privileged helper pods? on node1.* \(namespace e2e-nodes, image \S+\)\n {2}fix: rerun with --yes/,
    );
  }
  const words = ["ls", "solo", "-A", "--node", "node1", "--checkpoint-dir", DIRECTORY];
  const no = new Terminal(words, { columns: 200, rows: 30 }, env);
  t.after(() => no.kill());
  await no.see(/Create a privileged helper pod on node1 \(namespace e2e-nodes, image \S+busybox:1\)\?/);
  no.type("n\r");
  assert.equal(await no.ended(), 130);
  const yes = new Terminal(words, { columns: 200, rows: 30 }, env);
  t.after(() => yes.kill());
  await yes.see(/Create a privileged helper pod/);
  yes.type("y\r");
  assert.equal(await yes.ended(), 0);
  await yes.see(/^20 archives/);
});

clusterTest("rm: exact names only, whatever is in them; says what was freed", async () => {
  const before = await onDisk("node1");
  const star = await checkpoint("rm", "node1:check*");
  assert.equal(star.code, 1);
  assert.match(star.stderr, /^error: node1:\S+check\* not found\n {2}fix: kubectl checkpoint ls --node node1 -A\n$/);
  for (const outside of ["../../../etc/hostname", "/etc/hostname", "..", "dir.tar/x"]) {
    const { code, stderr } = await checkpoint("rm", `node1:${outside}`);
    assert.deepEqual([code, stderr.includes(`: use a file name in ${DIRECTORY}, or its full path`)], [2, true], outside);
  }
  for (const none of ["link.tar", "dir.tar", "pipe.tar"]) assert.equal((await checkpoint("rm", `node1:${none}`)).code, 1, none);
  assert.deepEqual((await onDisk("node1")).sort(), before.sort());

  const dry = await checkpoint("rm", "node1:backup.tar", "--dry-run=client");
  assert.match(
    dry.stdout,
    /^node1:\S+backup\.tar \(\d{3} KiB\) would be removed\n1 archive, \d{3} KiB: nothing was removed \(dry run\)\n$/,
  );
  assert.equal((await onDisk("node1")).length, before.length);

  const words = [...HOSTILE_NAMES.map((odd) => `node1:${odd}`), `node1:${DIRECTORY}/backup.tar`];
  const removed = await checkpoint("rm", ...words, "-o", "json");
  assert.equal(removed.code, 0, removed.stderr);
  const { items } = JSON.parse(removed.stdout) as RemovalList;
  assert.deepEqual(names(items), [...HOSTILE_NAMES, "backup.tar"].sort());
  assert.ok(items.every((item) => item.removed));
  const gone = (await onNode("node1", "sh", "-c", `ls -A ${DIRECTORY} | wc -l`)).trim();
  assert.equal(Number(gone), before.length - words.length, "these and no others");
  assert.notEqual((await onNode("node1", "cat", "/etc/hostname")).trim(), "");
});

clusterTest("rm takes what ls prints, and some of several may fail", async () => {
  const { stdout: listed } = await checkpoint("ls", "-A", "-o", "name", "--node", "node2");
  const printed = listed.split("\n").find((line) => line.includes(String.raw`\x1b[31m`)) ?? assert.fail("it is listed");
  const { code, stdout, stderr } = await checkpoint("rm", printed, "node2:nothing.tar", "nowhere:x.tar");
  assert.equal(code, 3);
  assert.equal(stdout, `${printed} (1 B) removed\n1 archive removed, 1 B freed on 1 node\n`);
  assert.match(stderr, /^error: node2:\S+nothing\.tar not found\n/);
  assert.match(stderr, /^error: node\/nowhere not found\n/m);
});

clusterTest("an archive that may still be being written stays, for an hour", async () => {
  const [young, old] = [900, 901].map((index) => `node2:${name("counter", `${namespace}-web-app`, index)}`);
  const refused = await checkpoint("rm", young ?? "", "-o", "json");
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /^error: node2:\S+ is incomplete: its checkpoint might still be running\n {2}why: .* last changed \d+[sm] ago\n/,
  );
  assert.equal((JSON.parse(refused.stdout) as RemovalList).items[0]?.error?.reason, "ArchiveUnfinished");
  assert.equal((await checkpoint("rm", old ?? "")).code, 0);
});

clusterTest("rm asks on a terminal, after it has shown what", async (t) => {
  const words = ["rm", `node2:${name("solo", "default-app", 3)}`, "--checkpoint-dir", DIRECTORY];
  const screen = new Terminal(words, { columns: 200, rows: 30 }, env);
  t.after(() => screen.kill());
  await screen.see(/privileged helper pod on node2/);
  screen.type("y\r");
  await screen.see(/^ {2}node2:\S+checkpoint-solo_default-app-/);
  await screen.see(/Remove this archive \(\d{3} KiB\) from node\d\? This cannot be undone\./);
  screen.type("n\r");
  assert.equal(await screen.ended(), 130);
  assert.ok((await onDisk("node2")).includes(name("solo", "default-app", 3)));
});

clusterTest("prune: where every removal fails, all has failed: 1, not 3", async (t) => {
  // A file system that cannot be written to, over the directory.
  const mount = [
    `set -- ${DIRECTORY}/checkpoint-counter*00:00:0[1-5]Z.tar`,
    "kept=$(mktemp -d)",
    'cp -p "$@" $kept',
    `mount -t tmpfs tmpfs ${DIRECTORY}`,
    `cp -p $kept/* ${DIRECTORY}`,
    "rm -r $kept",
    `mount -o remount,ro ${DIRECTORY}`,
  ];
  t.after(async () => await onNode("node1", "umount", "-l", DIRECTORY));
  await onNode("node1", "sh", "-ec", mount.join("\n"));
  const all = await checkpoint("prune", "--keep", "3", "--node", "node1", "-o", "json");
  const { items } = JSON.parse(all.stdout) as RemovalList;
  assert.deepEqual(
    items.map(({ removed }) => removed),
    [false, false],
  );
  assert.equal(all.code, 1, all.stderr.slice(0, 500));
});

clusterTest("prune: the plan first; the newest of each container stay; what is not certain stays", async () => {
  const neither = await checkpoint("prune");
  assert.equal(neither.code, 2);
  assert.match(neither.stderr, /^error: --keep or --older-than is required\n/);
  const plan = await checkpoint("prune", "--keep", "3", "--dry-run=client", "-o", "json");
  assert.equal(plan.code, 0, plan.stderr);
  const planned = (JSON.parse(plan.stdout) as RemovalList).items;
  assert.ok(planned.every(({ removed }) => !removed));
  const before = new Map(await Promise.all(NODES.map(async (node) => [node, await onDisk(node)] as const)));

  const done = await checkpoint("prune", "--keep", "3", "-o", "json");
  assert.equal(done.code, 0, done.stderr);
  const removed = (JSON.parse(done.stdout) as RemovalList).items;
  assert.deepEqual(removed.map(({ node, path }) => `${node} ${path}`).sort(), planned.map(({ node, path }) => `${node} ${path}`).sort());
  assert.ok(removed.every((item) => item.removed));
  const left = (await list()).filter(({ complete }) => complete);
  assert.equal(left.length, 3, "of the container, wherever they lie");
  for (const node of NODES) {
    const gone = new Set(removed.filter((item) => item.node === node).map(({ path }) => path.slice(DIRECTORY.length + 1)));
    assert.deepEqual((await onDisk(node)).sort(), (before.get(node) ?? []).filter((file) => !gone.has(file)).sort(), "no other file");
    assert.ok((await onDisk(node)).includes(name("liar", `${namespace}-web-app`, 1)));
  }
});

clusterTest(
  "prune --older-than, alone and with --keep; of all namespaces with -A",
  async () => {
    const young = await checkpoint("prune", "-A", "--older-than", "7d", "-o", "json");
    assert.deepEqual((JSON.parse(young.stdout) as RemovalList).items, []);
    const both = await checkpoint("prune", "-A", "--keep", "5", "--older-than", "1d", "--dry-run=client", "-o", "json");
    const solo = (JSON.parse(both.stdout) as RemovalList).items.filter(({ path }) => path.includes("solo"));
    assert.equal(solo.length, 35);
    const all = await checkpoint("prune", "-A", "--older-than", "1d");
    assert.equal(all.code, 0, all.stderr);
    assert.match(all.stdout, /\n43 archives removed, \d+(\.\d)? MiB freed on 2 nodes\n$/);
    const left = await list("-A");
    assert.ok(left.every(({ pod: of }) => of !== "solo"));
    assert.ok(
      left.some(({ pod: of }) => of === "liar"),
      "not certain, so never pruned",
    );
  },
  { full: true },
);

clusterTest("links out of the directory lead nowhere", async () => {
  await onNode(
    "node1",
    "sh",
    "-c",
    `echo secret >/var/lib/kubelet/victim; ln -s ../victim ${DIRECTORY}/trap.tar; ln /var/lib/kubelet/victim ${DIRECTORY}/hard.tar`,
  );
  assert.equal((await checkpoint("rm", "node1:trap.tar")).code, 1);
  assert.equal((await checkpoint("rm", "node1:hard.tar")).code, 0, "another name for a file is a file of the directory");
  assert.equal((await onNode("node1", "cat", "/var/lib/kubelet/victim")).trim(), "secret");
  await onNode("node1", "rm", "/var/lib/kubelet/victim");
});
