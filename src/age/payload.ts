import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";

/** STREAM, as age has it: https://c2sp.org/age#payload */
const ALGORITHM = "chacha20-poly1305";
/** Of plain bytes, all chunks but the last. */
export const CHUNK = 64 << 10;
export const TAG = 16;
/** Of an encrypted chunk. */
export const SEALED_CHUNK = CHUNK + TAG;
/** Between header and chunks. */
export const NONCE = 16;

/** The key of the chunks. */
export function payloadKey(fileKey: Buffer, nonce: Buffer): Buffer {
  return Buffer.from(hkdfSync("sha256", fileKey, nonce, "payload", 32));
}

/** 11 bytes count the chunks, the last byte is 1 for the last of them. */
function chunkNonce(index: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(index, 5, 6);
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

function sealChunk(key: Buffer, index: number, isLast: boolean, plain: Buffer): Buffer[] {
  const cipher = createCipheriv(ALGORITHM, key, chunkNonce(index, isLast), { authTagLength: TAG });
  return [cipher.update(plain), cipher.final(), cipher.getAuthTag()];
}

/** Undefined where the chunk is not the one that was written. */
export function openChunk(key: Buffer, index: number, isLast: boolean, sealed: Buffer): Buffer | undefined {
  if (sealed.length < TAG) return undefined;
  const decipher = createDecipheriv(ALGORITHM, key, chunkNonce(index, isLast), { authTagLength: TAG });
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
  try {
    const plain = decipher.update(sealed.subarray(0, sealed.length - TAG));
    decipher.final();
    return plain;
  } catch {
    return undefined;
  }
}

/** An age file with these bytes, in pieces: header, nonce, chunks. */
export async function* encrypted(
  { bytes, fileKey }: { readonly bytes: Buffer; readonly fileKey: Buffer },
  plain: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void> {
  const nonce = randomBytes(NONCE);
  const key = payloadKey(fileKey, nonce);
  yield Buffer.concat([bytes, nonce]);
  const held = Buffer.alloc(CHUNK);
  let filled = 0;
  let index = 0;
  for await (const piece of plain) {
    let used = 0;
    const sealed: Buffer[] = [];
    while (used < piece.length) {
      // A full chunk is written when more follows: only then it is not the last one.
      if (filled === CHUNK) {
        sealed.push(...sealChunk(key, index, false, held));
        index += 1;
        filled = 0;
      }
      if (filled === 0) {
        for (; piece.length - used > CHUNK; used += CHUNK, index += 1)
          sealed.push(...sealChunk(key, index, false, piece.subarray(used, used + CHUNK)));
      }
      const count = Math.min(CHUNK - filled, piece.length - used);
      piece.copy(held, filled, used, used + count);
      filled += count;
      used += count;
    }
    if (sealed.length > 0) yield Buffer.concat(sealed);
  }
  yield Buffer.concat(sealChunk(key, index, true, held.subarray(0, filled)));
}

/** An age file's size, where its header has so many bytes. */
export function encryptedSize(header: number, plain: number): number {
  return header + NONCE + plain + TAG * Math.max(1, Math.ceil(plain / CHUNK));
}

/** Plain bytes of a payload of so many encrypted ones; undefined where none is so long. */
export function plainSize(payload: number): number | undefined {
  const chunks = Math.ceil(payload / SEALED_CHUNK);
  const last = payload - (chunks - 1) * SEALED_CHUNK;
  return chunks < 1 || last < TAG || (chunks > 1 && last === TAG) ? undefined : payload - chunks * TAG;
}
