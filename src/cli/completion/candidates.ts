import { apiPath, type Connection } from "../../cluster/connection.ts";
import { kubeconfigFiles, merged, readKubeconfig, type Kubeconfig } from "../../cluster/kubeconfig/files.ts";
import type { ConnectionOptions } from "../../cluster/kubeconfig/options.ts";
import type { FlagShape } from "../../commands/shared/flags.ts";
import { VERBS } from "../table.ts";
import { containersOf, names, TYPES, type Candidate } from "./names.ts";
import { kindsAt, type Position } from "./position.ts";

/** Where candidates come from: each is asked by itself, and may fail or be late by itself. */
export type Source = () => Promise<readonly Candidate[]>;

export interface Outside {
  /** Throws where the flags make no sense. */
  readonly options: () => ConnectionOptions;
  readonly env: NodeJS.ProcessEnv;
  /** Opened once, when first asked for. */
  readonly connection: () => Promise<Connection>;
}

/** Files of this machine, which the shell itself offers: all, only directories, or those whose names end so, and directories. */
export type Files = "all" | "directories" | readonly string[];

export interface Sources {
  readonly sources: readonly Source[];
  readonly files?: Files | undefined;
}

/** What archives are called: as containerd, CRI-O and Podman write them, compressed, encrypted. */
const ARCHIVES: Files = ["tar", "tar.gz", "tgz", "tar.zst", "gz", "zst", "age"];
const CERTIFICATES: Files = ["pem", "crt", "cer"];
/** By what help calls a value. */
const FILES_OF: Readonly<Record<string, Files>> = {
  FILE: "all",
  DEST: "directories",
  DIR: "directories",
  KEY: ["pem", "key"],
  PUBLIC: ["pem", "pub", "crt"],
  "RUN.json": ["json"],
  "FILE|DIR": ["yar", "yara"],
};
/** By what a flag is for, where its value is just a file. */
const FILES_OF_FLAG: Readonly<Record<string, Files>> = {
  previous: ARCHIVES,
  "ca-file": CERTIFICATES,
  "certificate-authority": CERTIFICATES,
  "client-certificate": CERTIFICATES,
  "timestamp-ca": CERTIFICATES,
  "client-key": ["pem", "key"],
};

/** Where to look for what is possible at a position. */
export function sourcesFor(position: Position, outside: Outside): Sources {
  const { before, wanted, typed } = position;
  if (wanted.kind === "flag") return of(async () => flags(position));
  if (wanted.kind === "value") return valueSources(wanted.flag, position, outside);
  const parts = kindsAt(before.verb.usage, wanted.index).map((kind) => wordSources(kind, typed, outside));
  const first = before.verb === VERBS[0] && wanted.index === 0 ? [async () => verbs()] : [];
  const sources = [...first, ...parts.flatMap((part) => part.sources)].map((source) => unlike(before.words, source));
  return { sources, files: parts.find(({ files }) => files !== undefined)?.files };
}

const NOTHING: Sources = { sources: [] };

function of(...sources: readonly Source[]): Sources {
  return { sources };
}

/** Nobody names the same pod or archive twice. */
function unlike(words: readonly string[], source: Source): Source {
  return async () => (await source()).filter(({ value }) => !words.includes(value));
}

/** By what usage lines call it. */
function wordSources(kind: string, typed: string, outside: Outside): Sources {
  switch (kind) {
    case "VERB":
      return of(async () => verbs());
    case "FILE":
      return { sources: [], files: ARCHIVES };
    case "DEST":
    case "DIR":
      return { sources: [], files: "directories" };
    case "POD":
      return of(resource(outside, TYPES[0]?.path));
    case "TYPE/NAME":
      return ofType(typed, outside);
    case "node/NODE":
      return "node/".startsWith(typed.slice(0, 5)) && typed !== "" ? of(prefixed("node/", nodes(outside))) : NOTHING;
    case "NODE":
      return of(nodes(outside));
    case "NODE:ARCHIVE":
      // Listing the archives of a node would need a helper pod: those that ls has listed are offered.
      return of(listed(outside), ...(typed.includes(":") ? [] : [suffixed(":", nodes(outside))]));
    default:
      return NOTHING;
  }
}

