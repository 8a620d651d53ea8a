// The doctor names what is wrong on the real cluster in each of its states, and what it says to do helps.
import "./apart.ts";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after } from "node:test";
import type { Diagnosis } from "../../src/model/diagnosis.ts";
import {
  apply,
  APPS,
  BUSYBOX,
  cluster,
  clusterTest,
  container,
  COUNT,
  environment,
  eventually,
  kubectl,
  NO_CLUSTER,
  onNode,
  ownNamespace,
  plugin,
  pod,
  run,
  ready,
  running,
  setUp,
  shareCluster,
} from "./harness.ts";
import { Terminal } from "./terminal.ts";

shareCluster();

const namespace = ownNamespace("e2e-doctor");
const baseline = ownNamespace("e2e-doctor-baseline");
const NODE = "node2";
const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX };

/** A process with both ends of a connection. */
const TALK =
  "import socket,time\ns=socket.create_server(('127.0.0.1',9000))\nc=socket.create_connection(('127.0.0.1',9000))\na=s.accept()\nprint('ready',flush=True)\ntime.sleep(1e6)";

if (NO_CLUSTER === undefined) {
  setUp(async () => {
    await apply(
      pod(namespace, "counter", [container("counter", COUNT)], { node: NODE }),
      pod(namespace, "talks", [{ name: "c", image: APPS, command: ["python3", "-c", TALK] }], { node: NODE }),
      pod(
        namespace,
        "uring",
        [{ name: "node", image: APPS, command: ["node", "-e", "setInterval(() => {}, 1000); console.log('ready')"] }],
        { node: NODE },
      ),
      pod(
        namespace,
        "shares",
        [container("c", COUNT, { volumeMounts: [{ name: "h", mountPath: "/h" }] }), container("other", "sleep 100000")],
        {
          node: NODE,
          spec: { shareProcessNamespace: true, volumes: [{ name: "h", hostPath: { path: "/etc" } }] },
        },
      ),
    );
    await running(namespace, "counter", "talks", "uring", "shares");
    for (const name of ["talks", "uring"]) await ready(namespace, name);
  });
  after(async () => {
    await cluster("grant", "yes");
    await cluster("criu", NODE, "on");
  });
}

interface Told {
  readonly code: number | null;
  readonly stderr: string;
  readonly items: Diagnosis["items"];
  /** "fail api-server-right", of what is not ok. */
  readonly bad: readonly string[];
  readonly fix: (check: string) => string;
}

async function doctor(...args: string[]): Promise<Told> {
  const { code, stdout, stderr } = await plugin(["doctor", "-n", namespace, "-o", "json", ...args], { env });
  const { items } = JSON.parse(stdout) as Diagnosis;
  return {
    code,
    stderr,
    items,
    bad: items.filter(({ status }) => status === "fail").map(({ check }) => check),
    fix: (check) => items.find((item) => item.check === check && item.fix !== undefined)?.fix ?? assert.fail(`${check} has no fix`),
  };
}

async function follow(fix: string): Promise<void> {
  const commands = fix.split("\n").filter((line) => line.startsWith("kubectl "));
  assert.ok(commands.length > 0, fix);
  for (const command of commands) {
    const { code, stderr } = await run("sh", ["-c", command]);
    assert.equal(code, 0, `${command}: ${stderr}`);
  }
}

async function works(): Promise<boolean> {
  return (await plugin(["--prove", "0", "counter", "-n", namespace])).code === 0;
}

clusterTest("healthy: everything will work, in one screen", async () => {
  const { code, items, bad } = await doctor("--deep");
  assert.deepEqual([code, bad], [0, []], JSON.stringify(items.filter(({ status }) => status !== "ok")));
  assert.deepEqual(
    items.slice(-3).map(({ check, status, message }) => `${check} ${status} ${message}`),
    [
      "checkpoint warn will not work (pod/talks container c, pod/uring container node): connections, open-files",
      "copy ok will work",
      "restore ok will work",
    ],
  );
  for (const check of [
    "api-server",
    "rights-checkpoint",
    "rights-copy",
    "helper-pod",
    "node",
    "kubelet-version",
    "kubelet",
    "api-server-right",
    "checkpoint-gate",
    "runtime",
    "restore-runtime",
    "runtime-request-timeout",
    "disk",
    "criu",
    "criu-config",
    "oci-runtime",
    "checkpoint-directory",
    "tmp",
    "selinux",
  ])
    assert.ok(
      items.some((item) => item.check === check && item.status === "ok"),
      check,
    );
  assert.match(items.find(({ check }) => check === "criu")?.message ?? "", /^node1, node2: 4\.2\.1, on kernel \d+\./);
  const shallow = await doctor();
  assert.deepEqual(
    shallow.items.slice(-3).map(({ check, status, message }) => `${check} ${status} ${message}`),
    [
      "checkpoint ok will work, as far as can be seen without --deep",
      "copy ok will work",
      "restore ok will work, as far as can be seen without --deep",
    ],
  );
  const criu = shallow.items.find(({ check }) => check === "criu");
  assert.deepEqual([criu?.status, criu?.fix], ["skip", "kubectl checkpoint doctor --deep"]);
  const text = await plugin(["doctor", "-n", namespace], { env });
  assert.match(text.stdout, /^STATUS +CHECK +MESSAGE\nok +api-server +Kubernetes v1\.\S+ at https:/);
  assert.ok(text.stdout.split("\n").length <= 24, text.stdout);
});

