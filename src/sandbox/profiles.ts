import type { Archive } from "../archive/archive.ts";
import { oneEntry } from "../criu/entries.ts";
import { CoreEntrySchema } from "../criu/gen/process_pb.ts";
import { imageName, openImage } from "../criu/image.ts";
import { UserError } from "../model/error.ts";
import { say } from "../model/phrase.ts";

/** In core-ID.img: the thread's credentials, CoreEntry.thread_core.creds, and in them what a security module is told: lsm_profile, lsm_sockcreate. */
const CREDENTIALS = [5, 10];
const PROFILES = new Set([15, 16]);
/** What CRIU writes of a thread is a few KiB; in bytes. */
const LARGEST = 1 << 20;
/** Of inventory.img: lsmtype, of which 0 is none. */
const MODULE = 6;

/**
 * Images without the profiles of AppArmor or SELinux, by file name: a node with another security module restores nothing that has one, and
 * one with the same has no such profile in a sandbox. Fields are left out as they lie there, all others stay byte by byte.
 */
export async function withoutProfiles(archive: Archive): Promise<Map<string, Buffer>> {
  const images = new Map<string, Buffer>();
  for (const name of archive.members.keys()) {
    const file = /^checkpoint\/(core-\d+\.img|inventory\.img)$/.exec(name)?.[1];
    if (file === undefined) continue;
    const { source, start } = await openImage(archive, imageName(file));
    if (source.size > LARGEST) throw damaged(file);
    const image = await source.read(0, source.size);
    const length = image.length < start + 4 ? -1 : image.readUInt32LE(start);
    if (length < 0 || start + 4 + length > image.length) throw damaged(file);
    const message = image.subarray(start + 4, start + 4 + length);
    const isInventory = file === "inventory.img";
    const kept = without(message, isInventory ? [] : CREDENTIALS, isInventory ? new Set([MODULE]) : PROFILES, file);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(kept.length);
    images.set(file, Buffer.concat([image.subarray(0, start), size, kept, image.subarray(start + 4 + length)]));
  }
  return images;
}

/** The profiles or labels that processes had. Throws a UserError where an image is damaged. */
export async function profilesOf(archive: Archive): Promise<string[]> {
  const profiles = new Set<string>();
  for (const name of archive.members.keys()) {
    const file = /^checkpoint\/(core-\d+\.img)$/.exec(name)?.[1];
    const core = file === undefined ? undefined : await oneEntry(archive, file, CoreEntrySchema);
    const profile = core?.threadCore?.creds?.lsmProfile ?? "";
    if (profile !== "") profiles.add(profile);
  }
  return [...profiles];
}

/** A message of Protocol Buffers without some fields of the message at a path of fields. */
function without(message: Buffer, [field, ...path]: readonly number[], dropped: ReadonlySet<number>, file: string): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < message.length;) {
    const [key, afterKey] = varint(message, at, file);
    const [type, number] = [key % 8, Math.floor(key / 8)];
    let [content, end] = [afterKey, afterKey];
    if (type === 0) [, end] = varint(message, afterKey, file);
    else if (type === 1) end += 8;
    else if (type === 5) end += 4;
    else if (type === 2) {
      const [length, start] = varint(message, afterKey, file);
      [content, end] = [start, start + length];
    } else throw damaged(file);
    if (end > message.length) throw damaged(file);
    if (field !== undefined && number === field && type === 2) {
      const inner = without(message.subarray(content, end), path, dropped, file);
      pieces.push(message.subarray(at, afterKey), lengthOf(inner), inner);
    } else if (field !== undefined || !dropped.has(number)) pieces.push(message.subarray(at, end));
    at = end;
  }
  return Buffer.concat(pieces);
}

/** Its value, as a number, and where it ends. */
function varint(bytes: Buffer, at: number, file: string): [value: number, end: number] {
  let value = 0;
  for (let index = 0; index < 10; index += 1) {
    const byte = bytes[at + index];
    if (byte === undefined) break;
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return [value, at + index + 1];
  }
  throw damaged(file);
}

function lengthOf({ length }: Buffer): Buffer {
  const bytes: number[] = [];
  for (let rest = length; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 0x80);
  }
}

function damaged(file: string): UserError {
  return new UserError({ reason: "ArchiveDamaged", message: say`checkpoint/${file} is damaged: it is not as CRIU writes it` });
}
