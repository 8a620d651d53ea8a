import { once } from "node:events";
import { createGunzip, createZstdDecompress } from "node:zlib";
import type { Codec } from "../helper/directory.ts";
import type { Sink } from "../helper/transport.ts";
import { LzopDecoder } from "./lzop.ts";
import { Malformed } from "./malformed.ts";

/** Turns what travelled into plain bytes. */
export interface Decoder {
  readonly sink: Sink;
  /** After the last byte: settles when the last plain one is out. Rejects where the encoded stream was not whole. */
  end(): Promise<void>;
  /** Lets go of it, whether it has come to its end or not. */
  stop(): void;
}

/** Hands plain bytes to `plain`, only there until it returns, and holds the sender back while that is busy. Rejects with Malformed. */
export function decoder(codec: Codec, plain: Sink): Decoder {
  return DECODERS[codec](plain);
}

const CHUNK_BYTES = 256 * 1024;
const CHUNK = { chunkSize: CHUNK_BYTES };

const DECODERS: Readonly<Record<Codec, (plain: Sink) => Decoder>> = {
  none: (plain) => ({ sink: plain, end: async () => undefined, stop: () => undefined }),
  lzop,
  gzip: (plain) => zlib(createGunzip(CHUNK), plain),
  zstd: (plain) => zlib(createZstdDecompress(CHUNK), plain),
};

function lzop(plain: Sink): Decoder {
  let busy: Promise<void> | undefined;
  const decode = new LzopDecoder((bytes) => {
    busy = plain(bytes) ?? busy;
  });
  return {
    sink: (piece) => {
      busy = undefined;
      decode.feed(piece);
      return busy;
    },
    end: async () => decode.end(),
    stop: () => undefined,
  };
}

function zlib(stream: ReturnType<typeof createGunzip> | ReturnType<typeof createZstdDecompress>, plain: Sink): Decoder {
  const drained = (async () => {
    const decoded = stream[Symbol.asyncIterator]();
    for (;;) {
      const next = await decoded.next().catch((error: Error) => Promise.reject(new Malformed(error.message, { cause: error })));
      if (next.done === true) return;
      await plain(next.value as Buffer);
      release(next.value as Buffer);
    }
  })();
  // It is awaited in end(); until then a failure shows in the next write.
  drained.catch(() => undefined);
  return {
    sink: (piece) => {
      if (stream.destroyed) return drained.then(() => Promise.reject(new Malformed("the encoded stream goes on after its end")));
      return stream.write(Buffer.from(piece)) ? undefined : Promise.race([once(stream, "drain"), drained]).then(() => undefined);
    },
    end: async () => {
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
