import { shapesOf, type FlagShape } from "../commands/shared/flags.ts";
import type { VerbText } from "../commands/shared/verb.ts";

const WIDTH = 100;

/** Help for one verb, in the order of kubectl's own: what it does, examples, options, usage. */
export function verbHelp(verb: VerbText, all: readonly VerbText[]): string {
  const groups = Map.groupBy(shapesOf(verb.flags), ({ group = "Options" }) => group);
  const isRoot = verb === all[0];
  return [
    verb.description.split("\n\n").map(flowed).join("\n\n"),
    section("Examples", verb.examples.map(({ what, command }) => `# ${what}\n${command}`).join("\n\n")),
    isRoot ? section("Verbs", verbList(all.slice(1))) : "",
    ...[...groups].map(([title, flags]) => section(title, flagList(flags))),
    section("Usage", verb.usage.map((line) => `kubectl checkpoint ${line}`).join("\n")),
    isRoot ? 'Use "kubectl checkpoint VERB --help" for more about a verb.' : "",
  ]
    .filter((part) => part !== "")
    .join("\n\n")
    .concat("\n");
}

function section(title: string, body: string): string {
  return `${title}:\n${body.replaceAll(/^(?=.)/gm, "  ")}`;
}

function verbList(verbs: readonly VerbText[]): string {
  return columns(verbs.map(({ name, summary }) => [name, summary]));
}

function flagList(flags: readonly FlagShape[]): string {
  return columns(
    flags.map((flag) => {
      const short = flag.short === undefined ? "    " : `-${flag.short}, `;
      // "-v" is its own long name.
      const long =
        flag.takes === "optional" ? `--${flag.name}[=${flag.value}]` : `--${flag.name}${flag.takes === "nothing" ? "" : ` ${flag.value}`}`;
      return [`${short}${long}`, flag.help];
    }),
  );
}

/** Two columns; where the first is too long, the second begins on the next line. */
function columns(rows: readonly (readonly [string, string])[]): string {
  const left = Math.min(32, Math.max(...rows.map(([first]) => first.length)));
  return rows
    .map(([first, second]) => {
      const lines = wrap(second, WIDTH - left - 4);
      const head = first.length > left ? [first] : [`${first.padEnd(left)}  ${lines.shift() ?? ""}`];
      return [...head, ...lines.map((line) => `${" ".repeat(left)}  ${line}`)].join("\n");
    })
    .join("\n");
}

/** A paragraph at our width; one with indented lines is a list, and stays as it is. */
function flowed(paragraph: string): string {
  return /^\s/m.test(paragraph) ? paragraph : wrap(paragraph.replaceAll("\n", " "), WIDTH).join("\n");
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + word.length + 1 > width) {
      lines.push(line);
      line = "";
    }
    line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
