import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { Archive } from "../archive/archive.ts";
import { decode } from "./decode.ts";
import { entryBatches, hasImage, imageName, onlyEntry, openImage, type Entry } from "./image.ts";
import { allowance, MAX_TABLE_ITEMS } from "./limits.ts";

/** The messages of an image of small ones, none where there is no such image. Throws a UserError where it is damaged. */
export async function* allEntries<D extends DescMessage>(archive: Archive, file: string, schema: D): AsyncGenerator<MessageShape<D>> {
  if (!hasImage(archive, file)) return;
  const image = await openImage(archive, imageName(file));
  const spend = allowance(MAX_TABLE_ITEMS);
  for await (const batch of entryBatches(image)) {
    for (const { bytes } of batch) {
      spend(image.name, 1, bytes.length);
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

/** The messages of an image where bytes of their own follow each: `length` tells how many, and they are passed over. */
export async function* entriesWithData<D extends DescMessage>(
  archive: Archive,
  file: string,
  schema: D,
  length: (entry: MessageShape<D>) => number,
): AsyncGenerator<MessageShape<D>> {
  if (!hasImage(archive, file)) return;
  const image = await openImage(archive, imageName(file));
  const spend = allowance(MAX_TABLE_ITEMS);
  const decoded: MessageShape<D>[] = [];
  const payload = ({ bytes }: Entry): number => {
    const entry = decode(schema, bytes, image.name);
    spend(image.name, 1, bytes.length);
    decoded.push(entry);
    return length(entry);
  };
  for await (const batch of entryBatches(image, payload)) yield* decoded.splice(0, batch.length);
}
