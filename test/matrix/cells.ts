// What is tried on each runtime: a command, what proves that it worked, and where it is refused what proves that nothing was made.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { basename, join, resolve } from "node:path";
import type { V1PodList } from "@kubernetes/client-node";
import type { ArchiveList, RemovalList } from "../../src/model/archives.ts";
import type { CheckpointItem, CheckpointList } from "../../src/model/documents.ts";
import type { Restoration } from "../../src/model/restoration.ts";
import { apply, container, getJson, kubectl, onNode, pod, REGISTRY, running, type Ended } from "../e2e/harness.ts";
import type { Column } from "./rows.ts";
import { CA, countsOn, type Count, type Stage } from "./stage.ts";

export interface Cell {
  readonly column: Column;
  /** What is done on a row that has no archive of its own as well: restores, which want one. */
  readonly attempt: (stage: Stage, had: Had) => Promise<Ended>;
  /** Throws where it did not do what it says it did. */
  readonly prove: (stage: Stage, ended: Ended, had: Had) => Promise<void>;
  /** Throws where a refusal came after something had been made. */
  readonly untouched?: (stage: Stage) => Promise<void>;
  /** For the cells behind it, however this one ended. */
  readonly afterwards?: (stage: Stage) => Promise<void>;
}

/** What earlier cells have made. */
export interface Had {
  /** The counter's token and count, as they were before the archive. */
  before?: Count;
  /** An archive on this machine. */
  file?: string;
  /** The same on the node. */
  onNode?: string;
  image?: string;
}

/** Of containerd 2.1: where a row has none of its own. */
const FOREIGN = resolve(import.meta.dirname, "../data/archives/containerd-2.1.9-criu4.2.1.tar");

