import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { readPlainText } from "../local/plain.ts";
import { list, number, object, string, type Json } from "../model/json.ts";

/** In bytes; a pod's manifest is the largest part of one. */
const LARGEST_RECORD = 16 << 20;

/** FILE.json beside FILE, and beside FILE.age: what was known when it was copied here. Its form: the command-line contract, `copy`. */
export function recordPath(path: string): string {
  return `${path.replace(/\.age$/, "")}.json`;
}

/**
 * Compares an archive with the record beside it: what does not match, a clause each; undefined where there is no record.
 * Of a record of several archives, what it says of the one of this name counts. `hashOf` answers with a file's SHA-256.
 */
export async function recordProblems(path: string, hashOf: (path: string) => Promise<string>): Promise<string[] | undefined> {
  const record = recordPath(path);
  const text = await readPlainText(record, LARGEST_RECORD).catch((error: NodeJS.ErrnoException) => error);
  if (text instanceof Error) return text.code === "ENOENT" ? undefined : [`cannot read its record ${record}: ${text.message}`];
  const copies = copiesIn(text);
  if (copies === undefined) return [`its record ${record} is not JSON`];
  const copy = copies.length === 1 ? copies[0] : copies.find((one) => basename(recordPath(string(one["path"]))) === basename(record));
  if (copy === undefined) return [`the record ${record} does not mention this archive`];
  const file = path.endsWith(".age") ? object(copy["encrypted"]) : copy;
  const bytes = number(file["bytes"]);
  const sha256 = string(file["sha256"]).toLowerCase();
  if (bytes === undefined || !/^[0-9a-f]{64}$/.test(sha256)) return [`the record ${record} has no size and hash to compare with`];
  const { size } = await stat(path);
  if (size !== bytes) return [`it has ${size} bytes; its record says ${bytes}`];
  const actual = await hashOf(path);
  return actual === sha256 ? [] : [`its SHA-256 is ${actual}; its record says ${sha256}`];
}

/** Files with volumes that were copied with the archives of a record, beside it: as they lie there, encrypted ones too. */
export function recordedVolumes(
  record: Json | undefined,
): { readonly name: string; readonly sha256: string; readonly plainSha256: string }[] {
  return list(record?.["items"]).flatMap((item) => {
    const volumes = object(object(item)["volumes"]);
    const name = basename(string(volumes["path"]).replaceAll("\\", "/"));
    const sha256 = string(object(volumes["encrypted"])["sha256"]) || string(volumes["sha256"]);
    return name === "" || !/^[0-9a-f]{64}$/.test(sha256) ? [] : [{ name, sha256, plainSha256: string(volumes["sha256"]) }];
  });
}

/** The record beside an archive; undefined where there is none that can be read. */
export async function readRecord(path: string): Promise<Json | undefined> {
  try {
    return object(JSON.parse(await readPlainText(recordPath(path), LARGEST_RECORD)));
  } catch {
    return undefined;
  }
}

function copiesIn(text: string): Json[] | undefined {
  try {
    return list(object(JSON.parse(text))["items"]).flatMap((item) =>
      object(item)["copy"] === undefined ? [] : [object(object(item)["copy"])],
    );
  } catch {
    return undefined;
  }
}
