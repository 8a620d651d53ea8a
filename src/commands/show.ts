import type { VolumeMount } from "../archive/engines/info.ts";
import { summaries as summariesOf, type Summary } from "../flows/examine/summary.ts";
import { API_VERSION } from "../model/documents.ts";
import { UserError } from "../model/error.ts";
import { joined, say, type Narrow, type Phrase, type PhraseValue, type Table } from "../model/phrase.ts";
import { formatBytes, formatSeconds } from "../model/units.ts";
import { interruptedText } from "./shared/interrupted.ts";
import { fileWord, orOffered } from "./shared/archives.ts";
import { COMMON, output } from "./shared/common.ts";
import { noted, PULL, pulling, registrySettings, type ReadingSettings } from "./shared/registry.ts";
import { defineVerb } from "./shared/verb.ts";

export interface ShowRequest {
  readonly files: readonly string[];
  readonly wide: boolean;
  readonly registry: ReadingSettings;
}

export const verb = defineVerb({
  name: "show",
  summary: "Summarize archives, one line each",
  usage: ["show FILE... [options]"],
  description: `Summarize archives on this machine, one line each: pod, container, image, runtime, times, size, memory, and how long the container
was paused. Neither a cluster nor CRIU is needed.

FILE is an archive of containerd, CRI-O or Podman, plain or compressed with gzip or zstd, or "-" for standard input. MEMORY is the size of
the memory pages in the archive. PAUSED is less than (<) the call that made it, by the record beside the archive; without a record it is
more than (>) CRIU's part of it. Podman does not record when it made a checkpoint; the time that CRIU recorded is shown instead.`,
  examples: [
    { what: "All archives in this directory", command: "kubectl checkpoint show *.tar" },
    { what: "With IDs, addresses and the size of the root file system changes", command: "kubectl checkpoint show nginx.tar -o wide" },
    {
      what: "The newest archive",
      command: "kubectl checkpoint show *.tar -o json | jq -r '.items | max_by(.checkpointedAt).path'",
    },
    {
      what: "An archive that is still on a node",
      command: "kubectl checkpoint cp node1:checkpoint-nginx.tar - | kubectl checkpoint show -",
    },
  ],
  flags: { output: output("wide", "name", "json", "yaml"), ...PULL, ...COMMON },
  request(words, flags): ShowRequest {
    fileWord("show", words, "...");
    return { files: words, wide: flags.output === "wide", registry: registrySettings(flags) };
  },
  async *run({ wide, registry, ...given }, call) {
    const files = await orOffered(given.files, call);
    await noted(call, registry, "show", files);
    const reading = pulling(call, registry);
    const summaries: Summary[] = [];
    let whole = true;
    for (const file of files) {
      call.signal.throwIfAborted();
      try {
        const before = summaries.length;
        for await (const summary of summariesOf(file, reading)) summaries.push(summary);
        const problems = new Set(summaries.slice(before).flatMap((summary) => summary.problems));
        for (const problem of problems) call.emit({ kind: "warning", text: say`${file}: ${problem}` });
        whole &&= problems.size === 0;
        yield { name: file };
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        whole = false;
        yield { error };
      }
    }
    if (summaries.length > 0) yield { text: summaryTable(summaries, wide) };
    for (const text of [...interruptedHints(summaries), ...volumeHints(summaries)]) call.emit({ kind: "hint", text });
    const document = { apiVersion: API_VERSION, kind: "SummaryList", items: summaries.map(summaryItem) };
    return { document, exitCode: whole ? 0 : summaries.length === 0 ? 1 : 3 };
  },
});

/** One archive of the document SummaryList. */
function summaryItem({ path, info, ...rest }: Summary) {
  const { volumes, ...container } = info;
  return {
    path,
    ...container,
    containerID: qualifiedID(info),
    ...rest,
    volumes: volumes?.map(({ member, ...volume }) => ({ ...volume, included: member !== undefined })),
  };
}

/** As Kubernetes writes it; Podman's have no scheme. */
function qualifiedID({ engine, containerID }: Summary["info"]): string | undefined {
  return containerID === undefined || engine === undefined || engine === "podman" ? containerID : `${engine}://${containerID}`;
}

interface Column {
  readonly heading: string;
  readonly cell: (summary: Summary) => PhraseValue | undefined;
}

