import { once } from "node:events";
import { createGunzip, createZstdDecompress } from "node:zlib";
import type { Codec } from "../helper/directory.ts";
import { Gather } from "../helper/gather.ts";
import type { Sink } from "../helper/transport.ts";
import { LzopDecoder } from "./lzop.ts";
import { Malformed, type Plain } from "./plain.ts";

/** Turns what travelled into plain bytes. */
export interface Decoder {
  readonly sink: Sink;
  /** After the last byte: settles when the last plain one is out. Rejects where the encoded stream was not whole. */
  end(): Promise<void>;
  /** Lets go of it, whether it has come to its end or not. */
  stop(): void;
}

/** Hands plain bytes on, and holds the sender back while their place is busy. Rejects with Malformed. */
export function decoder(codec: Codec, plain: Plain): Decoder {
  return DECODERS[codec](plain);
}

const CHUNK_BYTES = 1024 * 1024;
/** As much as comes while a chunk is decoded. Smaller ones cost a system call more often. */
const CHUNK = { chunkSize: CHUNK_BYTES, highWaterMark: CHUNK_BYTES };

const DECODERS: Readonly<Record<Codec, (plain: Plain) => Decoder>> = {
  none: (plain) => ({ sink: (piece) => plain.write(piece), end: async () => undefined, stop: () => undefined }),
  lzop,
  gzip: (plain) => zlib(createGunzip(CHUNK), plain),
  zstd: (plain) => zlib(createZstdDecompress(CHUNK), plain),
};

function lzop(plain: Plain): Decoder {
  const decode = new LzopDecoder(plain);
  return { sink: (piece) => decode.feed(piece), end: async () => decode.end(), stop: () => undefined };
}

function zlib(stream: ReturnType<typeof createGunzip> | ReturnType<typeof createZstdDecompress>, plain: Plain): Decoder {
  const drained = (async () => {
    const decoded = stream[Symbol.asyncIterator]();
    for (;;) {
      const next = await decoded.next().catch((error: Error) => Promise.reject(new Malformed(error.message, { cause: error })));
      if (next.done === true) return;
      const piece = next.value as Buffer;
      await plain.take(piece, () => release(piece));
    }
  })();
  // It is awaited in end(); until then a failure shows in the next write.
  drained.catch(() => undefined);
  // A call into zlib costs as much for the few bytes of a frame as for many.
  const gather = new Gather((bytes) => stream.destroyed || stream.write(bytes));
  return {
    sink: (piece) => {
      if (stream.destroyed) return drained.then(() => Promise.reject(new Malformed("the encoded stream goes on after its end")));
      gather.add(piece);
      return stream.writableNeedDrain ? Promise.race([once(stream, "drain"), drained]).then(() => undefined) : undefined;
    },
    end: async () => {
      gather.flush();
      stream.end();
      await drained;
    },
    stop: () => void stream.destroy(),
  };
}

/**
 * Frees what zlib allocated for a chunk at once: left to the garbage collector, it would run for every few of them. zlib goes on to write
 * into a buffer until it is full.
 */
function release({ buffer, byteOffset, length }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === CHUNK_BYTES && byteOffset + length === CHUNK_BYTES) buffer.transfer(0);
}
