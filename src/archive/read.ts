import { UserError } from "../model/error.ts";
import { object, type Json } from "../model/json.ts";
import type { Archive } from "./archive.ts";

/** No JSON file of an engine is larger, in bytes. */
const LARGEST_JSON = 16 << 20;

/** A whole member. Throws a UserError where it is absent, cannot be read, or has more than `most` bytes. */
export async function readMember(archive: Archive, name: string, most: number): Promise<Buffer> {
  const source = archive.open(name);
  if (source.size > most) {
    throw new UserError({ reason: "TooLarge", message: `${name} has ${source.size} bytes, which is absurd: the most expected is ${most}` });
  }
  return await source.read(0, source.size);
}

/** A member that holds JSON; undefined where there is none of that name. Throws a UserError where it cannot be read or is no JSON. */
export async function readJson(archive: Archive, name: string): Promise<unknown> {
  if (!archive.members.has(name)) return undefined;
  const text = (await readMember(archive, name, LARGEST_JSON)).toString("utf8");
  try {
    return JSON.parse(text);
  } catch (error) {
    // The parser's own message quotes the file, which may hold secrets.
    throw new UserError({ reason: "ArchiveDamaged", message: `${name} is not JSON`, cause: error });
  }
}

/** The same where an object is expected; what is something else, or absent, counts as one without fields. */
export async function readObject(archive: Archive, name: string): Promise<Json> {
  return object(await readJson(archive, name));
}
