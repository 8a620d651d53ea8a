import { readFile, stat } from "node:fs/promises";
import { delimiter, dirname, isAbsolute, join, resolve } from "node:path";
import { UserError } from "../../model/error.ts";
import { homeFolder } from "../../model/home.ts";
import { say, type Text } from "../../model/phrase.ts";
import type { ConnectionOptions, Entry } from "./options.ts";
import { CLUSTER, CONTEXT, ensureTyped, USER, type Schema } from "./schema.ts";

export interface Named {
  readonly name: string;
  readonly value: Entry;
  readonly file: string;
}

export interface Kubeconfig {
  readonly currentContext: string;
  readonly clusters: readonly Named[];
  readonly users: readonly Named[];
  readonly contexts: readonly Named[];
}

/** --kubeconfig, which must exist; else the files of KUBECONFIG, else ~/.kube/config, which need not. */
export function kubeconfigFiles({ kubeconfig }: ConnectionOptions, env: NodeJS.ProcessEnv): { files: string[]; required: boolean } {
  if (kubeconfig) return { files: [resolve(kubeconfig)], required: true };
  const listed = (env["KUBECONFIG"] ?? "").split(delimiter).filter((file) => file !== "");
  if (listed.length > 0) return { files: listed.map((file) => resolve(file)), required: false };
  // Without a home, as kubectl: below the working directory.
  return { files: [resolve(homeFolder(env) ?? "", ".kube", "config")], required: false };
}

/** One file, its paths made absolute. Throws KubeconfigInvalid. */
export async function readKubeconfig(file: string, required: boolean): Promise<Kubeconfig> {
  const invalid = (why: Text, cause?: unknown): UserError =>
    new UserError({ reason: "KubeconfigInvalid", message: say`cannot use the kubeconfig ${file}`, why, cause });
  let text: string;
  try {
    if ((await stat(file)).isDirectory()) throw invalid("it is a directory");
    text = kubeconfigText(await readFile(file));
  } catch (error) {
    if (error instanceof UserError) throw error;
    if ((error as NodeJS.ErrnoException).code === "ENOENT" && !required) return merged([]);
    throw invalid((error as Error).message, error);
  }
  let parsed: unknown;
  try {
    parsed = await parse(text, file);
  } catch (error) {
    throw invalid((error as Error).message, error);
  }
  if (!isEntry(parsed)) throw invalid("it is not a mapping");
  const { kind = "Config", apiVersion = "v1", "current-context": current } = parsed;
  if (kind !== "Config" || apiVersion !== "v1") {
    throw invalid(say`it is of kind ${JSON.stringify(kind)}, version ${JSON.stringify(apiVersion)}, not of Config, v1`);
  }
  if (current !== undefined && current !== null && typeof current !== "string") throw invalid("its current-context is not a string");
  const from = dirname(file);
  const named = (list: string, key: string, schema: Schema): Named[] => namedEntries(parsed[list], list, key, schema, file, invalid);
  return {
    currentContext: current ?? "",
    clusters: named("clusters", "cluster", CLUSTER).map((one) => ({ ...one, value: absolute(one.value, from, ["certificate-authority"]) })),
    users: named("users", "user", USER).map((one) => ({ ...one, value: absoluteUser(one.value, from) })),
    contexts: named("contexts", "context", CONTEXT),
  };
}

/** What stands before a PEM file in base64, of which most of a large kubeconfig consists. */
const DATA = "-data: LS0";
const PLACE = "long-data-";

/**
 * The YAML of a kubeconfig. Its long values are put aside before, since they would take most of the time, and put back where they are found
 * again, each once; where they are not, and where the YAML is wrong, the text is read as it is. Throws js-yaml's error.
 */
async function parse(text: string, filename: string): Promise<unknown> {
  const { load } = await import("js-yaml");
  // `json`: of a key that is there twice, the last one counts.
  const whole = (): unknown => (text.trim() === "" ? {} : load(text, { filename, json: true }));
  const { short, aside } = putAside(text);
  if (aside.length === 0 || text.includes(PLACE)) return whole();
  try {
    const parsed = load(short, { filename, json: true });
    return restored(parsed, aside) === aside.length ? parsed : whole();
  } catch {
    return whole();
  }
}

