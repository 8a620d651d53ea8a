import { given } from "../decode.ts";
import { RegFileEntrySchema, type RegFileEntry } from "../gen/files_pb.ts";
import { count } from "../numbers.ts";
import { details, type FileType, type OpenFile } from "./file.ts";

const TYPES: Readonly<Record<number, FileType>> = {
  0o1: "fifo",
  0o2: "device",
  0o4: "directory",
  0o6: "device",
  0o10: "file",
  0o12: "symlink",
};

/** Anything with a path: files, directories, devices. */
export function regularFile(entry: RegFileEntry, image: string): OpenFile {
  const { id, name, flags, pos, mode, ext } = entry;
  // CRIU leaves it out of what is open for appending only.
  const size = given(RegFileEntrySchema, entry, "size");
  const mountId = given(RegFileEntrySchema, entry, "mntId");
  const type = TYPES[mode >> 12] ?? "file";
  return {
    id,
    type,
    name,
    flags,
    ...(mountId === undefined ? {} : { mountId }),
    details: details({
      position: type === "file" && count(pos, image),
      size: type === "file" && size !== undefined && count(size, image),
      external: ext,
    }),
  };
}
