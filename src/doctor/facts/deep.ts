import { parseRoom, type Room } from "../../helper/listing.ts";
import type { Helpers } from "../../helper/helpers.ts";
import type { UserError } from "../../model/error.ts";
import { orError } from "./cluster.ts";

/** What only the node itself tells, asked through helper pods on it. */
export interface DeepFacts {
  readonly kernel: string;
  /** Undefined where the helper image cannot ask (no chroot). */
  readonly programs: Readonly<Record<"criu" | "runc" | "crun", Program>> | undefined;
  /** Lines of /etc/criu/runc.conf and crun.conf; undefined where there is none. */
  readonly config: Readonly<Record<"runc" | "crun", readonly string[] | undefined>>;
  readonly selinux: "enforcing" | "permissive" | "none";
  /** Where CRIU's images go first. */
  readonly tmp: Room | undefined;
  readonly directory: Directory | UserError;
}

/** Its version as it says it; "missing". */
export type Program = string;

/** The kubelet's checkpoint directory. */
export interface Directory {
  readonly room: Room | undefined;
  readonly archives: number;
  readonly bytes: number;
}

/** Throws a UserError where the node cannot be asked. */
export async function askDeep(helpers: Helpers, node: string, kernel: string): Promise<DeepFacts> {
  const [host, directory] = await Promise.all([askHost(helpers, node), orError(async () => await askDirectory(helpers, node))]);
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
  const program = (name: string): Program => (of(name) ?? []).map((line) => /version:? (\S+)/i.exec(line)?.[1]).find(Boolean) ?? "missing";
  const [selinux] = of("selinux") ?? [];
  return {
    programs: looked.includes("criu") ? { criu: program("criu"), runc: program("runc"), crun: program("crun") } : undefined,
    config: { runc: of("conf-runc"), crun: of("conf-crun") },
    selinux: selinux === "1" ? "enforcing" : selinux === "0" ? "permissive" : "none",
    tmp: parseRoom((of("tmp") ?? [""]).join("")),
  };
}