const COLUMNS: readonly Column[] = [
  { heading: "POD", cell: ({ info }) => info.pod },
  { heading: "NAMESPACE", cell: ({ info }) => info.namespace },
  { heading: "CONTAINER", cell: ({ info }) => info.container },
  { heading: "IMAGE", cell: ({ info }) => info.image },
  { heading: "RUNTIME", cell: ({ info }) => info.runtime },
  { heading: "ENGINE", cell: ({ info }) => info.engine },
  { heading: "CREATED", cell: ({ info }) => toSeconds(info.createdAt) },
  { heading: "CHECKPOINTED", cell: ({ info }) => toSeconds(info.checkpointedAt) },
  { heading: "SIZE", cell: ({ bytes }) => bytes && formatBytes(bytes) },
  { heading: "MEMORY", cell: ({ memoryBytes }) => (memoryBytes === undefined ? undefined : formatBytes(memoryBytes)) },
  { heading: "PAUSED", cell: paused },
];

const WIDE_COLUMNS: readonly Column[] = [
  { heading: "IMAGES", cell: ({ imagesBytes }) => (imagesBytes === undefined ? undefined : formatBytes(imagesBytes)) },
  { heading: "ROOTFS CHANGE", cell: ({ rootfsDiffBytes }) => (rootfsDiffBytes === undefined ? undefined : formatBytes(rootfsDiffBytes)) },
  { heading: "COMPRESSION", cell: ({ compression }) => compression },
  { heading: "IP", cell: ({ info }) => (info.ips.length === 0 ? undefined : info.ips.join(",")) },
  { heading: "CONTAINER ID", cell: ({ info }) => info.containerID },
  { heading: "IMAGE ID", cell: ({ info }) => info.imageID },
];

const NARROW: Narrow = {
  without: ["ENGINE", "CREATED", "RUNTIME", "NAMESPACE", "SIZE", "IMAGE", "PAUSED", "MEMORY"],
  shorten: [
    { IMAGE: "middle", FILE: "middle" },
    { POD: "middle", NAMESPACE: "middle", CONTAINER: "middle" },
  ],
};

/** As kubectl get prints; the file is named where there are several. */
function summaryTable(summaries: readonly Summary[], wide: boolean): Table {
  const file: Column = { heading: "FILE", cell: ({ path }) => path };
  const columns = [...COLUMNS, ...(wide ? WIDE_COLUMNS : []), ...(summaries.length > 1 || wide ? [file] : [])];
  return {
    columns: columns.map(({ heading }) => heading),
    narrow: NARROW,
    rows: summaries.map((summary) => columns.map(({ cell }) => cell(summary) ?? "<none>")),
  };
}

function toSeconds(time: string | undefined): string | undefined {
  return time?.replace(/\.\d+Z$/, "Z");
}

/** By the record, else by CRIU's own figure, which is only a part of it. */
function paused({ pausedSeconds, frozenSeconds }: Summary): string | undefined {
  const seconds = pausedSeconds ?? frozenSeconds;
  if (seconds === undefined) return undefined;
  const time = seconds < 1 ? `${Math.round(seconds * 1000)}ms` : formatSeconds(seconds);
  return `${pausedSeconds === undefined ? ">" : "<"}${time}`;
}

function* interruptedHints(summaries: readonly Summary[]): Generator<Phrase> {
  for (const { path, interrupted = [] } of summaries) {
    if (interrupted.length > 0) yield say`${path}: ${interruptedText(interrupted)}`;
  }
}

/** Volumes are mounted from outside: engines leave them out, except for Podman's named ones. */
function* volumeHints(summaries: readonly Summary[]): Generator<Phrase> {
  if (summaries.length > 0 && summaries.every(({ info }) => info.volumes?.length === 0)) {
    yield say`archives do not include volumes; ${summaries.length === 1 ? "this container" : "these containers"} had none`;
  }
  for (const { path, info } of summaries) {
    const { volumes = [] } = info;
    const outside = volumes.filter(({ member }) => member === undefined);
    const inside = volumes.filter(({ member }) => member !== undefined);
    if (outside.length > 0) yield say`${path}: volumes that are not included: ${volumeList(outside)}`;
    if (inside.length > 0) yield say`${path}: volumes that are included: ${volumeList(inside)}`;
  }
}

function volumeList(volumes: readonly VolumeMount[]): Phrase {
  return joined(
    volumes.map(({ path, name, kind, source }) => say`${path} (${[kind, name ?? source].filter((part) => part !== undefined).join(" ")})`),
    ", ",
  );
}