/** Of `deploy/`, the names; of `dep`, the type. */
function ofType(typed: string, outside: Outside): Sources {
  const [, type] = /^([a-z]+)\//.exec(typed) ?? [];
  if (type !== undefined) return of(prefixed(`${type}/`, resource(outside, TYPES.find((one) => one.names.includes(type))?.path)));
  if (typed === "") return NOTHING;
  return of(async () =>
    TYPES.flatMap((one) => one.names.find((name) => name.startsWith(typed)) ?? []).map((name) => ({ value: `${name}/` })),
  );
}

function valueSources(flag: FlagShape, { before }: Position, outside: Outside): Sources {
  if (flag.choices !== undefined) return of(async () => flag.choices?.map((value) => ({ value })) ?? []);
  switch (flag.name) {
    case "context":
      return of(kubeconfigNames(outside, ({ contexts }) => contexts));
    case "cluster":
      return of(kubeconfigNames(outside, ({ clusters }) => clusters));
    case "user":
      return of(kubeconfigNames(outside, ({ users }) => users));
    case "container": {
      const target = before.words.at(-1);
      return target === undefined ? NOTHING : of(async () => await containersOf(await outside.connection(), target));
    }
  }
  if (flag.name === "namespace" || flag.name.endsWith("-namespace")) return of(resource(outside, () => "/api/v1/namespaces"));
  if (flag.value === "NODE") return of(nodes(outside));
  const literals = literalsOf(flag.value);
  if (literals.length > 0) return of(async () => literals.map((value) => ({ value })));
  // A directory on the node.
  if (flag.name === "checkpoint-dir") return NOTHING;
  return { sources: [], files: FILES_OF_FLAG[flag.name] ?? FILES_OF[flag.value ?? ""] };
}

/** The literal parts of a value, in lower case: "apply", and of "oci:DIR" what is before the name. */
function literalsOf(value = ""): string[] {
  return value.split("|").flatMap((form) => /^([a-z][a-z-]*(?:$|:))[A-Z]*$/.exec(form)?.[1] ?? []);
}

function verbs(): Candidate[] {
  return VERBS.slice(1).map(({ name, summary }) => ({ value: name, description: summary }));
}

/** Those that are not given yet, or may be given again. */
function flags({ before }: Position): Candidate[] {
  const given = new Set(before.flags.map(([name]) => name));
  return before.verb.flags
    .filter(({ name, takes }) => takes === "values" || !given.has(name))
    .map(({ name, help }) => ({ value: `--${name}`, description: help }));
}

function kubeconfigNames({ options, env }: Outside, pick: (config: Kubeconfig) => readonly { name: string }[]): Source {
  return async () => {
    const { files, required } = kubeconfigFiles(options(), env);
    const config = merged(await Promise.all(files.map(async (file) => await readKubeconfig(file, required))));
    return pick(config).map(({ name }) => ({ value: name }));
  };
}

function listed({ connection, env }: Outside): Source {
  return async () => {
    const { selection, server } = await connection();
    const { listedArchives } = await import("../../local/listed.ts");
    return (await listedArchives(env, { contextName: selection.contextName, server })).map((value) => ({ value }));
  };
}

function nodes(outside: Outside): Source {
  return resource(outside, () => apiPath`/api/v1/nodes`);
}

function resource({ connection }: Outside, path: ((namespace: string) => string) | undefined): Source {
  return async () => {
    if (path === undefined) return [];
    const open = await connection();
    return await names(open, path(open.namespace));
  };
}

function prefixed(prefix: string, source: Source): Source {
  return async () => (await source()).map((candidate) => ({ ...candidate, value: prefix + candidate.value }));
}

function suffixed(suffix: string, source: Source): Source {
  return async () => (await source()).map((candidate) => ({ ...candidate, value: candidate.value + suffix }));
}
