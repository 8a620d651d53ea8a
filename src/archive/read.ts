import { UserError } from "../model/error.ts";
import { object, type Json } from "../model/json.ts";
import type { Archive } from "./archive.ts";

/** No JSON file of an engine is larger, in bytes, or has more values. */
const LARGEST_JSON = 2 << 20;
const MOST_VALUES = 200_000;

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
  const bytes = await readMember(archive, name, LARGEST_JSON);
  // Parsed, small values take far more memory than their text.
  if (atMostValues(bytes) > MOST_VALUES) throw new UserError({ reason: "TooLarge", message: `${name} has absurdly many values` });
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    // The parser's own message quotes the file, which may hold secrets.
    throw new UserError({ reason: "ArchiveDamaged", message: `${name} is not JSON`, cause: error });
  }
}

/** How many values JSON text can have: each but the first follows a bracket, a brace or a comma. */
function atMostValues(text: Buffer): number {
  let count = 1;
  for (const byte of text) if (byte === 0x5b || byte === 0x7b || byte === 0x2c) count += 1;
  return count;
}

/** The same where an object is expected; what is something else, or absent, counts as one without fields. */
export async function readObject(archive: Archive, name: string): Promise<Json> {
  return object(await readJson(archive, name));
}
