import { read, readSync } from "node:fs";
import { promisify } from "node:util";
import type { Source } from "../model/source.ts";
import { checkRange, cutShort } from "./sources.ts";

/** Below this many bytes a trip through the thread pool costs more than the read itself. */
const AT_ONCE = 256 << 10;

const readInBackground = promisify(read);

/** Exactly `length` bytes of an open file from `offset`. Throws a UserError where the file has become shorter. */
export async function readFully(fd: number, offset: number, length: number, into?: Buffer): Promise<Buffer> {
  const bytes = into?.subarray(0, length) ?? Buffer.allocUnsafe(length);
  for (let done = 0; done < length;) {
    const rest = length - done;
    const count =
      rest <= AT_ONCE
        ? readSync(fd, bytes, done, rest, offset + done)
        : (await readInBackground(fd, bytes, done, rest, offset + done)).bytesRead;
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
