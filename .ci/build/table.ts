import type { Plugin } from "rolldown";
import type { FlagShape } from "../../src/commands/shared/flags.ts";
import { OPTIONS, VERBS } from "../../src/cli/table.ts";

/** Puts the table as data in place of src/cli/table.ts: the chunk of a verb is loaded when it runs, and help is rendered already. */
export function tableAsData(): Plugin {
  return {
    name: "table-as-data",
    load: { filter: { id: /[/\\]src[/\\]cli[/\\]table\.ts$/ }, handler: () => ({ code: tableModule(), moduleType: "js" }) },
  };
}

/** JavaScript that exports what src/cli/table.ts exports. A flag that verbs share is there once. */
export function tableModule(): string {
  const shapes = new Map<string, number>();
  const place = (flag: FlagShape): string => {
    const text = JSON.stringify(flag);
    if (!shapes.has(text)) shapes.set(text, shapes.size);
    return `flags[${shapes.get(text)}]`;
  };
  const verbs = VERBS.map(({ flags, load, ...data }) => {
    const fields = Object.entries(data).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
    if (load !== undefined) fields.push(`load: async () => (await import("../commands/${data.name}.ts")).verb`);
    return `{ ${[...fields, `flags: [${flags.map(place).join(", ")}]`].join(", ")} }`;
  });
  return `const flags = [\n${[...shapes.keys()].join(",\n")}\n];\nexport const VERBS = [\n${verbs.join(",\n")}\n];\nexport const OPTIONS = ${JSON.stringify(OPTIONS)};\n`;
}
