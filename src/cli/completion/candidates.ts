import { apiPath, type Connection } from "../../cluster/connection.ts";
import { kubeconfigFiles, merged, readKubeconfig, type Kubeconfig } from "../../cluster/kubeconfig/files.ts";
import type { ConnectionOptions } from "../../cluster/kubeconfig/options.ts";
import type { FlagShape } from "../../commands/shared/flags.ts";
import { VERBS } from "../table.ts";
import { containerNames, names, TYPES, type Candidate } from "./names.ts";
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

export interface Sources {
  readonly sources: readonly Source[];
  /** The shell itself offers files of this machine. */
  readonly files: boolean;
}

/** Where to look for what is possible at a position. */
export function sourcesFor(position: Position, outside: Outside): Sources {
  const { before, wanted, typed } = position;
  if (wanted.kind === "flag") return { sources: [async () => flags(position)], files: false };
  if (wanted.kind === "value") return valueSources(wanted.flag, position, outside);
  const parts = kindsAt(before.verb.usage, wanted.index).map((kind) => wordSources(kind, typed, outside));
  const first = before.verb === VERBS[0] && wanted.index === 0 ? [async () => verbs()] : [];
  return { sources: [...first, ...parts.flatMap(({ sources }) => sources)], files: parts.some(({ files }) => files) };
}

const NOTHING: Sources = { sources: [], files: false };
const FILES: Sources = { sources: [], files: true };

function of(...sources: readonly Source[]): Sources {
  return { sources, files: false };
}

/** By what usage lines call it. */
function wordSources(kind: string, typed: string, outside: Outside): Sources {
  switch (kind) {
    case "VERB":
      return of(async () => verbs());
    case "FILE":
    case "DEST":
    case "DIR":
      return FILES;
    case "POD":
      return of(resource(outside, TYPES[0]?.path));
    case "TYPE/NAME":
      return ofType(typed, outside);
    case "node/NODE":
      return "node/".startsWith(typed.slice(0, 5)) && typed !== "" ? of(prefixed("node/", nodes(outside))) : NOTHING;
    case "NODE":
      return of(nodes(outside));
    case "NODE:ARCHIVE":
      // Listing the archives of a node would need a helper pod.
      return typed.includes(":") ? NOTHING : of(suffixed(":", nodes(outside)));
    default:
      return NOTHING;
  }
}

/** Of `deploy/`, the names; of `dep`, the type. */
function ofType(typed: string, outside: Outside): Sources {
  const [, type] = /^([a-z]+)\//.exec(typed) ?? [];
  if (type !== undefined) return of(prefixed(`${type}/`, resource(outside, TYPES.find((one) => one.names.includes(type))?.path)));
  if (typed === "") return NOTHING;
  return of(async () => TYPES.flatMap((one) => one.names.slice(0, 1)).map((name) => ({ value: `${name}/` })));
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
      const pod = before.words.at(-1)?.replace(/^(pods?|po)\//, "");
      return pod === undefined ? NOTHING : of(async () => await containerNames(await outside.connection(), pod));
    }
  }
  if (flag.name === "namespace" || flag.name.endsWith("-namespace")) return of(resource(outside, () => "/api/v1/namespaces"));
  if (flag.value === "NODE") return of(nodes(outside));
  const literals = literalsOf(flag.value);
  if (literals.length > 0) return of(async () => literals.map((value) => ({ value })));
  return /^(FILE|DIR|DEST|PATH)$|\.json$/.test(flag.value ?? "") ? FILES : NOTHING;
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
