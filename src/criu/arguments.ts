import { nameText } from "../model/name.ts";
import { MAX_ARGUMENT_BYTES } from "./limits.ts";
import type { ProcessMemory } from "./memory.ts";
import { readMemory, type Absence } from "./read.ts";
import { excessive } from "./problems.ts";
import type { AddressRange } from "./regions.ts";

/** Words of a process's memory, as nameText writes them; or why they are not in the archive. */
export type Words = { readonly words: readonly string[] } | { readonly absent: Absence };

/**
 * The command line, read as the kernel reads /proc/PID/cmdline: a process that has written over the end of its
 * arguments has made one text of them, which may reach into its environment.
 */
export async function commandLine(memory: ProcessMemory): Promise<Words> {
  const { args, env } = memory.space;
  const bytes = await rangeBytes(memory, args);
  if ("absent" in bytes) return bytes;
  if (bytes.length === 0 || bytes.at(-1) === 0) return { words: split(bytes) };
  const more = env.start === args.end ? await rangeBytes(memory, env) : Buffer.alloc(0);
  const title = "absent" in more ? bytes : Buffer.concat([bytes, more]);
  const end = title.indexOf(0);
  return { words: [nameText(end < 0 ? title : title.subarray(0, end))] };
}

/** The environment that the process was started with, in its order, and that it has changed in place if it did. */
export async function environment(memory: ProcessMemory): Promise<Words> {
  const bytes = await rangeBytes(memory, memory.space.env);
  return "absent" in bytes ? bytes : { words: split(bytes) };
}

async function rangeBytes(memory: ProcessMemory, range: AddressRange): Promise<Buffer | { readonly absent: Absence }> {
  const length = range.end - range.start;
  if (memory.space.mappings === undefined) return { absent: "unknown" };
  if (length <= 0n) return Buffer.alloc(0);
  if (length > MAX_ARGUMENT_BYTES) throw excessive(`checkpoint/mm-${memory.space.pid}.img`, `${length} bytes of arguments or environment`);
  const parts: Buffer[] = [];
  for await (const piece of readMemory(memory, range)) {
    if ("absent" in piece) return { absent: piece.absent };
    parts.push(piece.bytes);
  }
  return Buffer.concat(parts);
}

/** Words end at a zero byte; the zeros after the last one are room that nothing was written to. */
function split(bytes: Buffer): string[] {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  const words: string[] = [];
  for (let at = 0; at < end;) {
    const zero = bytes.indexOf(0, at);
    const next = zero < 0 || zero > end ? end : zero;
    words.push(nameText(bytes.subarray(at, next)));
    at = next + 1;
  }
  return words;
}
