import { read, readSync } from "node:fs";
import { promisify } from "node:util";
import type { Source } from "../model/source.ts";
import { checkRange, cutShort } from "./sources.ts";

/** Below this many bytes a trip through the thread pool costs more than the read itself. */
const AT_ONCE = 256 << 10;

/** After so many bytes read at once, one read in the background: signals and closed pipes get their turn then. */
const TURN = 4 << 20;

const readInBackground = promisify(read);
let sinceTurn = 0;

/** Exactly `length` bytes of an open file from `offset`. Throws a UserError where the file has become shorter. */
export async function readFully(fd: number, offset: number, length: number, into?: Buffer): Promise<Buffer> {
  const bytes = into?.subarray(0, length) ?? Buffer.allocUnsafe(length);
  for (let done = 0; done < length;) {
    const rest = length - done;
    const atOnce = rest <= AT_ONCE && sinceTurn < TURN;
    const count = atOnce
      ? readSync(fd, bytes, done, rest, offset + done)
      : (await readInBackground(fd, bytes, done, rest, offset + done)).bytesRead;
    sinceTurn = atOnce ? sinceTurn + count : 0;
    if (count === 0) throw cutShort(`the file has become shorter: ${offset + done} bytes instead of at least ${offset + length}`);
    done += count;
  }
  return bytes;
}

export function fileSource(fd: number, size: number): Source {
  return {
    size,
    async read(offset, length, into) {
      checkRange(size, offset, length);
      return await readFully(fd, offset, length, into);
    },
  };
}
