import type { Archive, OpenArchive } from "./archive.ts";
import type { Engine } from "./engines/info.ts";
import { readObject } from "./read.ts";

/** What an engine always writes; `later` is what it writes since a version that no file names. */
interface Expected {
  readonly always: readonly string[];
  readonly later: readonly string[];
}

// Logs, bind.mounts, deleted.files and, but for containerd, rootfs-diff.tar are written only where there is something to write.
const EXPECTED: Readonly<Record<Engine, Expected>> = {
  // 2.0 has the first ones only.
  containerd: { always: ["config.dump", "spec.dump", "rootfs-diff.tar"], later: ["stats-dump", "status", "status.dump"] },
  "cri-o": { always: ["config.dump", "spec.dump", "stats-dump"], later: [] },
  podman: { always: ["config.dump", "spec.dump", "stats-dump", "network.status"], later: [] },
};

/** What CRIU always writes, whoever asked for it. */
const IMAGES = ["checkpoint/inventory.img", "checkpoint/pstree.img"];

/** Of an engine that is not known. */
const ANY: Expected = { always: ["config.dump", "spec.dump"], later: [] };
/** Of CRIU alone. */
const NONE: Expected = { always: [], later: [] };

/** The members that an engine would have written and that are not there. */
export function missingMembers({ members, form }: Pick<OpenArchive, "members" | "form">, engine: Engine | undefined): string[] {
  const { always, later } = form === "images" ? NONE : engine === undefined ? ANY : EXPECTED[engine];
  const expected = [...always, ...(later.some((name) => members.has(name)) ? later : []), ...IMAGES];
  return expected.filter((name) => members.get(name)?.type !== "file");
}

/** What engines and CRIU only ever write as files. */
const FILES =
  /^(config\.dump|spec\.dump|stats-dump|status(\.dump)?|network\.status|(dump|container|ctr)\.log|bind\.mounts|deleted\.files|rootfs-diff\.tar|devshm-checkpoint\.tar|checkpoint\/([^/]+\.img|descriptors\.json))$/;

/** Members that have the name of a file and are none: what they would say is not there, whatever they point to. A sentence each. */
export function notFiles({ members }: Pick<Archive, "members">): string[] {
  const found: string[] = [];
  for (const { name, type, special } of members.values())
    if (type !== "file" && FILES.test(name)) found.push(`${name} is not a file, but a ${special ?? KINDS[type]}`);
  return found;
}

const KINDS = { directory: "directory", link: "hard link", symlink: "symbolic link", other: "special file" } as const;

/** What every engine always writes into its JSON, among what is read of it. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  "config.dump": ["id", "name"],
  "spec.dump": ["process"],
  "status.dump": ["id", "metadata"],
};

/**
 * The fields that an engine would have written and that are not there, a sentence for each file. Throws a UserError where
 * a file is no JSON.
 */
export async function missingFields(archive: Archive): Promise<string[]> {
  const problems: string[] = [];
  for (const [name, fields] of Object.entries(FIELDS)) {
    if (!archive.members.has(name)) continue;
    const written = await readObject(archive, name);
    const missing = fields.filter((field) => (written[field] ?? "") === "");
    if (missing.length > 0) problems.push(`${name} does not say the container's ${missing.join(" and ")}`);
  }
  return problems;
}
