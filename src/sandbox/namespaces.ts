import { toBinary } from "@bufbuild/protobuf";
import type { Archive } from "../archive/archive.ts";
import { oneEntry } from "../criu/entries.ts";
import { InventoryEntrySchema } from "../criu/gen/inventory_pb.ts";
import { PidnsEntrySchema, TaskKobjIdsEntrySchema } from "../criu/gen/namespaces_pb.ts";
import { NetnsEntrySchema } from "../criu/gen/network_pb.ts";
import { imageName, openImage } from "../criu/image.ts";

const IDS = /^checkpoint\/(ids-\d+\.img)$/;

/** Namespaces that a user namespace lets nobody restore: the processes get the sandbox's own. */
const SHARED = ["netNsId", "ipcNsId", "utsNsId", "userNsId", "cgroupNsId"] as const;

/**
 * ids-PID.img of every process, rewritten: it is in CRIU's own network, IPC, UTS, user and cgroup namespaces, which inventory.img has the
 * numbers of. By file name. Throws a UserError where an image is damaged.
 */
export async function sharedNamespaces(archive: Archive): Promise<Map<string, Buffer>> {
  const own = (await oneEntry(archive, "inventory.img", InventoryEntrySchema))?.rootIds;
  const images = new Map<string, Buffer>();
  if (own === undefined) return images;
  for (const name of archive.members.keys()) {
    const file = IDS.exec(name)?.[1];
    const ids = file === undefined ? undefined : await oneEntry(archive, file, TaskKobjIdsEntrySchema);
    if (file === undefined || ids === undefined) continue;
    for (const field of SHARED) if (own[field] !== 0 && ids[field] !== 0) ids[field] = own[field];
    const { source, start } = await openImage(archive, imageName(file));
    const message = toBinary(TaskKobjIdsEntrySchema, ids);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(message.length);
    images.set(file, Buffer.concat([await source.read(0, start), length, message]));
  }
  return images;
}

/** Whether the engine brought this namespace of the container in from outside: a pod's network, or the PID namespace that its containers share. */
export async function externalNamespace(archive: Archive, kind: "net" | "pid"): Promise<boolean> {
  for (const name of archive.members.keys()) {
    const file = new RegExp(`^checkpoint/(${kind}ns-\\d+\\.img)$`).exec(name)?.[1];
    if (file === undefined) continue;
    const entry = kind === "net" ? await oneEntry(archive, file, NetnsEntrySchema) : await oneEntry(archive, file, PidnsEntrySchema);
    if (entry !== undefined && entry.extKey !== "") return true;
  }
  return false;
}

export function wasInUserNamespace(archive: Archive): boolean {
  return [...archive.members.keys()].some((name) => /^checkpoint\/userns-\d+\.img$/.test(name));
}
