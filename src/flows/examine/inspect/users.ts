import type { FileTable } from "../../../criu/files/table.ts";
import type { ProcessMemory } from "../../../criu/memory.ts";
import type { Users } from "../../../model/inspection.ts";
import type { Connections } from "./connections.ts";

/** Which processes run and map which files: by ids in files.img, as they are looked at. */
export class FileUses {
  readonly #run = new Map<number, Set<number>>();
  readonly #mapped = new Map<number, Set<number>>();
  readonly #segments = new Map<bigint, Set<number>>();

  note(pid: number, { space, regions }: Pick<ProcessMemory, "space" | "regions">): void {
    if (space.exeId !== undefined) add(this.#run, space.exeId, pid);
    for (const { fileId, shmid, note } of regions) {
      if (fileId !== undefined) add(this.#mapped, fileId, pid);
      if (note === "sysvipc" && shmid !== undefined) add(this.#segments, shmid, pid);
    }
  }

  /** Of all that have one of these ids: several open files may be one file. */
  of(fileIds: readonly number[], connections: Pick<Connections, "holders"> | undefined): Users {
    return {
      openedBy: fileIds.flatMap((id) => connections?.holders.get(id) ?? []),
      runBy: pids(fileIds, this.#run),
      mappedBy: pids(fileIds, this.#mapped),
    };
  }

  /** Pids that have a System V segment attached. */
  attached(id: number): number[] {
    return [...(this.#segments.get(BigInt(id)) ?? [])];
  }
}

function add<K>(map: Map<K, Set<number>>, key: K, pid: number): void {
  const pidsOf = map.get(key);
  if (pidsOf === undefined) map.set(key, new Set([pid]));
  else pidsOf.add(pid);
}

function pids(fileIds: readonly number[], map: ReadonlyMap<number, ReadonlySet<number>>): number[] {
  return [...new Set(fileIds.flatMap((id) => [...(map.get(id) ?? [])]))].sort((a, b) => a - b);
}

/** Ids of open files that are one memfd, by its inode. */
export function memfdIds({ files }: FileTable): Map<bigint, number[]> {
  const ids = new Map<bigint, number[]>();
  for (const { id, type, shmid } of files.values()) {
    if (type !== "memfd" || shmid === undefined) continue;
    const same = ids.get(shmid);
    if (same === undefined) ids.set(shmid, [id]);
    else same.push(id);
  }
  return ids;
}