clusterTest(
  "no grant: named, and the printed fix makes the checkpoint work",
  async (t) => {
    t.after(async () => await cluster("grant", "yes"));
    await cluster("grant", "no");
    const { code, bad, items, fix } = await doctor();
    assert.deepEqual([code, bad], [1, ["api-server-right", "checkpoint"]]);
    assert.match(items.at(-3)?.message ?? "", /^will not work \(node1, node2\): api-server-right$/);
    assert.ok(items.some(({ check, message }) => check === "api-server-right" && message.includes("kube-apiserver-kubelet-client")));
    await follow(fix("api-server-right"));
    await eventually(works, "the checkpoint");
    assert.deepEqual((await doctor()).bad, []);
  },
  { alone: true },
);

clusterTest(
  "no grant: --fix prints what is missing, for kubectl; --fix=apply asks, applies, waits",
  async (t) => {
    t.after(async () => await cluster("grant", "yes"));
    await cluster("grant", "no");
    const printed = await plugin(["doctor", "node/node1", "--fix"], { env });
    assert.equal(printed.code, 1);
    const applied = await run("kubectl", ["apply", "--dry-run=server", "-f", "-", "-o", "name"], {
      started: (child) => child.stdin?.write(printed.stdout),
    });
    assert.equal(
      applied.stdout,
      "clusterrole.rbac.authorization.k8s.io/kubelet-checkpoint\nclusterrolebinding.rbac.authorization.k8s.io/kubelet-checkpoint\n",
      applied.stderr,
    );
    const unasked = await plugin(["doctor", "node/node1", "--fix=apply"], { env });
    assert.equal(unasked.code, 2);
    assert.match(
      unasked.stderr,
      /^error: this would apply ClusterRole\/kubelet-checkpoint, ClusterRoleBinding\/kubelet-checkpoint to the cluster\n/m,
    );
    const screen = new Terminal(["doctor", "node/node1", "--fix=apply"], { columns: 200, rows: 50 }, env);
    t.after(() => screen.kill());
    await screen.see(/Apply ClusterRole\/kubelet-checkpoint, ClusterRoleBinding\/kubelet-checkpoint to the cluster\?/);
    screen.type("y\r");
    await screen.see(/^ok +checkpoint +will work/);
    assert.equal(await screen.ended(), 0);
    await eventually(works, "the checkpoint");
    const again = await plugin(["doctor", "node/node1", "--fix=apply", "--yes"], { env });
    assert.deepEqual([again.code, /no permissions are missing; nothing was applied/.test(again.stderr)], [0, true]);
  },
  { alone: true },
);

clusterTest("a user without rights: each is named; the manifests give them; who may not give them learns why", async (t) => {
  const as = ["--as", "doctors-patient"];
  const { code, bad, items } = await doctor(`node/${NODE}`, ...as);
  assert.deepEqual([code, bad], [1, ["rights-checkpoint", "rights-copy", "checkpoint", "copy"]]);
  assert.match(
    items.find(({ check }) => check === "rights-checkpoint")?.message ?? "",
    /^user "doctors-patient" may not get\/list pods in namespace e2e-doctor; create nodes\/proxy$/,
  );
  const refused = await plugin(["doctor", `node/${NODE}`, "-n", namespace, "--fix=apply", "--yes", ...as], { env });
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /^error: ClusterRole\/kubectl-checkpoint-nodes-proxy could not be applied|^error: \S+ \S+ could not be applied\n {2}why: .*forbidden/m,
  );
  const { stdout: manifests } = await plugin(["doctor", `node/${NODE}`, "-n", namespace, "--fix", ...as], { env });
  t.after(async () => await run("kubectl", ["delete", "-f", "-"], { started: (child) => child.stdin?.write(manifests) }));
  const applied = await run("kubectl", ["apply", "-f", "-"], { started: (child) => child.stdin?.write(manifests) });
  assert.equal(applied.code, 0, applied.stderr);
  await eventually(async () => (await plugin(["--prove", "0", "counter", "-n", namespace, ...as])).code === 0, "the checkpoint");
  assert.deepEqual((await doctor(`node/${NODE}`, ...as)).bad, []);
});

