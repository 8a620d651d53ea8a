import type { Archive } from "../archive/archive.ts";
import { oneEntry } from "./entries.ts";
import { InventoryEntrySchema } from "./gen/inventory_pb.ts";
import { UtsnsEntrySchema } from "./gen/namespaces_pb.ts";

/** What made the images, and where. */
export interface Origin {
  /** Of CRIU and of the kernel: told by its log, which Podman and containerd before 2.1 leave out. */
  readonly version: string | undefined;
  readonly kernel: string | undefined;
  /** Of the image format: 2 since CRIU 2. */
  readonly imageVersion: number | undefined;
  readonly lsm: "none" | "selinux" | "apparmor" | "unknown";
  /** Of CRIU 4.2 and later: names the run that made the images. */
  readonly runId: string | undefined;
  readonly plugins: readonly string[];
  /** Of the container. */
  readonly hostname: string | undefined;
}

const LSMS = ["none", "selinux", "apparmor"] as const;

/** Of inventory.img, utsns-N.img and dump.log. Throws a UserError where an image is damaged. */
export async function origin(archive: Archive): Promise<Origin> {
  const inventory = await oneEntry(archive, "inventory.img", InventoryEntrySchema);
  return {
    ...(await logged(archive)),
    imageVersion: inventory?.imgVersion,
    lsm: LSMS[inventory?.lsmtype ?? 0] ?? "unknown",
    runId: inventory?.dumpCriuRunId === "" ? undefined : inventory?.dumpCriuRunId,
    plugins: inventory?.pluginsEntry?.plugins ?? [],
    hostname: await hostname(archive),
  };
}

async function hostname(archive: Archive): Promise<string | undefined> {
  for (const name of archive.members.keys()) {
    const file = /^checkpoint\/(utsns-\d+\.img)$/.exec(name)?.[1];
    if (file !== undefined) return (await oneEntry(archive, file, UtsnsEntrySchema))?.nodename;
  }
  return undefined;
}

const LOG = "dump.log";

async function logged(archive: Archive): Promise<{ version: string | undefined; kernel: string | undefined }> {
  if (!archive.members.has(LOG)) return { version: undefined, kernel: undefined };
  const log = archive.open(LOG);
  const head = (await log.read(0, Math.min(4096, log.size))).toString("utf8");
  return { version: /\) Version: (\S{1,40})/.exec(head)?.[1], kernel: /\) Running on \S+ Linux (\S{1,80})/.exec(head)?.[1] };
}
