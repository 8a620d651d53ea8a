import type { Helpers } from "../../helper/helpers.ts";
import { parseRoom, type Room } from "../../helper/listing.ts";
import type { UserError } from "../../model/error.ts";
import { orError } from "./cluster.ts";

/** What only the node itself tells, asked through helper pods on it. */
export interface DeepFacts {
  readonly kernel: string;
  /** Undefined where the helper image cannot ask (no chroot). */
  readonly programs: Readonly<Record<"criu" | OciRuntime, Program>> | undefined;
  /** Paths of CRIU's library, which crun loads. */
  readonly libcriu: readonly string[];
  /** Seconds since CRIU's program was put there; undefined where the helper image has no stat or date. */
  readonly criuAge: number | undefined;
  /** Seconds since containerd or CRI-O started; undefined where neither was found. */
  readonly runtimeAge: number | undefined;
  /** Lines of /etc/criu/runc.conf and crun.conf; undefined where there is none. */
  readonly config: Readonly<Record<OciRuntime, readonly string[] | undefined>>;
  /** Undefined where no --criu-option has changed them. */
  readonly held: HeldOptions | undefined;
  readonly selinux: "enforcing" | "permissive" | "none";
  /** Whether the node's own process 1 runs under a seccomp filter: then all of it does. */
  readonly filtered: boolean;
  /** Where CRIU's images go first: of /tmp with containerd, of CRI-O's storage. */
  readonly tmp: Room | undefined;
  readonly storage: Room | undefined;
  readonly directory: Directory | UserError;
}

export type OciRuntime = "runc" | "crun";

/** Undefined: it is missing. */
export interface ProgramVersion {
  readonly version: string;
  /** "+CRIU" and its like, of crun. */
  readonly features: readonly string[];
}
export type Program = ProgramVersion | undefined;

/** The kubelet's checkpoint directory. */
export interface Directory {
  readonly room: Room | undefined;
  readonly archives: number;
  readonly bytes: number;
}

/** Throws a UserError where the node cannot be asked. One pod after the other: where none can start, that is said once. */
export async function askDeep(helpers: Helpers, node: string, kernel: string): Promise<DeepFacts> {
  const host = await askHost(helpers, node);
  const directory = await orError(async () => await askDirectory(helpers, node));
  return { kernel, ...host, directory };
}

async function askHost(helpers: Helpers, node: string): Promise<Omit<DeepFacts, "kernel" | "directory">> {
  await using host = helpers.directory(node, "host", "/");
  return parseHost(await host.lines(["node"]));
}

async function askDirectory(helpers: Helpers, node: string): Promise<Directory> {
  await using directory = helpers.directory(node);
  const [room, listed] = await Promise.all([directory.room(), directory.list()]);
  return { room, archives: listed.length, bytes: listed.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Of the operation node: a word and a value a line. */
export function parseHost(lines: readonly string[]): Omit<DeepFacts, "kernel" | "directory"> {
  const values = Map.groupBy(
    lines.map((line) => /^(\S+) ?(.*)$/s.exec(line) ?? ["", "", ""]),
    ([, word = ""]) => word,
  );
  const of = (word: string): string[] | undefined => values.get(word)?.map(([, , value = ""]) => value);
  const looked = of("looked") ?? [];
  const program = (name: string): Program => {
    const said = of(name) ?? [];
    const version = said.map((line) => /version:? (\S+)/i.exec(line)?.[1]).find(Boolean);
    return version === undefined ? undefined : { version, features: said.flatMap((line) => line.match(/\+[A-Z]+/g) ?? []) };
  };
  const [selinux] = of("selinux") ?? [];
  const seconds = (word: string): number | undefined => {
    const ages = (of(word) ?? []).filter((age) => /^\d+$/.test(age)).map(Number);
    return ages.length === 0 ? undefined : Math.max(...ages);
  };
  return {
    programs: looked.includes("criu") ? { criu: program("criu"), runc: program("runc"), crun: program("crun") } : undefined,
    libcriu: of("libcriu") ?? [],
    criuAge: seconds("criu-age"),
    runtimeAge: seconds("runtime-age"),
    config: { runc: of("conf-runc"), crun: of("conf-crun") },
    held: heldOptions(of("criu-held")),
    selinux: selinux === "1" ? "enforcing" : selinux === "0" ? "permissive" : "none",
    filtered: (of("seccomp") ?? ["0"])[0] !== "0",
    tmp: parseRoom((of("tmp") ?? [""]).join("")),
    storage: parseRoom((of("storage") ?? [""]).join("")),
  };
}

/** Options of a --criu-option that are in the node's files. */
export interface HeldOptions {
  /** The helper pod that put them there. */
  readonly owner: string;
  /** Its time is over, and it has not put them back. */
  readonly left: boolean;
}

/** `NOW UNTIL OWNER` */
function heldOptions([line = ""]: readonly string[] = []): HeldOptions | undefined {
  const [, now, until, owner = ""] = /^(\d+) (\d+) (\S+)$/.exec(line) ?? [];
  return now === undefined ? undefined : { owner, left: Number(now) > Number(until) };
}

/** What the node's own configuration lets CRIU do. */
export interface CriuOptions {
  readonly names: ReadonlySet<string>;
  /** Bytes; undefined where CRIU's own default holds. */
  readonly ghostLimit: number | undefined;
}

/** Of the files of the OCI runtimes that are there; which of them runs a container is not known. */
export function criuOptions({ config, programs }: Pick<DeepFacts, "config" | "programs">): CriuOptions {
  const files = (["runc", "crun"] as const).filter((name) => programs === undefined || programs[name] !== undefined);
  const lines = files.flatMap((name) => meant(config[name])).map((line) => line.replace(/^--/, "").split(/[\s=]+/));
  const limit = lines.findLast(([name]) => name === "ghost-limit")?.[1];
  return { names: new Set(lines.map(([name = ""]) => name)), ghostLimit: limit === undefined ? undefined : criuSize(limit) };
}

/** Without comments and empty lines. */
export function meant(lines: readonly string[] = []): string[] {
  return lines.map((line) => line.replace(/#.*/, "").trim()).filter((line) => line !== "");
}

/** "512", "1M": as CRIU reads sizes. */
function criuSize(text: string): number | undefined {
  const [, digits, unit = ""] = /^(\d+)([KMG]?)$/i.exec(text) ?? [];
  const scale = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[unit.toUpperCase()];
  return digits === undefined || scale === undefined ? undefined : Number(digits) * scale;
}
