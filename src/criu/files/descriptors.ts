import type { Archive } from "../../archive/archive.ts";
import { allEntries } from "../entries.ts";
import { FdinfoEntrySchema } from "../gen/files_pb.ts";
import { hasImage, imageName } from "../image.ts";
import { notThere } from "../problems.ts";

/** A descriptor of a process. */
export interface Descriptor {
  readonly fd: number;
  /** Of the open file, in files.img. */
  readonly fileId: number;
  readonly closeOnExec: boolean;
}

const FD_CLOEXEC = 1;

/** The descriptors of a table, ascending. Processes that share a table have the same files_id. Throws a UserError where the image is missing or damaged. */
export async function descriptors(archive: Archive, filesId: number): Promise<Descriptor[]> {
  const file = `fdinfo-${filesId}.img`;
  if (!hasImage(archive, file))
    throw notThere(
      `${imageName(file)} is not in the archive`,
      "it tells what a process had open; CRIU writes none for one that had nothing open",
    );
  const all: Descriptor[] = [];
  for await (const { id, fd, flags } of allEntries(archive, file, FdinfoEntrySchema)) {
    all.push({ fd, fileId: id, closeOnExec: (flags & FD_CLOEXEC) !== 0 });
  }
  return all.sort((a, b) => a.fd - b.fd);
}
