// --criu-option on a node with runc or crun: what CRIU does not dump by itself is captured, and the node's files are as before, whatever ends it.
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import type { CheckpointList } from "../../src/model/documents.ts";
import type { Diagnosis } from "../../src/model/diagnosis.ts";
import {
  apply,
  APPS,
  audited,
  auditEnd,
  BUSYBOX,
  clusterTest,
  container,
  eventually,
  onNode,
  ownNamespace,
  plugin,
  pod,
  ready,
  running,
  setUp,
  temporaryDirectory,
  type Ended,
} from "./harness.ts";

const HELD = "/etc/criu/.kubectl-checkpoint";
const env = { KUBECTL_CHECKPOINT_HELPER_IMAGE: BUSYBOX };

/** Runs from a deleted file of more than 2 MiB, as malware likes to. */
const DELETED =
  "cp /bin/busybox /tmp/busybox; dd if=/dev/zero bs=1M count=2 >>/tmp/busybox; " +
  "exec /tmp/busybox sh -c 'rm /tmp/busybox; while true; do /bin/sleep 1; done'";

/** A process whose checkpoint takes its time. */
const LARGE = "import os,time\nx=os.urandom(200<<20)\nprint('ready',flush=True)\nwhile True: time.sleep(1)";

/** Ends the first process of every helper pod on the node at once. */
const KILL_HELPER =
  'for p in /proc/[0-9]*; do case $(tr "\\000" " " <$p/cmdline 2>/dev/null) in "sh -c umask 077"*) kill -9 ${p##*/} ;; esac; done; sleep 1';

