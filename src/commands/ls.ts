import type { ConnectionOptions } from "../cluster/kubeconfig/options.ts";
import { ageOf, archiveItem, placeOf, totalBytes, type ListedArchive } from "../flows/collect/nodes/archive.ts";
import { agreeToPods } from "../flows/consent.ts";
import { nodesMeant, onNodes, unreachableNode } from "../flows/collect/nodes/each.ts";
import { listArchives } from "../flows/collect/nodes/list.ts";
import type { Scope } from "../flows/collect/nodes/identify.ts";
import type { PodWord, WorkloadWord } from "../flows/capture/targets/resolve.ts";
import type { FlowContext } from "../flows/context.ts";
import { requireRights } from "../flows/rights.ts";
import { listPods } from "../cluster/pods.ts";
import { Helpers } from "../helper/helpers.ts";
import { DEFAULT_CHECKPOINT_DIR, type HelperSettings } from "../helper/manifest.ts";
import { rememberListed, type Listing } from "../local/listed.ts";
import type { ArchiveList } from "../model/archives.ts";
import { API_VERSION } from "../model/documents.ts";
import { exitCodeFor, usageError } from "../model/error.ts";
import { command, say, styled, type Phrase, type PhraseValue, type Table } from "../model/phrase.ts";
import { counted, formatAge, formatBytes } from "../model/units.ts";
import { CLUSTER, connected, connectionOptions } from "./shared/cluster.ts";
import { ALL_NAMESPACES, COMMON, NODES, output } from "./shared/common.ts";
import { HELPER, helperSettings } from "./shared/helper-pods.ts";
import { targetWords } from "./shared/targets.ts";
import { defineVerb } from "./shared/verb.ts";

export interface LsRequest {
  /** A pod, or the pods behind TYPE/NAME; undefined: all. */
  readonly target: PodWord | WorkloadWord | undefined;
  /** None: all. */
  readonly nodes: readonly string[];
  readonly allNamespaces: boolean;
  readonly wide: boolean;
  readonly yes: boolean;
  readonly settings: HelperSettings;
  readonly cluster: ConnectionOptions;
}

export const verb = defineVerb({
  name: "ls",
  summary: "List the archives on the nodes",
  usage: ["ls [POD | TYPE/NAME] [--node NODE]... [-A] [options]"],
  description: `List the archives in the checkpoint directories of the nodes, for the current namespace or for all with -A. COMPLETE is "no" for
an archive that is cut short or still being written.

Each node is read through a privileged helper pod, which you are asked to confirm. The pod comes from the archive's name; where the name
does not show the namespace and container, the archive's own metadata is read. Archives that remain unknown are listed with -A only. TYPE/NAME
(deploy, rs, sts, ds, rc, job, cronjob, svc) selects the pods that are behind it now. If a
node cannot be reached, the archives of the others are listed and the exit status is 3.`,
  examples: [
    { what: "Archives of the current namespace, on all nodes", command: "kubectl checkpoint ls" },
    { what: "Archives of one pod on one node", command: "kubectl checkpoint ls nginx --node node1" },
    { what: "Archives of the pods of a deployment", command: "kubectl checkpoint ls deploy/web" },
    { what: "All archives, with their paths", command: "kubectl checkpoint ls -A -o wide --yes" },
    {
      what: "Copy the newest archive of a pod",
      command: "kubectl checkpoint ls nginx --yes -o name | tail -n 1 | xargs kubectl checkpoint cp",
    },
    {
      what: "Bytes by node",
      command: "kubectl checkpoint ls -A --yes -o json | jq '.items | group_by(.node)[] | {node: .[0].node, bytes: (map(.bytes) | add)}'",
    },
  ],
  flags: {
    node: NODES,
    "all-namespaces": ALL_NAMESPACES,
    output: output("wide", "name", "json", "yaml"),
    ...HELPER,
    ...CLUSTER,
    ...COMMON,
  },
  request(words, flags, env): LsRequest {
    return {
      target: targetOf(words),
      nodes: flags.node,
      allNamespaces: flags["all-namespaces"],
      wide: flags.output === "wide",
      yes: flags.yes,
      settings: helperSettings(flags, env),
      cluster: connectionOptions(flags),
    };
  },
  async *run(request, call) {
    const { settings, target, allNamespaces, yes } = request;
    const context = await connected(request.cluster, call);
    const helpers = new Helpers(context.connection, call, settings);
    const pods = target === undefined ? undefined : new Set(await podNames(context, target));
    const nodes = await nodesMeant(context, request.nodes, helpers);
    await agreeToPods(context, helpers, settings, nodes, yes);

    const scope = { namespace: allNamespaces ? undefined : context.connection.namespace, pods };
    const all: ListedArchive[] = [];
    const unreachable = await onNodes(context, helpers, nodes, "read", async (directory) => {
      all.push(...(await listArchives(context, directory, scope)));
    });
    const shown = all.filter((one) => isMeant(one, scope)).sort(inOrder);
    const words = shown.toSorted(youngestFirst).map((archive) => wordFor(archive, settings));
    await rememberListed(call.env, listingOf(context), words);
    for (const { error } of unreachable) yield { error };
    if (shown.length > 0) yield { text: table(shown, request, call.now()) };
    for (const archive of shown) yield { name: placeOf(archive) };
    yield { text: summary(shown, nodes.length - unreachable.length) };
    const unknown = all.filter((one) => one.container === undefined && one.elsewhere !== true && !shown.includes(one)).length;
    if (unknown > 0 && pods === undefined)
      call.emit({
        kind: "hint",
        text: say`${counted(unknown, "file")} of unknown containers ${unknown === 1 ? "is" : "are"} not listed: use -A`,
      });
    if (shown.length === 0 && target?.kind === "pod" && nodes.includes(target.name))
      call.emit({ kind: "hint", text: say`${target.name} is a node: ${command`kubectl checkpoint ls --node ${target.name}`}` });
    const document: ArchiveList = {
      apiVersion: API_VERSION,
      kind: "ArchiveList",
      items: shown.map(archiveItem),
      unreachable: unreachable.map(unreachableNode),
    };
    const errors = unreachable.map(({ error }) => error);
    return { document, exitCode: exitCodeFor(errors, nodes.length) };
  },
});