clusterTest("who may not list nodes learns nothing of them; exec does where port-forward is not allowed", async () => {
  const role = ["--resource=pods,pods/exec,jobs.batch", "--verb=get,list,create,patch,delete", "-n", namespace];
  assert.equal((await kubectl("create", "role", "exec", ...role)).code, 0);
  await kubectl("create", "rolebinding", "exec", "--role=exec", "--user=exie", "-n", namespace);
  const as = ["--helper-namespace", namespace, "--as", "exie"];
  await eventually(
    async () => (await kubectl("auth", "can-i", "create", "pods", "--subresource=exec", "-n", namespace, "--as", "exie")).code === 0,
    "the role",
  );
  const { items, bad, fix } = await doctor(...as);
  assert.deepEqual(bad, ["rights-checkpoint", "checkpoint"]);
  assert.equal(fix("nodes"), "kubectl checkpoint doctor node/NODE");
  assert.deepEqual(
    items.slice(-2).map(({ check, status, message }) => `${check} ${status} ${message}`),
    ["copy skip unknown: no node was asked", "restore skip unknown: no node was asked"],
  );
  const copies = items.find(({ check }) => check === "rights-copy");
  assert.match(
    `${copies?.status} ${copies?.message}`,
    /^warn user "exie" may not get\/create pods\/portforward .*: copies use exec, which is slower$/,
  );
});

clusterTest(
  "the gate is off",
  async (t) => {
    t.after(async () => {
      await cluster("kubelet", NODE, "stop");
      await cluster("kubelet", NODE, "start");
    });
    await cluster("kubelet", NODE, "stop");
    await cluster("kubelet", NODE, "start", "--checkpoint-gate=off");
    const { code, bad, items, fix } = await doctor();
    assert.deepEqual([code, bad], [1, ["checkpoint-gate", "checkpoint"]]);
    assert.match(items.at(-3)?.message ?? "", /^will not work \(node2\): checkpoint-gate$/, "node1 is well");
    assert.match(fix("checkpoint-gate"), /featureGates: \{ContainerCheckpoint: true\}/);
  },
  { alone: true },
);

clusterTest(
  "no CRIU on the node",
  async (t) => {
    t.after(async () => await cluster("criu", NODE, "on"));
    await cluster("criu", NODE, "off");
    const { code, bad, items, fix } = await doctor(`node/${NODE}`, "--deep");
    assert.deepEqual([code, bad], [1, ["criu", "checkpoint", "restore"]]);
    assert.match(
      items.find(({ check }) => check === "criu")?.message ?? "",
      /^node2: the node has no CRIU, which its runtime checkpoints with/,
    );
    assert.match(fix("criu"), /^on the node, install CRIU/);
  },
  { alone: true },
);

clusterTest(
  "PodSecurity: named, and the printed fix makes the copy possible",
  async (t) => {
    t.after(async () => await kubectl("delete", "namespace", "kubectl-checkpoint", "--ignore-not-found", "--wait=true"));
    await kubectl("label", "namespace", baseline, "pod-security.kubernetes.io/enforce=baseline");
    const { code, bad, items, fix } = await doctor("--helper-namespace", baseline);
    assert.deepEqual([code, bad], [1, ["helper-pod", "copy"]]);
    assert.match(items.find(({ check }) => check === "helper-pod")?.message ?? "", /violates PodSecurity "baseline:latest"/);
    await follow(fix("helper-pod"));
    await eventually(async () => (await doctor()).bad.length === 0, "a healthy doctor");
    assert.match((await doctor()).items.find(({ check }) => check === "helper-pod")?.message ?? "", /namespace kubectl-checkpoint$/);
  },
  { alone: true },
);

