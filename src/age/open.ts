import { UserError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import type { Source } from "../model/source.ts";
import { headerIn, isAge } from "./header.ts";
import { NONCE, openChunk, payloadKey, plainSize, CHUNK, SEALED_CHUNK } from "./payload.ts";

/** Answers with the file key of a header. Throws a UserError where nobody has it. */
export type Unlock = (header: Buffer, label: string) => Promise<Buffer>;

/** More is read at once where a header is longer. */
const START = 16 << 10;
const LARGEST_HEADER = 1 << 20;
/** Chunks that stay decrypted in memory: an index is read in small steps. */
const KEPT = 64;
/** Chunks that are read and decrypted at once, where much is wanted: 1 MiB. */
const RUN = 16;

/**
 * The plain bytes of an age file that can be read anywhere: each chunk is decrypted when it is asked for, and nothing else. Throws a UserError
 * where the header is damaged or the last chunk is missing; reading does where a chunk was changed.
 */
export async function decryptedSource(source: Source, label: string, unlock: Unlock): Promise<Source> {
  const header = await readHeader(source, label);
  const fileKey = await unlock(header, label);
  const payload = header.length + NONCE;
  if (source.size < payload) throw cutShort(label);
  const nonce = await source.read(header.length, NONCE);
  const key = payloadKey(fileKey, Buffer.from(nonce));
  const size = plainSize(source.size - payload);
  if (size === undefined) throw cutShort(label);
  const last = Math.max(1, Math.ceil(size / CHUNK)) - 1;
  const kept = new Map<number, Buffer>();
  const keep = (index: number, chunk: Buffer): void => {
    kept.set(index, chunk);
    const [oldest] = kept.keys();
    if (kept.size > KEPT && oldest !== undefined) kept.delete(oldest);
  };
  const load = async (from: number, to: number, use: (index: number, chunk: Buffer) => void): Promise<void> => {
    const begin = payload + from * SEALED_CHUNK;
    const sealed = await source.read(begin, Math.min(payload + (to + 1) * SEALED_CHUNK, source.size) - begin);
    for (let index = from; index <= to; index += 1) {
      const at = (index - from) * SEALED_CHUNK;
      const chunk = openChunk(key, index, index === last, sealed.subarray(at, at + SEALED_CHUNK));
      if (chunk === undefined) throw changed(label, index, index === last);
      use(index, chunk);
    }
  };
  // A file that was cut at the end of a chunk has another last one.
  await load(last, last, keep);
  return {
    size,
    async read(offset, length, into) {
      if (!(offset >= 0 && length >= 0 && offset + length <= size)) throw cutShort(label);
      const first = Math.floor(offset / CHUNK);
      const end = Math.floor(Math.max(offset, offset + length - 1) / CHUNK);
      const only = first === end ? kept.get(first) : undefined;
      if (only !== undefined) return only.subarray(offset - first * CHUNK, offset - first * CHUNK + length);
      const bytes = into?.subarray(0, length) ?? Buffer.allocUnsafe(length);
      const put = (index: number, chunk: Buffer): void => {
        const begin = index * CHUNK;
        const from = Math.max(0, offset - begin);
        chunk.copy(bytes, Math.max(0, begin - offset), from, Math.min(chunk.length, offset + length - begin));
        if (end - first < RUN) keep(index, chunk);
      };
      for (let index = first; index <= end;) {
        const here = kept.get(index);
        if (here !== undefined) {
          put(index, here);
          index += 1;
          continue;
        }
        let to = index;
        while (to < end && to - index < RUN - 1 && !kept.has(to + 1)) to += 1;
        await load(index, to, put);
        index = to + 1;
      }
      return bytes;
    },
  };
}

/** The plain bytes of an age file that comes in order. */
export async function* decryptedPieces(input: AsyncIterable<Buffer>, label: string, unlock: Unlock): AsyncGenerator<Buffer, void> {
  let held: Buffer = Buffer.alloc(0);
  let key: Buffer | undefined;
  let index = 0;
  for await (const piece of input) {
    held = held.length === 0 ? piece : Buffer.concat([held, piece]);
    if (key === undefined) {
      const header = headerIn(held);
      if (header === undefined && held.length > LARGEST_HEADER) throw damagedHeader(label);
      if (header === undefined || held.length < header.length + NONCE) continue;
      const nonce = held.subarray(header.length, header.length + NONCE);
      key = payloadKey(await unlock(Buffer.from(header), label), Buffer.from(nonce));
      held = held.subarray(header.length + NONCE);
    }
    let used = 0;
    for (; held.length - used > SEALED_CHUNK; used += SEALED_CHUNK, index += 1) {
      const chunk = openChunk(key, index, false, held.subarray(used, used + SEALED_CHUNK));
      if (chunk === undefined) throw changed(label, index, false);
      yield chunk;
    }
    held = held.subarray(used);
  }
  if (key === undefined) throw damagedHeader(label);
  const rest = openChunk(key, index, true, held);
  if (rest === undefined || (rest.length === 0 && index > 0)) throw changed(label, index, true);
  yield rest;
}

/** Whether the file begins as an age file. */
export async function isAgeSource(source: Source, label: string): Promise<boolean> {
  return source.size >= 8 && isAge(await source.read(0, Math.min(source.size, 40)), label);
}

async function readHeader(source: Source, label: string): Promise<Buffer> {
  for (let length = START; ; length *= 4) {
    const start = await source.read(0, Math.min(length, source.size));
    const header = headerIn(start);
    if (header !== undefined) return Buffer.from(header);
    if (length >= source.size || length > LARGEST_HEADER) throw damagedHeader(label);
  }
}

export function damagedHeader(label: string): UserError {
  return new UserError({ reason: "AgeDamaged", message: say`the header of ${label} is damaged, or not one of age v1` });
}

function changed(label: string, index: number, isLast: boolean): UserError {
  return new UserError({
    reason: "AgeDamaged",
    message: isLast
      ? say`${label} is cut short, or its end was changed`
      : say`${label} was changed: bytes ${index * CHUNK} to ${(index + 1) * CHUNK} cannot be decrypted`,
  });
}

function cutShort(label: string): UserError {
  return new UserError({ reason: "AgeDamaged", message: say`${label} is cut short` });
}
