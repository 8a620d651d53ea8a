// Is in the executable, in place of what @bufbuild/protobuf makes descriptors with: what its encoding and decoding reads of them.
import type { DescField, DescMessage, ScalarType } from "@bufbuild/protobuf";

/** Its number, name, scalar type or message, presence; whether it is a list: 0 none, 1 one, 2 a packed one. */
export type FieldData = readonly [number: number, name: string, type: ScalarType | (() => DescMessage), presence: number, list: 0 | 1 | 2];

const EDITION_2023 = 1000;

/** Its fields are made when they are first asked for: messages nest themselves. */
export function message(typeName: string, data: () => readonly FieldData[]): DescMessage {
  const parts = {
    kind: "message",
    typeName,
    name: typeName.slice(typeName.lastIndexOf(".") + 1),
    file: { edition: EDITION_2023 },
    oneofs: [],
    get fields(): DescField[] {
      const fields = data().map((field) => fieldOf(field, this as unknown as DescMessage));
      Object.defineProperty(this, "fields", { value: fields });
      return fields;
    },
    get members(): DescField[] {
      return this.fields;
    },
    get field(): Record<string, DescField> {
      const field = Object.fromEntries(this.fields.map((one) => [one.localName, one]));
      Object.defineProperty(this, "field", { value: field });
      return field;
    },
    toString: () => `message ${typeName}`,
  };
  return parts as unknown as DescMessage;
}

function fieldOf([number, name, type, presence, list]: FieldData, parent: DescMessage): DescField {
  const kind = typeof type === "function" ? "message" : "scalar";
  const parts = {
    kind: "field",
    fieldKind: list === 0 ? kind : "list",
    ...(list === 0 ? {} : { listKind: kind, packed: list === 2 }),
    number,
    name,
    localName: name,
    presence,
    message: typeof type === "function" ? type() : undefined,
    scalar: typeof type === "function" ? undefined : type,
    oneof: undefined,
    utf8Validation: false,
    longAsString: false,
    delimitedEncoding: false,
    parent,
    getDefaultValue: () => undefined,
    toString: () => `field ${parent.typeName}.${name}`,
  };
  return parts as unknown as DescField;
}
