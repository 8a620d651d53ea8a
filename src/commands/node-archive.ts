import { archiveName } from "../helper/files.ts";
import { usageError } from "../model/error.ts";
import { nodeArchive, type NodeArchive } from "../model/location.ts";

/** NODE is a node's name: a path with a drive letter or a slash before its colon is none. */
const NODE_ARCHIVE = /^([a-z0-9][-a-z0-9.]*):(.+)$/s;

export function isNodeArchive(word: string): boolean {
  return NODE_ARCHIVE.test(word);
}

/** NODE:ARCHIVE as the command line has it. Throws a usage error. */
export function parseNodeArchive(word: string, checkpointDir: string): NodeArchive {
  const [, node, path] = NODE_ARCHIVE.exec(word) ?? [];
  if (node === undefined || path === undefined)
    throw usageError(`"${word}" is no archive on a node`, "write it NODE:ARCHIVE, as kubectl checkpoint prints it");
  return nodeArchive(node, `${checkpointDir}/${archiveName(path, checkpointDir)}`);
}
