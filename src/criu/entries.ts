import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { Archive } from "../archive/archive.ts";
import { slice } from "../archive/sources.ts";
import type { Source } from "../model/source.ts";
import { decode } from "./decode.ts";
import { entryBatches, hasImage, imageName, onlyEntry, openImage, type Entry } from "./image.ts";

/** The messages of an image of small ones, none where there is no such image. Throws a UserError where it is damaged. */
export async function* allEntries<D extends DescMessage>(archive: Archive, file: string, schema: D): AsyncGenerator<MessageShape<D>> {
  if (!hasImage(archive, file)) return;
  const image = await openImage(archive, imageName(file));
  for await (const batch of entryBatches(image)) {
    for (const { bytes } of batch) {
      archive.budget.keep(image.name, 1, bytes.length);
      yield decode(schema, bytes, image.name);
    }
  }
}

/** The message of an image that has one; undefined where there is no such image. Throws a UserError where it is damaged. */
export async function oneEntry<D extends DescMessage>(archive: Archive, file: string, schema: D): Promise<MessageShape<D> | undefined> {
  if (!hasImage(archive, file)) return undefined;
  const image = await openImage(archive, imageName(file));
  return decode(schema, await onlyEntry(image), image.name);
}

/** A message, and the bytes of its own that follow it. */
export interface EntryWithData<M> {
  readonly entry: M;
  readonly data: Source;
}

/** The messages of an image where bytes of their own follow each: `length` says how many. They are not read. */
export async function* entriesWithData<D extends DescMessage>(
  archive: Archive,
  file: string,
  schema: D,
  length: (entry: MessageShape<D>) => number,
): AsyncGenerator<EntryWithData<MessageShape<D>>> {
  if (!hasImage(archive, file)) return;
  const image = await openImage(archive, imageName(file));
  const decoded: MessageShape<D>[] = [];
  const payload = ({ bytes }: Entry): number => {
    const entry = decode(schema, bytes, image.name);
    archive.budget.keep(image.name, 1, bytes.length);
    decoded.push(entry);
    return length(entry);
  };
  for await (const batch of entryBatches(image, payload)) {
    for (const { end } of batch) {
      const entry = decoded.shift();
      if (entry !== undefined) yield { entry, data: slice(image.source, end, length(entry)) };
    }
  }
}
