import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openArchive } from "../../src/archive/open.ts";
import { readMember } from "../../src/archive/read.ts";
import { tar } from "../archive/tars.ts";

/** A copy of an archive with other members: those that `change` takes away, adds or replaces. */
export async function altered(path: string, change: (files: Map<string, Buffer>) => void): Promise<string> {
  const files = new Map<string, Buffer>();
  {
    await using archive = await openArchive(path);
    for (const { name, type } of archive.members.values()) {
      if (type === "file") files.set(name, Buffer.from(await readMember(archive, name, 1 << 30)));
    }
  }
  change(files);
  const copy = join(mkdtempSync(join(tmpdir(), "altered-")), "altered.tar");
  writeFileSync(copy, tar(...[...files].map(([name, data]) => ({ name, data }))));
  return copy;
}

/** The same without some of its members. */
export async function without(path: string, ...names: readonly string[]): Promise<string> {
  return await altered(path, (files) => {
    for (const name of names) if (!files.delete(name)) throw new Error(`${path} has no ${name}`);
  });
}
