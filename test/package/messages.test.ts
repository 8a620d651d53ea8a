// The executable has descriptors of CRIU's messages as data: they say what the generated ones say.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { create, fromBinary, ScalarType, toBinary, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import { messagesModule } from "../../.ci/build/messages.ts";

const GENERATED = join(import.meta.dirname, "../../src/criu/gen");

type Schemas = Record<string, DescMessage | { kind: "file" }>;

async function schemas(file: string): Promise<Map<string, DescMessage>> {
  const exported = (await import(pathToFileURL(file).href)) as Schemas;
  return new Map(Object.entries(exported).flatMap(([name, value]) => (value.kind === "message" ? [[name, value]] : [])));
}

/** What decides how a message is encoded and decoded. */
function facts({ typeName, name, fields }: DescMessage) {
  return {
    typeName,
    name,
    fields: fields.map((field) => {
      const { fieldKind, number, localName, presence, scalar, message } = field;
      const list = fieldKind === "list" ? { kind: field.listKind, packed: field.packed } : undefined;
      return { fieldKind, number, localName, presence, scalar, message: message?.typeName, list };
    }),
  };
}

/** A message with something in each field, as deep as that goes. */
function filled(schema: DescMessage, depth = 3): Message {
  const message = create(schema);
  const values = message as unknown as Record<string, unknown>;
  for (const field of schema.fields) {
    const value = field.message === undefined ? scalarValue(field) : depth === 0 ? undefined : filled(field.message, depth - 1);
    if (value !== undefined) values[field.localName] = field.fieldKind === "list" ? [value, value] : value;
  }
  return message;
}

const WIDE: ReadonlySet<ScalarType | undefined> = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
  ScalarType.SINT64,
]);

function scalarValue({ scalar }: DescField): unknown {
  if (scalar === ScalarType.STRING) return "text";
  if (scalar === ScalarType.BYTES) return Uint8Array.of(1, 2, 3);
  if (scalar === ScalarType.BOOL) return true;
  return WIDE.has(scalar) ? 300n : 300;
}

test("each message has the fields of the generated one, and encodes and decodes as it does", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "messages-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const files = readdirSync(GENERATED);
  for (const file of files) writeFileSync(join(folder, file), await messagesModule(join(GENERATED, file)));
  for (const file of files) {
    const [generated, data] = [await schemas(join(GENERATED, file)), await schemas(join(folder, file))];
    assert.deepEqual([...data.keys()], [...generated.keys()], file);
    for (const [name, schema] of generated) {
      const other = data.get(name) ?? assert.fail(name);
      assert.deepEqual(facts(other), facts(schema));
      const message = filled(schema);
      const bytes = toBinary(schema, message);
      assert.deepEqual(toBinary(other, filled(other)), bytes, name);
      assert.deepEqual(fromBinary(other, bytes), fromBinary(schema, bytes), name);
      // What is not set has its default value, or is not there.
      assert.deepEqual(fromBinary(other, new Uint8Array()), fromBinary(schema, new Uint8Array()), name);
    }
  }
});