clusterTest(
  "the kubelet is down",
  async (t) => {
    t.after(async () => await cluster("kubelet", NODE, "start"));
    await cluster("kubelet", NODE, "stop");
    const started = Date.now();
    const { code, bad, items, fix } = await doctor(`node/${NODE}`, "--deep");
    assert.equal(code, 1);
    assert.deepEqual(
      bad.filter((check) => check !== "node"),
      ["kubelet", "checkpoint", "copy", "restore"],
    );
    assert.match(
      items.find(({ check }) => check === "kubelet")?.message ?? "",
      /^node2: the API server cannot reach it: .*connection refused/,
    );
    assert.match(fix("kubelet"), /systemctl restart kubelet/);
    assert.ok(Date.now() - started < 20_000, "no helper pod is waited for");
  },
  { alone: true },
);

clusterTest(
  "what may keep a pod's containers from being dumped",
  async (t) => {
    const talks = await doctor("talks", "--deep");
    assert.deepEqual(talks.bad, ["connections", "checkpoint"]);
    assert.match(talks.items.find(({ check }) => check === "connections")?.message ?? "", /^container c: 2 established TCP connections/);
    assert.equal(talks.fix("connections"), `kubectl checkpoint pod/talks -c c -n ${namespace} --criu-option tcp-established`);
    const refused = await plugin(["--prove", "0", "talks", "-n", namespace]);
    assert.match(refused.stderr, /CRIU could not checkpoint/, "and it is right");
    const taken = await plugin(["talks", "-n", namespace, "--criu-option", "tcp-established", "--yes"], { env });
    assert.equal(taken.code, 0, `with what it says to do: ${taken.stderr}`);
    t.after(async () => await onNode(NODE, "rm", "-f", "/etc/criu/runc.conf"));
    await onNode(NODE, "sh", "-c", "mkdir -p /etc/criu; echo tcp-established >/etc/criu/runc.conf");
    const allowed = await doctor("talks", "--deep");
    assert.deepEqual(allowed.bad, []);
    assert.match(allowed.items.find(({ check }) => check === "criu-config")?.message ?? "", /\/etc\/criu\/runc\.conf: tcp-established$/);

    const uring = await doctor("pod/uring", "-c", "node", "--deep");
    assert.deepEqual(uring.bad, ["open-files", "checkpoint"]);
    const shares = await doctor("shares");
    assert.equal(shares.code, 0);
    const warned = shares.items.filter(({ status }) => status === "warn").map(({ check, message }) => `${check} ${message}`);
    assert.match(warned.join("\n"), /^namespaces container c, container other: shareProcessNamespace: /m);
    assert.match(warned.join("\n"), /^mounts container c: paths of the node are mounted \(\/etc\): they are not in the archive/m);
    assert.ok(shares.items.some(({ check, status }) => check === "processes" && status === "skip"));
  },
  { alone: true },
);

/** Containers that CRIU dumps only with the option, and some that it dumps as they are. */
const ODD: Readonly<Record<string, { readonly command: readonly string[]; readonly option?: string; readonly check?: string }>> = {
  "runs-deleted": {
    command: [
      "sh",
      "-c",
      'cp $(readlink -f $(command -v python3)) /tmp/x && exec /tmp/x -c \'import os,time\nos.remove("/tmp/x")\nprint("ready",flush=True)\nwhile True: time.sleep(1)\'',
    ],
    option: "ghost-limit=64M",
    check: "deleted-files",
  },
  "has-deleted": {
    command: [
      "python3",
      "-c",
      "import os,time\nf=open('/tmp/y','w+b')\nf.write(os.urandom(2<<20));f.flush()\nos.remove('/tmp/y')\nprint(\"ready\",flush=True)\nwhile True: time.sleep(1)",
    ],
    option: "ghost-limit=64M",
    check: "deleted-files",
  },
  "has-small-deleted": {
    command: [
      "python3",
      "-c",
      "import os,time\nf=open('/tmp/z','w+b')\nf.write(b'x'*99);f.flush()\nos.remove('/tmp/z')\nprint(\"ready\",flush=True)\nwhile True: time.sleep(1)",
    ],
  },
  renamed: {
    command: [
      "python3",
      "-c",
      "import os,time\nf=open('/tmp/a','w')\nos.link('/tmp/a','/tmp/b')\nos.remove('/tmp/a')\nprint(\"ready\",flush=True)\nwhile True: time.sleep(1)",
    ],
    option: "link-remap",
    check: "deleted-files",
  },
  locks: {
    command: [
      "python3",
      "-c",
      "import fcntl,time\nf=open('/tmp/l','w')\nfcntl.flock(f,2)\nprint(\"ready\",flush=True)\nwhile True: time.sleep(1)",
    ],
    option: "file-locks",
    check: "file-locks",
  },
  plain: { command: ["python3", "-c", 'import time\nprint("ready",flush=True)\nwhile True: time.sleep(1)'] },
};

