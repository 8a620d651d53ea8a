import { type DescField, type DescMessage, fromBinary, type MessageShape, ScalarType } from "@bufbuild/protobuf";
import { MAX_ENTRY_ITEMS, MAX_TEXT_BYTES } from "./limits.ts";
import { damaged, excessive } from "./problems.ts";

/** Messages of at most this many bytes cannot grow to anything that matters. */
const HARMLESS = MAX_TEXT_BYTES;

/** The message in `bytes`. Unknown fields are passed over. Throws a UserError that names the image where it is none, or too large a one. */
export function decode<D extends DescMessage>(
  schema: D,
  bytes: Uint8Array,
  image: string,
  options = { readUnknownFields: false },
): MessageShape<D> {
  if (bytes.length > HARMLESS) weigh(schema, bytes, image);
  try {
    return fromBinary(schema, bytes, options);
  } catch (error) {
    throw damaged(image, `an entry is not a valid ${schema.name}`, error);
  }
}

/** Counts what decoding would allocate, without allocating it. */
function weigh(schema: DescMessage, bytes: Uint8Array, image: string): void {
  const fields = new Map<DescMessage, Map<number, DescField>>();
  let items = 0;
  let at = 0;
  const fieldsOf = (message: DescMessage): Map<number, DescField> => {
    let known = fields.get(message);
    if (known === undefined) fields.set(message, (known = new Map(message.fields.map((field) => [field.number, field]))));
    return known;
  };
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; at < bytes.length; scale *= 128) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw damaged(image, "an entry ends in the middle of a number");
  };
  const message = (desc: DescMessage, end: number, depth: number): void => {
    if (depth > 100) throw excessive(image, "an entry nests more than 100 messages");
    const known = fieldsOf(desc);
    while (at < end) {
      const tag = varint();
      const field = known.get(Math.floor(tag / 8));
      const wire = tag % 8;
      // Each allocates something where it is a message or stands in a list.
      if (field?.fieldKind === "list" || field?.fieldKind === "message") items += 1;
      if (wire === 0) varint();
      else if (wire === 1) at += 8;
      else if (wire === 5) at += 4;
      else if (wire === 2) {
        const length = varint();
        if (at + length > end) throw damaged(image, "an entry holds a field that is longer than itself");
        if (field?.message !== undefined) message(field.message, at + length, depth + 1);
        else if (field?.scalar === ScalarType.STRING && length > MAX_TEXT_BYTES) throw excessive(image, `a name of ${length} bytes`);
        else {
          if (field?.fieldKind === "list") items += length;
          at += length;
        }
      } else throw damaged(image, "an entry is not a protobuf message");
      if (items > MAX_ENTRY_ITEMS) throw excessive(image, `an entry of more than ${MAX_ENTRY_ITEMS} parts`);
    }
  };
  message(schema, bytes.length, 0);
}
