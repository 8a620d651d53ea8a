import { allQueues, type Queue } from "../../../criu/files/queues.ts";
import { systemVIpc } from "../../../criu/ipc.ts";
import { attempt } from "../../../criu/problems.ts";
import { sourceStretches, type Stretch } from "../../../criu/search/windows.ts";
import type { Holder } from "../../../model/inspection.ts";
import type { Place } from "./location.ts";
import { asFarAsItGoes } from "./memory.ts";
import type { Searched } from "./search.ts";

/** What was written and not yet read: of pipes, sockets, terminals, and of the message queues of System V. */
export async function* queueStretches(searched: Searched): AsyncGenerator<Stretch<Place>> {
  const { archive, isOne, chosen, tell } = searched;
  const pids = new Set(chosen.map(({ pid }) => pid));
  const ids = idsOf(searched);
  for await (const queue of asFarAsItGoes(tell, allQueues(archive))) {
    const fileIds = ids(queue);
    if (isOne && !(await heldBy(fileIds, searched)).some(({ pid }) => pids.has(pid))) continue;
    const name = nameOf(queue, fileIds, searched);
    yield* sourceStretches(
      queue.data,
      placeOf(name, queue.image, async () => await heldBy(fileIds, searched)),
    );
  }
  // Any process of the namespace may receive of a message queue: it is nobody's own.
  if (isOne) return;
  const ipc = await attempt(tell, async () => await systemVIpc(archive));
  for (const { key, messages } of ipc?.queues ?? []) {
    for (const { type, image, data } of messages)
      yield* sourceStretches(
        data,
        placeOf(`message queue ${key} type ${type}`, image, async () => []),
      );
  }
}

function placeOf(queue: string, member: string, holders: () => Promise<readonly Holder[]>): Place {
  return { label: queue, locate: async (offset) => ({ in: "queues", queue, member, offset, heldBy: await holders() }) };
}

/** Ids of the open files that a queue belongs to: of a pipe those that read it, for they get it. */
function idsOf({ table }: Searched): (queue: Queue) => readonly number[] {
  const pipes = new Map<number, number[]>();
  const streams = new Map<number, number[]>();
  const terminals = new Map<number, number[]>();
  const maps = new Map<number, number[]>();
  for (const { id, pipeId, socket, ttyId, bpfMapId } of table.files.values()) {
    for (const [map, key] of [
      [pipes, pipeId],
      [streams, socket?.protocol === "tcp" ? socket.inode : undefined],
      [terminals, ttyId],
      [maps, bpfMapId],
    ] as const) {
      if (key === undefined) continue;
      const same = map.get(key);
      if (same === undefined) map.set(key, [id]);
      else same.push(id);
    }
  }
  const byKind = { pipe: pipes, "tcp received": streams, "tcp to send": streams, terminal: terminals, "bpf-map": maps };
  return ({ kind, id }) => (kind === "socket" ? [id] : (byKind[kind].get(id) ?? []));
}

async function heldBy(fileIds: readonly number[], { holders }: Searched): Promise<Holder[]> {
  const all = await holders();
  return fileIds.flatMap((id) => all.get(id) ?? []);
}

function nameOf({ kind, id }: Queue, fileIds: readonly number[], { table }: Searched): string {
  const file = table.files.get(fileIds[0] ?? -1);
  if (file?.socket !== undefined) {
    const { protocol, local, remote } = file.socket;
    const between = local === "" ? file.name : `${protocol} ${local}${remote === "" ? "" : ` to ${remote}`}`;
    return kind === "socket" ? between : `${between}, ${kind === "tcp received" ? "received" : "to be sent"}`;
  }
  return file?.name ?? `${kind} ${id}`;
}