/** The text with a short word in place of each long value that is one plain word of YAML, the last of its line. */
function putAside(text: string): { short: string; aside: string[] } {
  const [aside, pieces]: [string[], string[]] = [[], []];
  let done = 0;
  for (let at = text.indexOf(DATA); at >= 0; at = text.indexOf(DATA, at + 1)) {
    const start = at + DATA.length - "LS0".length;
    const newline = text.indexOf("\n", start);
    const line = newline < 0 ? text.length : newline;
    const end = text[line - 1] === "\r" ? line - 1 : line;
    const value = text.slice(start, end);
    const key = text.slice(text.lastIndexOf("\n", at) + 1, at);
    if (value.length < 64 || /[ \t:#]/.test(value) || !/^[ -]* [a-z-]+$/.test(key)) continue;
    pieces.push(text.slice(done, start), `${PLACE}${aside.push(value) - 1}`);
    done = end;
  }
  return { short: [...pieces, text.slice(done)].join(""), aside };
}

/** How many values were put back into clusters and users. */
function restored(parsed: unknown, aside: readonly string[]): number {
  if (!isEntry(parsed)) return 0;
  let count = 0;
  for (const one of [parsed["clusters"], parsed["users"]].flat()) {
    const fields: Record<string, unknown>[] = isEntry(one) ? [one["cluster"], one["user"]].filter(isEntry) : [];
    for (const entry of fields) {
      for (const [name, value] of Object.entries(entry)) {
        const [, place] = (typeof value === "string" && /^long-data-(\d+)$/.exec(value)) || [];
        if (place === undefined) continue;
        entry[name] = aside[Number(place)];
        count += 1;
      }
    }
  }
  return count;
}

/** UTF-8, and what PowerShell's `>` writes: UTF-16 with a byte order mark. */
export function kubeconfigText(bytes: Buffer): string {
  const [first, second] = bytes;
  const encoding = first === 0xff && second === 0xfe ? "utf-16le" : first === 0xfe && second === 0xff ? "utf-16be" : "utf-8";
  return new TextDecoder(encoding).decode(bytes);
}

function namedEntries(
  list: unknown,
  listName: string,
  key: string,
  schema: Schema,
  file: string,
  invalid: (why: Text) => UserError,
): Named[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) throw invalid(say`${listName} is not a list`);
  const names = new Set<string>();
  return list.flatMap((entry: unknown) => {
    if (entry === null) return [];
    if (!isEntry(entry)) throw invalid(say`${listName} has an entry that is not a mapping`);
    const name = entry["name"] ?? "";
    if (typeof name !== "string") throw invalid(say`${listName} has a name that is not a string`);
    if (names.has(name)) throw invalid(say`${listName} has two entries "${name}"`);
    names.add(name);
    const value = entry[key] ?? {};
    const place = `${listName}[${name}].${key}`;
    if (!isEntry(value)) throw invalid(say`${place} is not a mapping`);
    return [{ name, file, value: ensureTyped(value, schema, place, invalid) }];
  });
}

function isEntry(value: unknown): value is Entry {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function absolute(entry: Entry, from: string, keys: readonly string[]): Entry {
  const changed = keys.flatMap((key) => {
    const path = entry[key];
    return typeof path === "string" && path !== "" && !isAbsolute(path) ? [[key, join(from, path)] as const] : [];
  });
  return { ...entry, ...Object.fromEntries(changed) };
}

function absoluteUser(user: Entry, from: string): Entry {
  const entry = absolute(user, from, ["client-certificate", "client-key", "tokenFile"]);
  const exec = entry["exec"];
  // A bare command is looked up in PATH; one with a separator is relative to its kubeconfig.
  const relative = isEntry(exec) && typeof exec["command"] === "string" && /[/\\]/.test(exec["command"]);
  return relative ? { ...entry, exec: absolute(exec, from, ["command"]) } : entry;
}

/** The first file to name something wins, as in kubectl. */
export function merged(parts: readonly Kubeconfig[]): Kubeconfig {
  const firsts = (lists: readonly (readonly Named[])[]): Named[] => {
    const byName = new Map<string, Named>();
    for (const one of lists.flat()) if (!byName.has(one.name)) byName.set(one.name, one);
    return [...byName.values()];
  };
  return {
    currentContext: parts.find((part) => part.currentContext !== "")?.currentContext ?? "",
    clusters: firsts(parts.map((part) => part.clusters)),
    users: firsts(parts.map((part) => part.users)),
    contexts: firsts(parts.map((part) => part.contexts)),
  };
}
