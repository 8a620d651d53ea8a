import { readFile, stat } from "node:fs/promises";
import { delimiter, dirname, isAbsolute, join, resolve } from "node:path";
import { UserError } from "../../model/error.ts";
import { homeFolder } from "../../model/home.ts";
import type { ConnectionOptions, Entry } from "./options.ts";

export interface Named {
  readonly name: string;
  readonly value: Entry;
}

export interface Kubeconfig {
  readonly currentContext: string;
  readonly clusters: readonly Named[];
  readonly users: readonly Named[];
  readonly contexts: readonly Named[];
}

/** --kubeconfig, which must exist; else the files of KUBECONFIG, else ~/.kube/config, which need not. */
export function kubeconfigFiles({ kubeconfig }: ConnectionOptions, env: NodeJS.ProcessEnv): { files: string[]; required: boolean } {
  if (kubeconfig !== undefined && kubeconfig !== "") return { files: [resolve(kubeconfig)], required: true };
  const listed = (env["KUBECONFIG"] ?? "").split(delimiter).filter((file) => file !== "");
  if (listed.length > 0) return { files: listed.map((file) => resolve(file)), required: false };
  // Without a home, as kubectl: below the working directory.
  return { files: [resolve(homeFolder(env) ?? "", ".kube", "config")], required: false };
}

/** One file, its paths made absolute. Throws KubeconfigInvalid. */
export async function readKubeconfig(file: string, required: boolean): Promise<Kubeconfig> {
  const invalid = (why: string, cause?: unknown): UserError =>
    new UserError({ reason: "KubeconfigInvalid", message: `the kubeconfig ${file} cannot be used`, why, cause });
  let text: string;
  try {
    if ((await stat(file)).isDirectory()) throw invalid("it is a directory");
    text = await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof UserError) throw error;
    if ((error as NodeJS.ErrnoException).code === "ENOENT" && !required) return merged([]);
    throw invalid((error as Error).message, error);
  }
  const { load } = await import("js-yaml");
  let parsed: unknown;
  try {
    parsed = text.trim() === "" ? {} : load(text, { filename: file });
  } catch (error) {
    throw invalid((error as Error).message, error);
  }
  if (!isEntry(parsed)) throw invalid("it is not a mapping");
  const from = dirname(file);
  const current = parsed["current-context"];
  return {
    currentContext: typeof current === "string" ? current : "",
    clusters: named(parsed["clusters"], "cluster").map((one) => ({ ...one, value: absolute(one.value, from, ["certificate-authority"]) })),
    users: named(parsed["users"], "user").map((one) => ({ ...one, value: absoluteUser(one.value, from) })),
    contexts: named(parsed["contexts"], "context"),
  };
}

function named(list: unknown, key: string): Named[] {
  if (!Array.isArray(list)) return [];
  return list.filter(isEntry).flatMap((entry) => {
    const { name } = entry;
    const value = entry[key];
    return typeof name === "string" ? [{ name, value: isEntry(value) ? value : {} }] : [];
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