/** As checkpoint takes it, one. */
function targetOf(words: readonly string[]): LsRequest["target"] {
  const [target, more] = targetWords(words);
  if (more !== undefined) throw usageError(say`unexpected argument "${words.at(-1) ?? ""}": ls takes one POD or TYPE/NAME`);
  return target;
}

/** A pod need not be there any more; of a workload, those that are behind it now. */
async function podNames(context: FlowContext, target: PodWord | WorkloadWord): Promise<string[]> {
  if (target.kind === "pod") return [target.name];
  const { connection } = context;
  const { workloadSelector, workloadRights } = await import("../cluster/workloads.ts");
  const rights = [...workloadRights(target.type), { verb: "list", group: "", resource: "pods" }].map((right) => ({
    ...right,
    namespace: connection.namespace,
  }));
  return await requireRights(connection, rights, async () => {
    const labelSelector = await workloadSelector(connection, connection.namespace, target.type, target.name);
    const names: string[] = [];
    for await (const page of listPods(connection, { namespace: connection.namespace, labelSelector }))
      names.push(...page.map(({ name }) => name));
    return names;
  });
}

/** An archive whose container is unknown has no namespace. */
function isMeant(archive: ListedArchive, { namespace, pods }: Scope): boolean {
  return (namespace === undefined || archive.namespace === namespace) && (pods === undefined || pods.has(archive.pod ?? ""));
}

/** By container, the newest last; unknown ones at the end. */
function inOrder(a: ListedArchive, b: ListedArchive): number {
  const key = ({ namespace = "\uffff", pod = "\uffff", container = "", file, node }: ListedArchive): string =>
    [namespace, pod, container, String(file.modifiedAt ?? 0).padStart(12, "0"), file.name, node].join("\0");
  return key(a) < key(b) ? -1 : 1;
}

function youngestFirst(a: ListedArchive, b: ListedArchive): number {
  return (b.file.modifiedAt ?? 0) - (a.file.modifiedAt ?? 0);
}

function listingOf({ connection: { selection, server } }: FlowContext): Listing {
  return { contextName: selection.contextName, server };
}

/** As short as cp and rm take it. */
function wordFor(archive: ListedArchive, { checkpointDir }: HelperSettings): string {
  return checkpointDir === DEFAULT_CHECKPOINT_DIR ? `${archive.node}:${archive.file.name}` : placeOf(archive);
}

function table(archives: readonly ListedArchive[], { allNamespaces, wide }: LsRequest, now: number): Table {
  return {
    columns: [
      ...(allNamespaces ? ["NAMESPACE"] : []),
      "POD",
      "CONTAINER",
      "NODE",
      "SIZE",
      "AGE",
      "COMPLETE",
      ...(wide ? ["MODIFIED", "PATH"] : ["ARCHIVE"]),
    ],
    narrow: {
      without: ["AGE", "SIZE", "COMPLETE"],
      shorten: [{ ARCHIVE: "middle" }, { NAMESPACE: "middle", POD: "middle", CONTAINER: "middle", NODE: "middle" }],
    },
    rows: archives.map((archive) => row(archive, allNamespaces, wide, now)),
  };
}

function row(archive: ListedArchive, allNamespaces: boolean, wide: boolean, now: number): PhraseValue[] {
  const { node, path, file, complete, namespace = "", pod = "", container = "" } = archive;
  const age = ageOf(archive, now);
  return [
    ...(allNamespaces ? [namespace || "<unknown>"] : []),
    pod || "<unknown>",
    container || "<unknown>",
    node,
    formatBytes(file.bytes),
    age === undefined ? "" : formatAge(age),
    complete ? "yes" : styled("warn", "no"),
    ...(wide ? [archiveItem(archive).modifiedAt ?? "", path] : [file.name]),
  ];
}

function summary(archives: readonly ListedArchive[], nodes: number): Phrase {
  if (archives.length === 0) return say`no archives on ${counted(nodes, "node")}`;
  return say`${counted(archives.length, "archive")}, ${formatBytes(totalBytes(archives))} on ${counted(new Set(archives.map(({ node }) => node)).size, "node")}`;
}
