import type { Archive } from "../archive/archive.ts";
import { UserError } from "../model/error.ts";
import { allEntries } from "./entries.ts";
import { PstreeEntrySchema } from "./gen/process_pb.ts";
import { fileTable } from "./files/table.ts";
import { entryBatches, hasImage, openImage } from "./image.ts";
import { systemVIpc } from "./ipc.ts";
import { KINDS, RAW } from "./kinds.ts";
import { addressSpace } from "./regions.ts";

/** Something about an image file of the archive. */
export interface ImageFinding {
  /** Its name in the archive. */
  readonly image: string;
  /** "damaged": it does not decode. "unknown": of a kind that this version does not know. "stale": of no process that the process tree has. */
  readonly kind: "damaged" | "unknown" | "stale";
  /** What is wrong, without the name and without a full stop. */
  readonly message: string;
}

const DIRECTORY = "checkpoint/";
const IMAGE = /\.img$/;

/** Decodes every image of CRIU, stats-dump included; tells of each that is not as it should be. */
export async function* checkImages(archive: Archive): AsyncGenerator<ImageFinding> {
  const tasks = await taskIds(archive).catch(() => new Set<number>());
  const shared = await sharedInUse(archive);
  for (const image of imageNames(archive)) {
    const finding = await checkImage(archive, image);
    const task = TASK_IMAGE.exec(image)?.[1];
    const memory = SHARED_IMAGE.exec(image)?.[1];
    if (finding !== undefined) yield finding;
    else if (task !== undefined && tasks.size > 0 && !tasks.has(Number(task))) {
      yield { image, kind: "stale", message: `the process tree has no task ${task}: it is left over from an earlier checkpoint` };
    } else if (memory !== undefined && tasks.size > 0 && shared?.has(memory) === false) {
      yield { image, kind: "stale", message: `nothing has its memory mapped or open: it is left over from an earlier checkpoint` };
    }
  }
}

const SHARED_IMAGE = /^checkpoint\/pagemap-shmem-(\d+)\.img$/;
const TASK_IMAGE = /^checkpoint\/(?:core|mm|ids|fs|pagemap)-(\d+)\.img$/;

/** Ids of all processes and threads. What other images of tasks an archive has are left over from an earlier checkpoint: Podman's can. */
export async function taskIds(archive: Archive): Promise<Set<number>> {
  const ids = new Set<number>();
  for await (const { pid, threads } of allEntries(archive, "pstree.img", PstreeEntrySchema))
    for (const id of [pid, ...threads]) ids.add(id);
  return ids;
}

/**
 * Ids of the shared memory that the checkpoint's processes have mapped or open, and of System V segments. Undefined where what would tell of
 * some is missing or cannot be read.
 */
export async function sharedInUse(archive: Archive): Promise<ReadonlySet<string> | undefined> {
  const ids = new Set<string>();
  try {
    for await (const { pid } of allEntries(archive, "pstree.img", PstreeEntrySchema)) {
      const space = await addressSpace(archive, pid);
      // A zombie has none, and no memory either.
      if (space === undefined && !hasImage(archive, `pagemap-${pid}.img`)) continue;
      if (space?.mappings === undefined) return undefined;
      for (const { shmid } of space.mappings) if (shmid !== undefined) ids.add(String(shmid));
    }
    for (const { shmid } of (await fileTable(archive)).files.values()) if (shmid !== undefined) ids.add(String(shmid));
    for (const { id } of (await systemVIpc(archive)).segments) ids.add(String(id));
  } catch (error) {
    if (!(error instanceof UserError) || error.reason === "TooSlow") throw error;
    return undefined;
  }
  return ids;
}

/** Images of kinds that this version does not know, by name: none of them is decoded. */
export async function unknownImages(archive: Archive): Promise<string[]> {
  const unknown: string[] = [];
  for (const image of imageNames(archive)) if ((await kindOf(archive, image).catch(() => undefined)) === undefined) unknown.push(image);
  return unknown;
}

function* imageNames({ members }: Archive): Generator<string> {
  for (const { name, type } of members.values()) {
    const file = name.startsWith(DIRECTORY) ? name.slice(DIRECTORY.length) : "";
    if (type === "file" && (name === "stats-dump" || (IMAGE.test(file) && !file.includes("/") && !RAW.test(file)))) yield name;
  }
}

async function kindOf(archive: Archive, image: string) {
  return KINDS.get((await openImage(archive, image)).magic);
}

/** What CRIU calls its own images (criu/image-desc.c). Its plugins, such as that of AMD's GPUs, write others, in forms of their own. */
const OWN = new RegExp(
  "^(stats-dump|checkpoint/(" +
    "(core|mm|ids|fs|fdinfo|pagemap|pagemap-shmem|vmas|creds|sigacts|itimers|posix-timers|rlimit|signal-[sp]|tcp-stream|ghost-file|netdev|" +
    "mountpoints|netns|userns|pidns|utsns|timens|ipcns-(var|shm|msg|sem)|binfmt-misc|autofs)-[\\da-f]+|" +
    "inventory|pstree|(reg-|ext-|ns-)?files|eventfd|eventpoll(-tfd)?|inotify(-wd)?|fanotify(-mark)?|signalfd|inetsk|sk-queues|unixsk|netlinksk|" +
    "packetsk|pipes(-data)?|fifo(-data)?|tty(-info|-data)?|remap-fpath|filelocks|cgroup|seccomp|apparmor|tunfile|timerfd|cpuinfo|memfd|" +
    "bpfmap-(file|data)|irmap-cache|pidfd)\\.img)$",
);

/** Of these kinds every image has an entry: all of a task, of a namespace, of a file. */
const NEVER_EMPTY: ReadonlySet<string> = new Set(
  (
    "CGROUP CORE CPUINFO CREDS FILES FS GHOST_FILE IDS INVENTORY IPC_VAR MM MNTS NETNS PAGEMAP PIDNS PSTREE REG_FILES SECCOMP STATS " +
    "TCP_STREAM TIMENS USERNS UTSNS"
  ).split(" "),
);

/** To read an entry takes as long as so many steps. */
const ENTRY_STEPS = 2;

async function checkImage(archive: Archive, name: string): Promise<ImageFinding | undefined> {
  try {
    const image = await openImage(archive, name);
    const kind = KINDS.get(image.magic);
    if (kind === undefined)
      return { image: name, kind: "unknown", message: `its kind, 0x${image.magic.toString(16)}, is not known to this version` };
    let entries = 0;
    for await (const batch of entryBatches(image, kind.reader(image))) {
      entries += batch.length;
      archive.budget.step(ENTRY_STEPS * batch.length);
    }
    return entries === 0 && NEVER_EMPTY.has(kind.name) ? { image: name, kind: "damaged", message: "it is empty" } : undefined;
  } catch (error) {
    if (!(error instanceof UserError) || error.reason === "TooSlow") throw error;
    if (!OWN.test(name)) return { image: name, kind: "unknown", message: "it is none of CRIU's own: a plugin may have written it" };
    return { image: name, kind: "damaged", message: error.message.replace(`${name}: `, "") };
  }
}
