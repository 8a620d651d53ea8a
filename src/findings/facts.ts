import type { ChangeItem, Inspection, ProcessItem, RegionItem, SocketItem } from "../model/inspection.ts";
import type { Json } from "../model/json.ts";
import type { Finding } from "../model/findings.ts";

/** What findings are made of. */
export interface Facts {
  /** As a command takes it. */
  readonly file: string;
  /** With every section. */
  readonly inspection: Inspection;
  /** All processes, parents first. */
  readonly processes: readonly ProcessFacts[];
  readonly changes: readonly ChangeItem[];
  /** By path. */
  readonly changed: ReadonlyMap<string, ChangeItem>;
  /** The OCI specification of the container. */
  readonly spec: Json;
  /** Ports that the pod's manifest declares, "tcp/80"; undefined where the manifest is not known. */
  readonly ports: ReadonlySet<string> | undefined;
  readonly secrets: readonly SecretHit[];
  readonly ruleHits: readonly RuleHit[];
  /** Paths of mapped programs and libraries that are not those of the base image; none where it is not at hand. */
  readonly foreign: ReadonlyMap<string, "missing" | "other">;
}

export interface ProcessFacts {
  readonly item: ProcessItem;
  readonly parent: ProcessFacts | undefined;
  /** Path of its program; undefined where it is unknown. */
  readonly exe: string | undefined;
  readonly origin: Origin;
}

/** Where a program or library comes from. "image": from nowhere else that is known. */
export type Origin = "memfd" | "deleted" | "temporary" | "changed" | "mounted" | "image" | "unknown";

/** Secrets of one kind that were found in one place. */
export interface SecretHit {
  readonly kind: string;
  readonly place: string;
  readonly pid?: number;
  readonly path?: string;
  readonly address?: string;
  readonly count: number;
}

export interface RuleHit {
  readonly rule: string;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, unknown>>;
  readonly place: string;
  readonly pid?: number;
  readonly path?: string;
  readonly address?: string;
}

/** A kind of finding: what it is called, what it means, and what has it. */
export interface FindingKind {
  /** A stable CamelCase word. */
  readonly id: string;
  /** For the documentation: when it is found. */
  readonly about: string;
  readonly find: (facts: Facts) => Iterable<Omit<Finding, "id">>;
}

/** The facts of an inspection's processes. */
export function processFacts(inspection: Inspection, changed: ReadonlyMap<string, ChangeItem>): ProcessFacts[] {
  const found: ProcessFacts[] = [];
  const originOf = originsIn(inspection, changed);
  const add = (item: ProcessItem, parent: ProcessFacts | undefined): void => {
    const path = item.executable;
    const facts: ProcessFacts = { item, parent, exe: path?.replace(DELETED, ""), origin: runOrigin(item, inspection) ?? originOf(path) };
    found.push(facts);
    for (const child of item.children) add(child, facts);
  };
  for (const root of inspection.processes) add(root, undefined);
  return found;
}

const DELETED = / \(deleted\)$/;

/** By who runs it, which is surer than its name. */
function runOrigin({ pid }: ProcessItem, { memfds = [], deletedFiles = [], renamedFiles = [] }: Inspection): Origin | undefined {
  if (memfds.some(({ runBy }) => runBy.includes(pid))) return "memfd";
  if ([...deletedFiles, ...renamedFiles].some(({ runBy }) => runBy.includes(pid))) return "deleted";
  return undefined;
}

const TEMPORARY = /^\/(tmp|var\/tmp|dev|run|var\/run|var\/spool)\//;
const HIDDEN = /\/\.[^/.][^/]*/;

/** Where anyone may write, or where nobody looks. */
export function isTemporary(path: string): boolean {
  return TEMPORARY.test(path) || HIDDEN.test(path);
}

/** Says of a path, as an inspection names it, where the file comes from. */
export function originsIn({ mounts = [] }: Inspection, changed: ReadonlyMap<string, ChangeItem>): (path: string | undefined) => Origin {
  const outside = mounts
    .filter(({ external, path }) => external && path !== "/")
    .map(({ path }) => path)
    .sort((a, b) => b.length - a.length);
  return (path) => {
    if (path === undefined || path === "") return "unknown";
    if (/^\/?memfd:/.test(path)) return "memfd";
    if (DELETED.test(path)) return "deleted";
    if (outside.some((mount) => path === mount || path.startsWith(`${mount}/`))) return isTemporary(path) ? "temporary" : "mounted";
    const change = changed.get(path);
    if (change !== undefined && change.type !== "directory") return isTemporary(path) ? "temporary" : "changed";
    // Images have hidden directories too, such as ~/.pyenv: what nobody wrote there is theirs.
    return TEMPORARY.test(path) ? "temporary" : "image";
  };
}

/** The last part of a path. */
export function baseName(path: string | undefined): string {
  return path?.split("/").at(-1) ?? "";
}

/** "process 7 (sh)". */
export function processName({ pid, comm }: ProcessItem): string {
  return `process ${pid} (${comm})`;
}

export function commandLine({ args, comm }: ProcessItem): string {
  const line = args === undefined || args.length === 0 ? `[${comm}]` : args.join(" ");
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
}

const LONGEST = 160;

export function regionsOf({ memory }: ProcessItem): readonly RegionItem[] {
  return memory?.regions ?? [];
}

export function socketsOf({ sockets = [] }: ProcessItem): readonly SocketItem[] {
  return sockets;
}

/** Host and port of "10.0.0.1:80" and "[::1]:80". */
export function endpoint(text: string): { readonly host: string; readonly port: number } {
  const [, host = "", port = "0"] = /^\[?(.*?)\]?:(\d+)$/.exec(text) ?? [];
  return { host: host.replace(/^::ffff:(?=\d+\.)/, ""), port: Number(port) };
}

/** Whether an address is of this host alone. */
export function isLoopback(host: string): boolean {
  return host.startsWith("127.") || host === "::1";
}

/** Whether an address can only be inside: private, link-local, shared (RFC 1918, 3927, 4193, 4291, 6598). */
export function isPrivate(host: string): boolean {
  return (
    isLoopback(host) ||
    /^(10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.)/.test(host) ||
    /^(f[cd]|fe[89ab])/i.test(host)
  );
}
