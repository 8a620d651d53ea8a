import { configureTextEncoding, getTextEncoding } from "@bufbuild/protobuf/wire";
import { type DescField, type DescMessage, fromBinary, isFieldSet, type MessageShape, ScalarType } from "@bufbuild/protobuf";
import { nameText } from "../model/name.ts";
import { MAX_ENTRY_ITEMS, MAX_TEXT_BYTES } from "./limits.ts";
import { damaged, excessive } from "./problems.ts";

// CRIU keeps names as they are on disk, in fields that the format calls strings. The library makes of each byte a character, as it does
// of short ASCII anyway; decode() writes them as nameText does, so that no two look alike.
configureTextEncoding({ ...getTextEncoding(), decodeUtf8: (bytes) => Buffer.from(bytes).toString("latin1") });

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
    const message = fromBinary(schema, bytes, options);
    writeNames(message, namesIn(schema));
    return message;
  } catch (error) {
    throw damaged(image, `an entry is not a valid ${schema.name}`, error);
  }
}

/** The fields of a message that are names, or have names in them. */
interface Names {
  readonly names: readonly string[];
  readonly messages: readonly (readonly [field: string, inside: Names])[];
}

const NONE: Names = { names: [], messages: [] };
const known = new Map<DescMessage, Names>();

function namesIn(schema: DescMessage): Names {
  const found = known.get(schema);
  if (found !== undefined) return found;
  const names: string[] = [];
  const messages: [string, Names][] = [];
  const all: Names = { names, messages };
  // Before its fields: messages nest themselves.
  known.set(schema, all);
  for (const { localName, scalar, message } of schema.fields as readonly DescField[]) {
    if (scalar === ScalarType.STRING) names.push(localName);
    const inside = message === undefined ? NONE : namesIn(message);
    if (message === schema || inside.names.length + inside.messages.length > 0) messages.push([localName, inside]);
  }
  return all;
}

/** Each string, of which a character stands for a byte, as nameText writes the bytes. */
function writeNames(message: object, { names, messages }: Names): void {
  const fields = message as Record<string, unknown>;
  for (const name of names) {
    const value = fields[name];
    if (typeof value === "string") {
      if (value !== "") fields[name] = nameText(Buffer.from(value, "latin1"));
    } else if (Array.isArray(value)) fields[name] = value.map((text: string) => nameText(Buffer.from(text, "latin1")));
  }
  for (const [name, inside] of messages) {
    const value = fields[name];
    if (Array.isArray(value)) for (const one of value as readonly object[]) writeNames(one, inside);
    else if (typeof value === "object" && value !== null) writeNames(value, inside);
  }
}

/** The value of a field that may be left out; undefined where it is. */
export function given<D extends DescMessage, N extends keyof MessageShape<D> & string>(
  schema: D,
  message: MessageShape<D> | undefined,
  name: N,
): MessageShape<D>[N] | undefined {
  const field = schema.fields.find(({ localName }) => localName === name);
  return message !== undefined && field !== undefined && isFieldSet(message, field) ? message[name] : undefined;
}

/**
 * Reads a message without making anything of it. Throws a UserError where it is not a message of this kind, or decoding it would allocate too
 * much.
 */
export function weigh(schema: DescMessage, bytes: Uint8Array, image: string): void {
  let items = 0;
  const here = { at: 0 };
  const varint = (end: number): number => {
    let value = 0;
    for (let scale = 1; here.at < end; scale *= 128) {
      const byte = bytes[here.at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      if (scale > LONGEST_VARINT) throw damaged(image, "an entry has a number of more than ten bytes");
    }
    throw damaged(image, "an entry ends in the middle of a number");
  };
  const value = (field: DescField | undefined, wire: number, end: number, depth: number): void => {
    // Each allocates something where it is a message or stands in a list.
    if (field?.fieldKind === "list" || field?.fieldKind === "message") items += 1;
    if (field !== undefined && wire !== wireOf(field) && !(wire === LENGTH && isPackable(field)))
      throw damaged(image, `an entry is not a valid ${schema.name}`);
    if (wire === VARINT) varint(end);
    else if (wire === FIXED64 || wire === FIXED32) here.at += wire === FIXED64 ? 8 : 4;
    else if (wire === LENGTH) {
      const length = varint(end);
      if (here.at + length > end) throw damaged(image, "an entry holds a field that is longer than itself");
      if (field?.message !== undefined) message(field.message, here.at + length, depth + 1);
      else if (field?.scalar === ScalarType.STRING && length > MAX_TEXT_BYTES) throw excessive(image, `a name of ${length} bytes`);
      else {
        if (field?.fieldKind === "list") items += length;
        here.at += length;
      }
    } else throw damaged(image, "an entry is not a protobuf message");
    if (here.at > end) throw damaged(image, "an entry ends in the middle of a number");
    if (items > MAX_ENTRY_ITEMS) throw excessive(image, `an entry of more than ${MAX_ENTRY_ITEMS} parts`);
  };
  const message = (desc: DescMessage, end: number, depth: number): void => {
    if (depth > 100) throw excessive(image, "an entry nests more than 100 messages");
    const fields = fieldsOf(desc);
    while (here.at < end) {
      const tag = varint(end);
      if (tag < 8) throw damaged(image, "an entry is not a protobuf message");
      value(fields.get(Math.floor(tag / 8)), tag % 8, end, depth);
    }
  };
  message(schema, bytes.length, 0);
}

/** Kinds of values on the wire: https://protobuf.dev/programming-guides/encoding/#structure */
const [VARINT, FIXED64, LENGTH, FIXED32] = [0, 1, 2, 5];
const LONGEST_VARINT = 128 ** 9;

const FIXED: ReadonlyMap<ScalarType | undefined, number> = new Map([
  [ScalarType.DOUBLE, FIXED64],
  [ScalarType.FIXED64, FIXED64],
  [ScalarType.SFIXED64, FIXED64],
  [ScalarType.FLOAT, FIXED32],
  [ScalarType.FIXED32, FIXED32],
  [ScalarType.SFIXED32, FIXED32],
  [ScalarType.STRING, LENGTH],
  [ScalarType.BYTES, LENGTH],
]);

function wireOf({ message, scalar }: DescField): number {
  return message === undefined ? (FIXED.get(scalar) ?? VARINT) : LENGTH;
}

/** Numbers of a list may come one by one or together, whatever the schema says. */
function isPackable({ fieldKind, message }: DescField): boolean {
  return fieldKind === "list" && message === undefined;
}

const fieldsByNumber = new Map<DescMessage, ReadonlyMap<number, DescField>>();

function fieldsOf(message: DescMessage): ReadonlyMap<number, DescField> {
  let fields = fieldsByNumber.get(message);
  if (fields === undefined) fieldsByNumber.set(message, (fields = new Map(message.fields.map((field) => [field.number, field]))));
  return fields;
}
