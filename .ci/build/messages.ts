import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Plugin } from "rolldown";

const RUNTIME = join(import.meta.dirname, "message.ts");

/**
 * Puts descriptors as data in place of src/criu/gen: what is generated there decodes its descriptors when it is loaded, which takes longer
 * than all else that `show` does. Messages that nothing uses are left out.
 */
export function messagesAsData(): Plugin {
  return {
    name: "messages-as-data",
    load: {
      filter: { id: /[/\\]src[/\\]criu[/\\]gen[/\\]\w+_pb\.ts$/ },
      handler: async (id) => ({ code: await messagesModule(id), moduleType: "js", moduleSideEffects: false }),
    },
  };
}

/** JavaScript that exports the schemas that a generated module exports. Throws where a field is of a kind that CRIU's images do not have. */
export async function messagesModule(file: string): Promise<string> {
  const exported = Object.entries((await import(pathToFileURL(file).href)) as Record<string, DescMessage | { kind: "file" }>);
  const messages = exported.flatMap(([name, value]) => (value.kind === "message" ? [{ name, message: value }] : []));
  const imports = new Map<string, string>();
  const schemas = messages.map(({ name, message }) => {
    const fields = message.fields.map((field) => {
      if (field.message !== undefined && field.message.file !== message.file)
        imports.set(schemaName(field.message), field.message.file.name);
      return fieldData(field);
    });
    return `export const ${name} = /*@__PURE__*/ message(${JSON.stringify(message.typeName)}, () => [${fields.join(", ")}]);\n`;
  });
  const from = [...imports].map(([name, module]) => `import { ${name} } from "./${module}_pb.ts";\n`);
  return [`import { message } from ${JSON.stringify(RUNTIME)};\n`, ...from, ...schemas].join("");
}

function schemaName({ name }: DescMessage): string {
  return `${name}Schema`;
}

/** A FieldData of message.ts, as JavaScript. */
function fieldData(field: DescField): string {
  const { fieldKind, number, localName, presence, message, scalar, oneof } = field;
  const isPlain = fieldKind === "scalar" || fieldKind === "message" || fieldKind === "list";
  const isOdd = ODD.some((option) => (field as unknown as Record<string, unknown>)[option] === true);
  if (!isPlain || isOdd || oneof !== undefined || field.enum !== undefined || hasDefault(field)) {
    throw new Error(`.ci/build/message.ts has no fields such as ${localName}`);
  }
  const type = message === undefined ? scalar : `() => ${schemaName(message)}`;
  const list = fieldKind !== "list" ? 0 : field.packed ? 2 : 1;
  return `[${number}, ${JSON.stringify(localName)}, ${type}, ${presence}, ${list}]`;
}

const ODD = ["utf8Validation", "longAsString", "delimitedEncoding"];

function hasDefault(field: DescField): boolean {
  return field.fieldKind === "scalar" && field.getDefaultValue() !== undefined;
}