/** The tests, in a namespace of their own. Nobody else may checkpoint on the node meanwhile: the files are for all that is done there. */
export function testCriuOptions(node: string, oci: "runc" | "crun"): void {
  const namespace = ownNamespace("e2e-criu-options");

  setUp(async () => {
    await onNode(node, "rm", "-rf", "/etc/criu");
    await apply(
      pod(namespace, "deleted", [{ ...container("c", "true"), command: ["sh", "-c", DELETED] }], { node }),
      pod(namespace, "large", [{ name: "c", image: APPS, command: ["python3", "-c", LARGE] }], { node }),
    );
    await running(namespace, "deleted", "large");
    await ready(namespace, "large");
  });

  async function checkpoint(name: string, options: readonly string[], started?: (child: ChildProcess) => void): Promise<Ended> {
    const given = options.flatMap((option) => ["--criu-option", option]);
    return await plugin([name, "-n", namespace, ...given, "--yes", "--prove", "0", "-o", "json"], {
      env,
      ...(started === undefined ? {} : { started }),
    });
  }

  /** The node's files with their inodes, times and contents. */
  async function files(): Promise<string> {
    return await onNode(node, "sh", "-c", "cd /etc/criu 2>/dev/null && ls -lAi --time-style=full-iso && cat *.conf 2>/dev/null; true");
  }

  async function there(command: string): Promise<boolean> {
    return (await onNode(node, "sh", "-c", `${command} 2>/dev/null && echo yes; true`)).trim() === "yes";
  }

  /** Ends the command as soon as its options are in the files. */
  function endedBy(signal: NodeJS.Signals): (child: ChildProcess) => void {
    return (child) => {
      void eventually(async () => await there(`grep -q ghost-limit /etc/criu/${oci}.conf`), "the option in the file", 30).then(() =>
        child.kill(signal),
      );
    };
  }

  clusterTest("a deleted executable of 2 MB is captured, and the files are as before, inodes included", async (t) => {
    t.after(async () => await onNode(node, "rm", "-rf", "/etc/criu"));
    const without = await plugin(["deleted", "-n", namespace, "--explain", "--prove", "0"], { env, cwd: await temporaryDirectory(t) });
    assert.match(without.stderr, /^ {2}why: a process has a deleted file open, or runs from one, that is larger/m);
    assert.match(without.stderr, /--criu-option ghost-limit=64M/);
    const { code, stdout, stderr } = await checkpoint("deleted", ["ghost-limit=64M"]);
    assert.equal(code, 0, stderr);
    assert.ok(
      stderr.includes(`during the checkpoint CRIU's options on ${node} include ghost-limit 64M: other checkpoints there meanwhile use`),
    );
    assert.ok((JSON.parse(stdout) as CheckpointList).items[0]?.nodePath);
    assert.equal((await files()).trim(), "total 0", "there was none");
    await onNode(node, "sh", "-c", `printf 'tcp-established\\n# ours' >/etc/criu/${oci}.conf; chmod 640 /etc/criu/${oci}.conf`);
    const before = await files();
    assert.equal((await checkpoint("deleted", ["ghost-limit=64M", "file-locks"])).code, 0);
    assert.equal(await files(), before);
  });

  clusterTest("without --yes and without a terminal it is refused, and nothing is done", async () => {
    const since = auditEnd();
    const { code, stderr } = await plugin(["deleted", "-n", namespace, "--criu-option", "ghost-limit=64M"], { env });
    assert.equal(code, 2);
    assert.match(
      stderr,
      new RegExp(
        `^error: this would write ghost-limit 64M to /etc/criu/runc\\.conf and crun\\.conf on ${node}.*\\n {2}fix: rerun with --yes`,
        "m",
      ),
    );
    const wrong = await plugin(["deleted", "-n", namespace, "--criu-option", "exec-cmd=x", "--yes"], { env });
    assert.deepEqual(
      [wrong.code, /^error: invalid value "exec-cmd=x" for --criu-option: use one of ghost-limit=SIZE, /m.test(wrong.stderr)],
      [2, true],
    );
    assert.deepEqual(audited("/proxy/checkpoint/", since), []);
    assert.deepEqual(
      audited("/jobs", since).filter(({ verb }) => verb === "create"),
      [],
    );
  });

  clusterTest("Ctrl-C and TERM: the files are as before within seconds; one holder a node", async (t) => {
    t.after(async () => await onNode(node, "rm", "-rf", "/etc/criu"));
    await onNode(node, "sh", "-c", `mkdir -p /etc/criu; echo file-locks >/etc/criu/${oci}.conf`);
    const before = await files();
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const { code } = await checkpoint("large", ["ghost-limit=64M"], endedBy(signal));
      assert.equal(code, signal === "SIGINT" ? 130 : 143);
      await eventually(async () => (await files()) === before, `the file as before ${signal}`);
    }
    let second: Promise<Ended> | undefined;
    const since = auditEnd();
    const first = await checkpoint("large", ["ghost-limit=64M"], () => {
      second = (async () => {
        await eventually(async () => await there(`test -d ${HELD}`), "the first one's hold");
        return await checkpoint("deleted", ["ghost-limit=64M"]);
      })();
    });
    assert.equal(first.code, 0, first.stderr);
    const refused = await second;
    // On a fast machine the first may have ended before the second one's pod is there.
    if (refused?.code !== 0) {
      assert.match(refused?.stdout ?? "", /"reason": "CriuOptionsBusy"/);
      assert.deepEqual(
        audited(`/proxy/checkpoint/${namespace}/deleted/`, since).filter(({ stage }) => stage === "ResponseComplete"),
        [],
      );
    }
    assert.equal(await files(), before);
  });

  clusterTest(
    "kill -9: the helper pod puts the files back; where that was ended too, doctor --deep finds it and puts it back",
    async (t) => {
      t.after(async () => await onNode(node, "rm", "-rf", "/etc/criu"));
      await onNode(node, "sh", "-c", `mkdir -p /etc/criu; echo file-locks >/etc/criu/${oci}.conf`);
      const before = await files();
      await checkpoint("large", ["ghost-limit=64M"], endedBy("SIGKILL"));
      assert.notEqual(await files(), before);
      await eventually(async () => (await files()) === before, "the file as before", 120);

      // As if the pod had been killed as well, long ago.
      await checkpoint("large", ["ghost-limit=64M"], endedBy("SIGKILL"));
      await onNode(node, "sh", "-c", KILL_HELPER);
      await onNode(node, "sh", "-c", `read -r _ who <${HELD}/owner; echo "1 $who" >${HELD}/owner`);
      const found = await plugin(["doctor", `node/${node}`, "--deep", "-o", "json"], { env });
      const item = (JSON.parse(found.stdout) as Diagnosis).items.find(({ check }) => check === "criu-config");
      assert.equal(item?.status, "warn");
      assert.match(item?.message ?? "", /options of a --criu-option that was cut off are still in \/etc\/criu/);
      assert.equal(item?.fix, "kubectl checkpoint doctor --deep --fix=apply");
      const fixed = await plugin(["doctor", `node/${node}`, "--deep", "--fix=apply", "--yes"], { env });
      assert.ok(fixed.stderr.includes(`CRIU's options on ${node} were put back\n`));
      assert.equal(await files(), before);
    },
    { timeout: 300_000 },
  );
}
