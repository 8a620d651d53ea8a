import type { Archive } from "../archive/archive.ts";
import { slice } from "../archive/sources.ts";
import type { Source } from "../model/source.ts";
import { decode } from "./decode.ts";
import { entriesWithData } from "./entries.ts";
import { IpcMsgEntrySchema, IpcMsgSchema, IpcSemEntrySchema, IpcShmEntrySchema, type IpcDescEntry } from "./gen/ipc_pb.ts";
import { entryBatches, openImage } from "./image.ts";
import { count, hex, octal } from "./numbers.ts";

/** Of anything in System V IPC. */
export interface IpcObject {
  readonly id: number;
  /** What programs find it by: "0x1234"; "0x0" is private. */
  readonly key: string;
  /** The IPC namespace that it is in, as CRIU numbers them. */
  readonly namespace: number;
  readonly uid: number;
  readonly gid: number;
  readonly mode: string;
}

export interface SharedSegment extends IpcObject {
  readonly bytes: number;
  /** Its content, where it is not in a pagemap of its own. */
  readonly data: Source | undefined;
}

export interface SemaphoreSet extends IpcObject {
  readonly values: readonly number[];
}

export interface MessageQueue extends IpcObject {
  readonly maxBytes: number;
  readonly messages: readonly IpcMessage[];
}

export interface IpcMessage {
  readonly type: number;
  /** The image that has it, in the archive. */
  readonly image: string;
  readonly data: Source;
}

export interface Ipc {
  readonly segments: readonly SharedSegment[];
  readonly semaphores: readonly SemaphoreSet[];
  readonly queues: readonly MessageQueue[];
}

const IMAGE = /^checkpoint\/(ipcns-(shm|sem|msg)-(\d+)\.img)$/;

/** All of System V IPC, of ipcns-*.img: attached, used or not. Throws a UserError where an image is damaged. */
export async function systemVIpc(archive: Archive): Promise<Ipc> {
  const all = { segments: [] as SharedSegment[], semaphores: [] as SemaphoreSet[], queues: [] as MessageQueue[] };
  for (const name of archive.members.keys()) {
    const [, file, kind, id] = IMAGE.exec(name) ?? [];
    if (file === undefined) continue;
    const namespace = Number(id);
    if (kind === "shm") all.segments.push(...(await segments(archive, file, namespace)));
    else if (kind === "sem") all.semaphores.push(...(await semaphores(archive, file, namespace)));
    else all.queues.push(...(await messageQueues(archive, file, namespace)));
  }
  return all;
}

function described(desc: IpcDescEntry | undefined, namespace: number): IpcObject {
  const { id = 0, key = 0, uid = 0, gid = 0, mode = 0 } = desc ?? {};
  return { id, key: hex(key), namespace, uid, gid, mode: octal(mode) };
}

/** What CRIU writes after a message is filled up to so many bytes. */
export function padded(bytes: number, to: number): number {
  return Math.ceil(bytes / to) * to;
}

async function segments(archive: Archive, file: string, namespace: number): Promise<SharedSegment[]> {
  const all: SharedSegment[] = [];
  const name = `checkpoint/${file}`;
  const entries = entriesWithData(archive, file, IpcShmEntrySchema, ({ size, inPagemaps }) =>
    inPagemaps ? 0 : padded(count(size, name), 4),
  );
  for await (const { entry, data } of entries) {
    const bytes = count(entry.size, name);
    all.push({ ...described(entry.desc, namespace), bytes, data: entry.inPagemaps ? undefined : slice(data, 0, bytes) });
  }
  return all;
}

async function semaphores(archive: Archive, file: string, namespace: number): Promise<SemaphoreSet[]> {
  const all: SemaphoreSet[] = [];
  for await (const { entry, data } of entriesWithData(archive, file, IpcSemEntrySchema, ({ nsems }) => padded(nsems * 2, 8))) {
    archive.budget.keep(`checkpoint/${file}`, entry.nsems);
    const bytes = await data.read(0, entry.nsems * 2);
    all.push({
      ...described(entry.desc, namespace),
      values: Array.from({ length: entry.nsems }, (_, index) => bytes.readUInt16LE(index * 2)),
    });
  }
  return all;
}

/** Each queue is followed by its messages, which are entries that their text follows. */
async function messageQueues(archive: Archive, file: string, namespace: number): Promise<MessageQueue[]> {
  const image = await openImage(archive, `checkpoint/${file}`);
  const all: (MessageQueue & { readonly messages: IpcMessage[] })[] = [];
  let left = 0;
  const read = entryBatches(image, ({ bytes, end }) => {
    archive.budget.keep(image.name, 2, bytes.length);
    if (left === 0) {
      const { desc, qbytes, qnum } = decode(IpcMsgEntrySchema, bytes, image.name);
      all.push({ ...described(desc, namespace), maxBytes: qbytes, messages: [] });
      left = qnum;
      return 0;
    }
    left -= 1;
    const { mtype, msize } = decode(IpcMsgSchema, bytes, image.name);
    all.at(-1)?.messages.push({ type: Number(mtype), image: image.name, data: slice(image.source, end, msize) });
    return padded(msize, 8);
  });
  for await (const _ of read);
  return all;
}
