import { UserError } from "../../model/error.ts";
import type { BlobSink } from "../layer.ts";
import { one, pause, type Registry } from "./client.ts";
import { RegistryCut } from "./failure.ts";
import { cancelUpload, hasBlob } from "./blobs.ts";

/**
 * What is sent in one PATCH, in bytes, and held in memory twice: one piece on its way, one filling. A cut between two pieces
 * costs nothing; one in the middle of a piece costs the upload, with most registries.
 */
export const PIECE = 32 << 20;
/** What is given to the socket at once. */
const SLICE = 256 << 10;
/** With pauses that double, for a registry that is away for most of a minute. */
const ATTEMPTS = 8;

/** The registry knows nothing of the upload any more: only starting again helps. */
export class UploadLost extends UserError {}

export interface Upload extends BlobSink {
  /** Sends what is left, and makes a blob of it all. */
  finish(digest: string): Promise<void>;
  /** Lets the registry forget what it has of it. */
  cancel(): Promise<void>;
}

export interface UploadOptions {
  /** Where POST said that it goes on. */
  readonly location: string;
  readonly sent: (bytes: number) => void;
  readonly signal: AbortSignal;
  readonly pieceBytes?: number;
}

/** An upload that has begun: pieces go out while the next one is filled. */
export function upload(registry: Registry, options: UploadOptions): Upload {
  const { sent, signal, pieceBytes = PIECE } = options;
  let { location } = options;
  /** What the registry has said that it has. */
  let stored = 0;
  let filling: Buffer = Buffer.allocUnsafe(pieceBytes);
  let spare: Buffer | undefined;
  let filled = 0;
  let sending: Promise<void> = Promise.resolve();

  const patch = async (piece: Buffer, from: number): Promise<void> => {
    const first = stored;
    const answer = await registry.request({
      method: "PATCH",
      url: location,
      headers: {
        "content-type": "application/octet-stream",
        "content-length": String(piece.length - from),
        "content-range": `${first}-${first + piece.length - from - 1}`,
      },
      body: () => slices(piece.subarray(from), (bytes) => sent(first + bytes)),
      doing: "push the layer",
      expected: [404, 416],
    });
    if (answer.status >= 400) throw lost(`it answered ${answer.status} to the next piece`);
    location = one(answer.headers["location"]) ?? location;
    stored = first + piece.length - from;
  };

  /** How much of a piece that begins at `begin` has arrived, after a cut. Throws UploadLost. */
  const arrived = async (begin: number, length: number): Promise<number> => {
    const answer = await registry.request({
      method: "GET",
      url: location,
      doing: "continue the upload",
      expected: [400, 404],
      persistent: true,
    });
    const [, last] = /^(?:bytes=)?0-(\d+)$/.exec(one(answer.headers["range"]) ?? "") ?? [];
    // "0-0" is what an upload without a byte looks like.
    const size = last === "0" ? 0 : Number(last) + 1;
    if (answer.status >= 400 || !(size >= begin && size <= begin + length)) throw lost("the registry has discarded the part that it had");
    location = one(answer.headers["location"]) ?? location;
    stored = size;
    return size - begin;
  };

  const send = async (piece: Buffer): Promise<void> => {
    const begin = stored;
    let from = 0;
    for (let attempt = 1; from < piece.length; attempt += 1) {
      try {
        await patch(piece, from);
        return;
      } catch (error) {
        if (!(error instanceof RegistryCut) || attempt === ATTEMPTS) throw error;
        await pause(attempt, signal);
        from = await arrived(begin, piece.length);
      }
    }
  };

  const flush = async (): Promise<void> => {
    const piece = filling.subarray(0, filled);
    await sending;
    [filling, spare] = [spare ?? Buffer.allocUnsafe(pieceBytes), filling];
    filled = 0;
    sending = send(piece);
    // Whoever waits for it hears of it.
    sending.catch(() => undefined);
  };

  return {
    async write(bytes) {
      for (let done = 0; done < bytes.length;) {
        const count = bytes.copy(filling, filled, done, done + pieceBytes - filled);
        done += count;
        filled += count;
        if (filled === pieceBytes) await flush();
      }
    },
    async finish(digest) {
      if (filled > 0) await flush();
      await sending;
      await commit(registry, location, digest, signal);
    },
    async cancel() {
      await sending.catch(() => undefined);
      await cancelUpload(registry, location);
    },
  };
}

/** Where the answer to the PUT is lost, or says that the registry is not well, the blob may be there nevertheless. */
async function commit(registry: Registry, location: string, digest: string, signal: AbortSignal): Promise<void> {
  const url = `${location}${location.includes("?") ? "&" : "?"}digest=${encodeURIComponent(digest)}`;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const answer = await registry.request({
        method: "PUT",
        url,
        headers: { "content-length": "0" },
        doing: "push the layer",
        expected: [404, 416],
      });
      if (answer.status < 400) return;
      // A PUT before this one may have made the blob of it, and its answer was lost.
      if (attempt > 1 && (await hasBlob(registry, digest))) return;
      throw lost(`it answered ${answer.status} at the end`);
    } catch (error) {
      if (!(error instanceof RegistryCut)) throw error;
      if (await hasBlob(registry, digest)) return;
      if (attempt === ATTEMPTS) throw lost("the connection was lost at its end");
      await pause(attempt, signal);
    }
  }
}

async function* slices(bytes: Buffer, sent: (bytes: number) => void): AsyncGenerator<Buffer, void> {
  for (let at = 0; at < bytes.length; at += SLICE) {
    yield bytes.subarray(at, at + SLICE);
    sent(Math.min(at + SLICE, bytes.length));
  }
}

function lost(why: string): UploadLost {
  return new UploadLost({ reason: "UploadLost", message: "the upload of the layer was lost", why, fix: "try again" });
}