export const CELLS: readonly Cell[] = [
  ...(["doctor", "doctor --deep"] as const).map((column): Cell => ({
    column,
    attempt: async ({ run, source }) => await run("doctor", `node/${source}`, ...column.split(" ").slice(1)),
    prove: async (_stage, { stdout }) => {
      // The pod that talks is there to be refused: CRIU's log explains it, and --deep names it beforehand.
      const words =
        column === "doctor"
          ? /^ok +checkpoint +will work/m
          : /^warn +checkpoint +will not work \(pod\/talks container talks\): connections$/m;
      assert.match(stdout, words);
      assert.doesNotMatch(stdout, /^fail /m);
    },
  })),
  {
    column: "checkpoint",
    attempt: async ({ run, counted }, had) => {
      had.before = await counted("counter");
      return await run("counter", "-o", "json");
    },
    prove: async (stage, { stdout }, had) => {
      const { nodePath, stillRunning } = item(stdout);
      assert.equal(stillRunning, true);
      assert.ok(nodePath !== undefined);
      had.onNode = nodePath;
      assert.match(await onNode(stage.source, "stat", "-c", "%a %s", nodePath), /^600 [1-9]\d{4,}\n$/);
      if (had.before !== undefined) await countsOn(stage, "counter", had.before);
    },
    untouched: countersRun,
  },
  {
    column: "copy",
    attempt: async ({ run, directory }) => await run("counter", `--copy=${join(directory, "counter.tar")}`, "-o", "json"),
    prove: async ({ directory, source, run }, { stdout }, had) => {
      const { nodePath = "", copy } = item(stdout);
      had.file = join(directory, "counter.tar");
      assert.equal((await onNode(source, "sha256sum", nodePath)).split(" ")[0], copy?.sha256);
      had.onNode = nodePath;
      const again = await run("cp", `${source}:${nodePath}`, join(directory, "again.tar"));
      assert.equal(again.code, 0, again.stderr);
    },
    untouched: countersRun,
  },
  {
    column: "remove",
    attempt: async ({ run, source }, had) => await run("rm", `${source}:${had.onNode ?? ""}`, "--yes"),
    prove: async ({ source }, _ended, had) => {
      assert.equal(await onNode(source, "sh", "-c", `[ ! -e '${had.onNode ?? ""}' ] && echo gone`), "gone\n");
    },
  },
  {
    column: "ls",
    // Of what "checkpoint" has left there.
    attempt: async ({ run, source }) => await run("ls", "--node", source, "--yes", "-o", "json"),
    prove: async ({ namespace, source }, { stdout }) => {
      const found = (JSON.parse(stdout) as ArchiveList).items;
      assert.ok(found.length > 0);
      for (const { node, pod, container, complete, namespace: of } of found) {
        assert.deepEqual([node, of, pod, container, complete], [source, namespace, "counter", "counter", true]);
      }
    },
  },
  {
    column: "prune",
    attempt: async ({ run, source }) => {
      await run("counter");
      return await run("prune", "--keep", "1", "--node", source, "--yes", "-o", "json");
    },
    prove: async ({ source }, { stdout }) => {
      const { items } = JSON.parse(stdout) as RemovalList;
      assert.ok(items.length > 0 && items.every(({ removed }) => removed));
      const left = await onNode(source, "sh", "-c", "cd /var/lib/kubelet/checkpoints && ls *.tar");
      assert.equal(left.trim().split("\n").length, 1, left);
      assert.ok(!items.some(({ path }) => left.includes(basename(path))));
    },
  },
  {
    column: "explain",
    // Its container cannot be dumped: it works where it says why.
    attempt: async ({ run }) => {
      const ended = await run("talks", "--explain");
      return ended.code === 1 && /established/.test(ended.stderr) ? { ...ended, code: 0 } : ended;
    },
    prove: async (_stage, { stderr }) => {
      assert.match(stderr, /^ {2}why: a process has established TCP connections/m);
      assert.match(stderr, /^ {2}fix: .*tcp-established/m);
    },
  },
  {
    column: "show to extract",
    attempt: async ({ runHere, directory }, { file = "", before }) => {
      const words = [
        ["show", file],
        ["inspect", file, "--all"],
        ["verify", file],
        ["search", file, before?.token ?? ""],
        ["extract", file, "/data/made", "--to", join(directory, "made")],
      ];
      let ended: Ended = { code: 1, stdout: "", stderr: "" };
      for (const one of words) {
        ended = await runHere(...one);
        if (ended.code !== 0) break;
      }
      return ended;
    },
    prove: async ({ directory }) => {
      assert.equal(readFileSync(join(directory, "made"), "utf8"), "made\n");
    },
  },
  {
    column: "image",
    attempt: async ({ runHere, reference }, { file = "" }) =>
      await runHere("image", file, reference("image"), "--push", "--yes", "--ca-file", CA),
    prove: async (stage, _ended, had) => {
      assert.ok(await inRegistry(stage.reference("image")));
      had.image = stage.reference("image");
    },
  },
  {
    // Where the runtime does not pull it, this is said before anything is made.
    column: "base image absent",
    attempt: async (stage, had) => await restore(stage, had, "baseless"),
    prove: async (stage, ended, had) => await proveRestored(stage, ended, had, "baseless"),
    untouched: async (stage) => await nothingRestored(stage, "baseless"),
    afterwards: async (stage) => {
      await apply(pod(stage.namespace, "base", [container("base", "sleep inf")], { node: stage.target }));
      await running(stage.namespace, "base");
    },
  },
  {
    column: "restore",
    attempt: async (stage, had) => await restore(stage, had, "restored"),
    prove: async (stage, ended, had) => await proveRestored(stage, ended, had, "restored"),
    untouched: async (stage) => await nothingRestored(stage, "restored"),
  },
  {
    column: "isolated",
    attempt: async (stage, had) => await restore(stage, had, "isolated", "--isolated"),
    prove: async (stage, ended, had) => {
      await proveRestored(stage, ended, had, "isolated");
    },
    untouched: async (stage) => {
      await nothingRestored(stage, "isolated");
      assert.equal((await kubectl("get", "networkpolicies", "-n", stage.namespace, "-o", "name")).stdout, "");
    },
  },
  {
    column: "move",
    attempt: async ({ run, reference, target, counted }, had) => {
      had.before = await counted("mover");
      return await run("move", "mover", "--to", target, "--image", reference("move"), "--ca-file", CA, "--yes", "-o", "json");
    },
    prove: async (stage, { stdout }, { before }) => {
      const { pod, node, restored } = JSON.parse(stdout) as Restoration;
      assert.deepEqual([node, restored], [stage.target, true]);
      assert.ok(before !== undefined);
      await countsOn(stage, pod, before);
      assert.notEqual((await kubectl("get", "pod", "mover", "-n", stage.namespace)).code, 0, "the original is gone");
    },
    untouched: async (stage) => {
      await countersRun(stage);
      assert.equal(await inRegistry(stage.reference("move")), false, "an image was pushed");
      const archives = await onNode(stage.source, "sh", "-c", "ls /var/lib/kubelet/checkpoints 2>/dev/null || true");
      assert.doesNotMatch(archives, /mover/, "a checkpoint was made");
    },
  },
];

