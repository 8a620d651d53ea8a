import type { Compression } from "./compression.ts";
import { expand } from "./expand.ts";
import { ForwardSource } from "./forward.ts";
import type { Budget } from "./budget.ts";
import type { Close, OpenArchive, OpenOptions } from "./open.ts";
import { indexTar } from "./tar/index.ts";
import { TemporaryBytes } from "./temporary.ts";
import { trailingBytes } from "./trailing.ts";

/** Bytes that come in order. */
export interface Coming {
  readonly input: AsyncIterable<Buffer>;
  readonly compression: Compression;
  /** How many they are before they are expanded; undefined for a pipe. */
  readonly bytes: number | undefined;
  /** What they are called in errors. */
  readonly label: string;
  readonly close: Close;
  /** Not part of another archive. */
  readonly outermost: boolean;
}

/** Opens an archive of which the bytes come in order: compressed, or through a pipe. */
export async function openForward(
  { input, compression, bytes, label, close, outermost }: Coming,
  { keep, signal, budget }: OpenOptions & { readonly budget: Budget },
): Promise<OpenArchive> {
  const store = keep === undefined ? new TemporaryBytes(label) : undefined;
  const source = new ForwardSource(counted(expand(input, compression, label, signal), budget, outermost), store);
  const closeAll: Close = async () => {
    await source.close();
    await store?.[Symbol.asyncDispose]();
    await close();
  };
  try {
    const index = await indexTar(source, { label, budget, ...(keep === undefined ? {} : { keep }) });
    return {
      ...index,
      compression,
      bytes,
      async trailingBytes() {
        await source.drain();
        return store === undefined ? 0 : await trailingBytes(source, index.end);
      },
      [Symbol.asyncDispose]: closeAll,
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function* counted(pieces: AsyncIterable<Buffer>, budget: Budget, outermost: boolean): AsyncGenerator<Buffer, void> {
  for await (const piece of pieces) {
    if (outermost) budget.opened(piece.length);
    budget.decode(piece.length);
    yield piece;
  }
}
