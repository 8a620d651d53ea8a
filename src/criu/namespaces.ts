import type { Archive } from "../archive/archive.ts";
import { oneEntry } from "./entries.ts";
import {
  PidnsEntrySchema,
  TimensEntrySchema,
  UsernsEntrySchema,
  UtsnsEntrySchema,
  type TaskKobjIdsEntry,
  type UidGidExtent,
} from "./gen/namespaces_pb.ts";
import { NetnsEntrySchema } from "./gen/network_pb.ts";
import { attempt, type Tell } from "./problems.ts";
import { seconds } from "./task.ts";

export type NamespaceType = "cgroup" | "ipc" | "mnt" | "net" | "pid" | "time" | "user" | "uts";

/** A namespace of some processes. */
export interface Namespace {
  readonly type: NamespaceType;
  /** As CRIU numbers them: images of it have the number in their names. */
  readonly id: number;
  readonly pids: readonly number[];
  /** Of UTS. */
  readonly hostname?: string;
  readonly domainname?: string;
  /** Of users: which users outside those inside are. */
  readonly uidMap?: readonly IdRange[];
  readonly gidMap?: readonly IdRange[];
  /** Of time: its clocks at the checkpoint. */
  readonly monotonicSeconds?: number;
  readonly boottimeSeconds?: number;
  /** Where it was brought in from outside: what the engine calls it. */
  readonly external?: string;
}

export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

const IDS = {
  cgroup: "cgroupNsId",
  ipc: "ipcNsId",
  mnt: "mntNsId",
  net: "netNsId",
  pid: "pidNsId",
  time: "timeNsId",
  user: "userNsId",
  uts: "utsNsId",
} as const satisfies Record<NamespaceType, keyof TaskKobjIdsEntry>;

export const NAMESPACE_TYPES = Object.keys(IDS) as NamespaceType[];

/** Of a process, by type; 0 where it is not told. */
export function namespaceIds(ids: TaskKobjIdsEntry): Record<NamespaceType, number> {
  return Object.fromEntries(NAMESPACE_TYPES.map((type) => [type, ids[IDS[type]]])) as Record<NamespaceType, number>;
}

/** All namespaces that processes are in, by type. What cannot be read of one goes to `tell`. */
export async function namespaces(
  archive: Archive,
  processes: readonly { readonly pid: number; readonly ids: TaskKobjIdsEntry | undefined }[],
  tell: Tell,
): Promise<Namespace[]> {
  const all: Namespace[] = [];
  for (const type of NAMESPACE_TYPES) {
    const members = Map.groupBy(
      processes.flatMap(({ pid, ids }) => (ids === undefined || ids[IDS[type]] === 0 ? [] : [{ pid, id: ids[IDS[type]] }])),
      ({ id }) => id,
    );
    for (const [id, processesIn] of members) {
      const content = (await attempt(tell, async () => await contentOf(archive, type, id))) ?? {};
      all.push({ type, id, pids: processesIn.map(({ pid }) => pid), ...content });
    }
  }
  return all;
}

async function contentOf(archive: Archive, type: NamespaceType, id: number): Promise<Omit<Namespace, "type" | "id" | "pids">> {
  switch (type) {
    case "uts": {
      const uts = await oneEntry(archive, `utsns-${id}.img`, UtsnsEntrySchema);
      return uts === undefined ? {} : { hostname: uts.nodename, domainname: uts.domainname };
    }
    case "user": {
      const user = await oneEntry(archive, `userns-${id}.img`, UsernsEntrySchema);
      return user === undefined ? {} : { uidMap: user.uidMap.map(idRange), gidMap: user.gidMap.map(idRange) };
    }
    case "time":
      return await clocks(archive, id);
    case "net":
      return externalKey((await oneEntry(archive, `netns-${id}.img`, NetnsEntrySchema))?.extKey);
    case "pid":
      return externalKey((await oneEntry(archive, `pidns-${id}.img`, PidnsEntrySchema))?.extKey);
    default:
      return {};
  }
}

/** Of processes that share the node's, CRIU writes number 0. */
async function clocks(archive: Archive, id: number): Promise<Omit<Namespace, "type" | "id" | "pids">> {
  const time =
    (await oneEntry(archive, `timens-${id}.img`, TimensEntrySchema)) ?? (await oneEntry(archive, "timens-0.img", TimensEntrySchema));
  if (time === undefined) return {};
  const { monotonic, boottime } = time;
  return {
    monotonicSeconds: seconds(monotonic?.tvSec ?? 0n, monotonic?.tvNsec ?? 0n, 1e9),
    boottimeSeconds: seconds(boottime?.tvSec ?? 0n, boottime?.tvNsec ?? 0n, 1e9),
  };
}

function externalKey(key: string | undefined): { readonly external?: string } {
  return key === undefined || key === "" ? {} : { external: key };
}

function idRange({ first, lowerFirst, count }: UidGidExtent): IdRange {
  return { inside: first, outside: lowerFirst, count };
}

/** The number outside of a user or group inside; undefined where none is mapped. */
export function outsideId(map: readonly IdRange[], id: number): number | undefined {
  const range = map.find(({ inside, count }) => id >= inside && id < inside + count);
  return range && range.outside + (id - range.inside);
}