clusterTest(
  "doctor POD --deep says of each container what CRIU then does, and the option that it names makes the dump work",
  async (t) => {
    t.after(async () => await kubectl("delete", "pod", "odd", "-n", namespace, "--now", "--wait=false"));
    const containers = Object.entries(ODD).map(([name, { command }]) => ({ name, image: APPS, command }));
    await apply(pod(namespace, "odd", containers, { node: NODE }));
    await running(namespace, "odd");
    for (const name of Object.keys(ODD)) await ready(namespace, "odd", name);
    const { items } = await doctor("odd", "--deep");
    for (const [name, { option, check }] of Object.entries(ODD)) {
      const failed = items.filter(({ status, message }) => status === "fail" && new RegExp(`\\bcontainer ${name}\\b.*:`).test(message));
      const checks = failed.filter((item) => item.check !== "checkpoint").map((item) => item.check);
      assert.deepEqual(checks, check === undefined ? [] : [check], name);
      const args = ["pod/odd", "-c", name, "-n", namespace, "--prove", "0"];
      const without = await plugin(args, { env });
      assert.equal(without.code, option === undefined ? 0 : 1, `${name}: ${without.stderr}`);
      if (option === undefined) continue;
      assert.match(failed[0]?.fix ?? "", new RegExp(`--criu-option ${option.replace(/=.*/, "")}`), name);
      const taken = await plugin([...args, "--criu-option", option, "--yes"], { env });
      assert.equal(taken.code, 0, `${name}: ${taken.stderr}`);
    }
  },
  { alone: true, timeout: 240_000 },
);

clusterTest("what is not there, and what cannot be reached", async () => {
  const none = await plugin(["doctor", "nobody", "-n", namespace], { env });
  assert.deepEqual([none.code, none.stderr.split("\n")[0]], [1, "error: pod/nobody not found in namespace e2e-doctor"]);
  const container = await plugin(["doctor", "counter", "-c", "nope", "-n", namespace], { env });
  assert.equal(container.code, 2);
  const node = await doctor("node/nowhere");
  assert.deepEqual([node.code, node.bad], [1, ["node", "checkpoint", "copy", "restore"]]);
  const away = await doctor("--server", "https://127.0.0.1:1");
  assert.deepEqual([away.code, away.bad], [1, ["api-server", "checkpoint", "copy", "restore"]]);
  assert.match(away.items[0]?.message ?? "", /cannot reach/);
});

clusterTest(
  "stopped processes are named before a checkpoint would freeze them for good, and the fix lets them run",
  async (t) => {
    const stops = "sleep 100000 & kill -STOP $!; wait";
    t.after(async () => await kubectl("delete", "pod", "stopped", "-n", namespace, "--now", "--wait=false"));
    await apply(pod(namespace, "stopped", [{ name: "c", image: BUSYBOX, command: ["sh", "-c", stops] }], { node: NODE }));
    await running(namespace, "stopped");
    const session = spawn("kubectl", ["exec", "stopped", "-c", "c", "-n", namespace, "--", "sh", "-c", stops], {
      env: environment(),
      stdio: "ignore",
    });
    t.after(() => session.kill());
    const stopped = async (): Promise<string[]> =>
      (await kubectl("exec", "stopped", "-c", "c", "-n", namespace, "--", "ps", "-o", "pid,stat,comm")).stdout
        .split("\n")
        .flatMap((line) => /^ *(\d+) T\b/.exec(line)?.[1] ?? []);
    await eventually(async () => (await stopped()).length === 2, "a stopped process of the container, and one of kubectl exec");
    const pids = await stopped();
    const { bad, items, fix } = await doctor("stopped", "--deep");
    assert.deepEqual(bad, ["stopped", "checkpoint"]);
    const message = items.find(({ check }) => check === "stopped")?.message ?? "";
    for (const pid of pids) assert.ok(message.includes(`${pid} (`), `${pid} in ${message}`);
    await follow(fix("stopped"));
    await eventually(async () => (await stopped()).length === 0, "they run");
    assert.deepEqual((await doctor("stopped", "--deep")).bad, []);
    const taken = await plugin(["pod/stopped", "-n", namespace, "--prove", "0"], { env });
    assert.equal(taken.code, 0, taken.stderr);
  },
  { full: true },
);
