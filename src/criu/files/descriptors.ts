import type { Archive } from "../../archive/archive.ts";
import { allEntries } from "../entries.ts";
import { FdinfoEntrySchema } from "../gen/files_pb.ts";

/** A descriptor of a process. */
export interface Descriptor {
  readonly fd: number;
  /** Of the open file, in files.img. */
  readonly fileId: number;
  readonly closeOnExec: boolean;
}

const FD_CLOEXEC = 1;

/** The descriptors of a table, ascending. Processes that share a table have the same files_id. Throws a UserError where the image is damaged. */
export async function descriptors(archive: Archive, filesId: number): Promise<Descriptor[]> {
  const all: Descriptor[] = [];
  for await (const { id, fd, flags } of allEntries(archive, `fdinfo-${filesId}.img`, FdinfoEntrySchema)) {
    all.push({ fd, fileId: id, closeOnExec: (flags & FD_CLOEXEC) !== 0 });
  }
  return all.sort((a, b) => a.fd - b.fd);
}
