import { coreHeader, coreLayout, MACHINES, pageAfter, segmentHeader } from "../elf/core-file.ts";
import type { Source } from "../model/source.ts";
import type { SegmentTable } from "./table.ts";

/** What a core is made of. */
export interface CoreContent {
  readonly architecture: keyof typeof MACHINES;
  readonly pageSize: number;
  /** Gone through twice, and the same each time. */
  readonly notes: () => AsyncIterable<Buffer>;
  readonly segments: SegmentTable;
}

/** An ELF core, as long as it will be. */
export interface Core {
  readonly bytes: number;
  /** Each piece may be used until the next is asked for. */
  readonly pieces: () => AsyncGenerator<Buffer, void>;
}

/** Bytes read at once, and of program headers gathered before they are handed on. */
const CHUNK = 1 << 20;
const HEADERS_AT_ONCE = 1000;

/** Goes through the notes once to find where everything lies; none of its bytes is kept. */
export async function coreOf(content: CoreContent): Promise<Core> {
  const { pageSize, segments } = content;
  let notesBytes = 0;
  for await (const note of content.notes()) notesBytes += note.length;
  let dataBytes = 0;
  for (const { fileBytes } of segments.segments()) dataBytes += pageAfter(Number(fileBytes), pageSize);
  const layout = coreLayout(segments.count, notesBytes, pageSize);
  return {
    bytes: layout.dataOffset + dataBytes,
    async *pieces() {
      yield coreHeader(layout, MACHINES[content.architecture]);
      let offset = layout.dataOffset;
      let headers: Buffer[] = [];
      for (const segment of segments.segments()) {
        headers.push(segmentHeader(segment, offset, pageSize));
        offset += pageAfter(Number(segment.fileBytes), pageSize);
        if (headers.length < HEADERS_AT_ONCE) continue;
        yield Buffer.concat(headers);
        headers = [];
      }
      yield Buffer.concat(headers);
      yield* content.notes();
      yield Buffer.alloc(layout.dataOffset - layout.notesOffset - notesBytes);
      yield* dataOf(content);
    },
  };
}

/** Bytes to be read, or how many zeros. */
type Request = { readonly source: Source; readonly offset: number; readonly length: number } | number;

/** The next piece is read while the last one is used. */
async function* dataOf(content: CoreContent): AsyncGenerator<Buffer, void> {
  let buffers = [Buffer.allocUnsafe(CHUNK), Buffer.allocUnsafe(CHUNK)] as const;
  let pending: Promise<Buffer> | undefined;
  try {
    for (const request of requestsOf(content)) {
      const bytes = await pending;
      pending =
        typeof request === "number"
          ? Promise.resolve(Buffer.alloc(request))
          : request.source.read(request.offset, request.length, buffers[0]);
      // Where nobody waits for it any more, what went wrong matters to nobody.
      pending.catch(() => undefined);
      buffers = [buffers[1], buffers[0]];
      if (bytes !== undefined) yield bytes;
    }
    const last = await pending;
    pending = undefined;
    if (last !== undefined) yield last;
  } finally {
    // The buffer belongs to who reads into it until then.
    await pending?.catch(() => undefined);
  }
}

/** Pages that lie one after the other in their file are read at once, also where they are of several segments. */
function* requestsOf({ segments, pageSize }: CoreContent): Generator<Request> {
  let run: { source: Source; offset: number; length: number } | undefined;
  for (const { parts, fileBytes } of segments) {
    for (const { source, offset, length } of parts) {
      if (run !== undefined && run.source === source && run.offset + run.length === offset) run.length += length;
      else {
        if (run !== undefined) yield run;
        run = { source, offset, length };
      }
      for (; run.length >= CHUNK; run = { source: run.source, offset: run.offset + CHUNK, length: run.length - CHUNK })
        yield { source: run.source, offset: run.offset, length: CHUNK };
    }
    const padding = pageAfter(Number(fileBytes), pageSize) - Number(fileBytes);
    if (padding === 0) continue;
    if (run !== undefined && run.length > 0) yield run;
    run = undefined;
    yield padding;
  }
  if (run !== undefined && run.length > 0) yield run;
}
