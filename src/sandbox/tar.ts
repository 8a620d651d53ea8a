import { Header } from "tar";

const BLOCK = 512;

/** Files by their path, as a tar archive. */
export function tarOf(files: ReadonlyMap<string, Buffer>): Buffer {
  const pieces: Buffer[] = [];
  const folders = new Set<string>();
  const add = (path: string, type: "File" | "Directory", content: Buffer): void => {
    const header = Buffer.alloc(BLOCK);
    const mode = type === "File" ? 0o600 : 0o755;
    new Header({ path, size: content.length, mode, type, mtime: new Date(0), uid: 0, gid: 0 }).encode(header);
    pieces.push(header, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK));
  };
  for (const [path, content] of files) {
    const [, folder] = /^(.+)\/[^/]+$/.exec(path) ?? [];
    if (folder !== undefined && !folders.has(folder)) add(`${folder}/`, "Directory", Buffer.alloc(0));
    if (folder !== undefined) folders.add(folder);
    add(path, "File", content);
  }
  return Buffer.concat([...pieces, Buffer.alloc(2 * BLOCK)]);
}
