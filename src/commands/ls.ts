import type { ConnectionOptions } from "../cluster/kubeconfig/options.ts";
import { ageOf, archiveItem, placeOf, totalBytes, type ListedArchive } from "../flows/collect/nodes/archive.ts";
import { agreeToPods } from "../flows/consent.ts";
import { nodesMeant, onNodes, unreachableNode } from "../flows/collect/nodes/each.ts";
import { listArchives } from "../flows/collect/nodes/list.ts";
import { Helpers } from "../helper/helpers.ts";
import type { HelperSettings } from "../helper/manifest.ts";
import type { ArchiveList } from "../model/archives.ts";
import { API_VERSION } from "../model/documents.ts";
import { exitCodeFor, usageError } from "../model/error.ts";
import { say, styled, type Phrase, type PhraseValue, type Table } from "../model/phrase.ts";
import { counted, formatAge, formatBytes } from "../model/units.ts";
import { CLUSTER, connected, connectionOptions } from "./shared/cluster.ts";
import { ALL_NAMESPACES, COMMON, NODES, output } from "./shared/common.ts";
import { HELPER, helperSettings } from "./shared/helper-pods.ts";
import { defineVerb } from "./shared/verb.ts";

export interface LsRequest {
  /** Undefined: all. */
  readonly pod: string | undefined;
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
  usage: ["ls [POD] [--node NODE]... [-A] [options]"],
  description: `List the archives in the checkpoint directories of the nodes, for the current namespace or for all with -A. COMPLETE is "no" for
an archive that is cut short or still being written.

Each node is read through a privileged helper pod, which you are asked to confirm. The pod comes from the archive's name; where the name
does not show the namespace and container, the archive's own metadata is read. Archives that remain unknown are listed with -A only. If a
node cannot be reached, the archives of the others are listed and the exit status is 3.`,
  examples: [
    { what: "Archives of the current namespace, on all nodes", command: "kubectl checkpoint ls" },
    { what: "Archives of one pod on one node", command: "kubectl checkpoint ls nginx --node node1" },
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
    const named = words.length === 2 && /^(pods?|po)$/.test(words[0] ?? "") ? words.slice(1) : words;
    if (named.length > 1) throw usageError(say`unexpected argument "${named[1] ?? ""}": ls takes one POD`);
    return {
      pod: named[0]?.replace(/^(pods?|po)\//, ""),
      nodes: flags.node,
      allNamespaces: flags["all-namespaces"],
      wide: flags.output === "wide",
      yes: flags.yes,
      settings: helperSettings(flags, env),
      cluster: connectionOptions(flags),
    };
  },
  async *run(request, call) {
    const { settings, pod, allNamespaces, yes } = request;
    const context = await connected(request.cluster, call);
    const helpers = new Helpers(context.connection, call, settings);
    const nodes = await nodesMeant(context, request.nodes, helpers);
    await agreeToPods(context, helpers, settings, nodes, yes);

    const scope = { namespace: allNamespaces ? undefined : context.connection.namespace, pod };
    const all: ListedArchive[] = [];
    const unreachable = await onNodes(context, helpers, nodes, "read", async (directory) => {
      all.push(...(await listArchives(context, directory, scope)));
    });
    const shown = all.filter((one) => isMeant(one, scope)).sort(inOrder);
    for (const { error } of unreachable) yield { error };
    if (shown.length > 0) yield { text: table(shown, request, call.now()) };
    for (const archive of shown) yield { name: placeOf(archive) };
    yield { text: summary(shown, nodes.length - unreachable.length) };
    const unknown =
      all.filter(({ container }) => container === undefined).length - shown.filter(({ container }) => container === undefined).length;
    if (unknown > 0 && pod === undefined)
      call.emit({ kind: "hint", text: say`${counted(unknown, "file")} of unknown containers are not listed: use -A` });
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

/** An archive whose container is unknown has no namespace. */
function isMeant(archive: ListedArchive, { namespace, pod }: { namespace: string | undefined; pod: string | undefined }): boolean {
  return (namespace === undefined || archive.namespace === namespace) && (pod === undefined || archive.pod === pod);
}

/** By container, the newest last; unknown ones at the end. */
function inOrder(a: ListedArchive, b: ListedArchive): number {
  const key = ({ namespace = "\uffff", pod = "\uffff", container = "", file, node }: ListedArchive): string =>
    [namespace, pod, container, String(file.modifiedAt ?? 0).padStart(12, "0"), file.name, node].join("\0");
  return key(a) < key(b) ? -1 : 1;
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
    rows: archives.map((archive) => row(archive, allNamespaces, wide, now)),
  };
}

function row(archive: ListedArchive, allNamespaces: boolean, wide: boolean, now: number): PhraseValue[] {
  const { node, path, file, complete, namespace = "", pod = "", container = "" } = archive;
  const age = ageOf(archive, now);
  return [
    ...(allNamespaces ? [namespace] : []),
    pod,
    container,
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