function item(stdout: string): CheckpointItem {
  const [only] = (JSON.parse(stdout) as CheckpointList).items;
  assert.ok(only !== undefined);
  return only;
}

/** By its file, as the image of another cell may be there; the image is one of its own, so that what was pushed can be seen. */
export async function restore({ run, reference, target }: Stage, { file }: Had, name: string, ...more: string[]): Promise<Ended> {
  const words = ["--image", reference(name), "--node", target, "--name", name, "--ca-file", CA, "--yes", "-o", "json"];
  return await run("restore", file ?? FOREIGN, ...words, ...more);
}

async function proveRestored(stage: Stage, { stdout, stderr }: Ended, { before }: Had, name: string): Promise<void> {
  assert.doesNotMatch(stderr, /can restore it is unknown|configuration of the runtime/, "nothing is left to be unknown of the runtime");
  const { node, restored } = JSON.parse(stdout) as Restoration;
  assert.deepEqual([node, restored], [stage.target, true]);
  assert.ok(before !== undefined);
  await countsOn(stage, name, before);
  await kubectl("delete", "pod", name, "-n", stage.namespace, "--force", "--grace-period=0");
}

export async function nothingRestored(stage: Stage, name: string): Promise<void> {
  assert.notEqual((await kubectl("get", "pod", name, "-n", stage.namespace)).code, 0, "a pod was made");
  assert.equal(await inRegistry(stage.reference(name)), false, "an image was pushed");
}

/** That the containers that are there run, none started again. */
export async function countersRun({ namespace }: Stage): Promise<void> {
  const { items } = await getJson<V1PodList>("pods", "-n", namespace);
  const counters = items.filter(({ metadata }) => metadata?.name === "counter" || metadata?.name === "mover");
  assert.ok(counters.length > 0);
  for (const { metadata, status } of counters) {
    const [only] = status?.containerStatuses ?? [];
    assert.deepEqual([metadata?.name, only?.restartCount, only?.state?.running !== undefined], [metadata?.name, 0, true]);
  }
}

async function inRegistry(reference: string): Promise<boolean> {
  const [path, tag] = reference.slice(REGISTRY.length + 1).split(":");
  const headers = { accept: "application/vnd.oci.image.manifest.v1+json" };
  const asked = request(`https://${REGISTRY}/v2/${path}/manifests/${tag}`, { ca: readFileSync(CA), headers, agent: false }).end();
  const [{ statusCode }] = (await once(asked, "response")) as [IncomingMessage];
  asked.destroy();
  assert.ok(statusCode === 200 || statusCode === 404, `the registry answers ${statusCode}`);
  return statusCode === 200;
}
