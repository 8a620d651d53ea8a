import { shapesOf, type FlagShape } from "../commands/shared/flags.ts";
import type { VerbText } from "../commands/shared/verb.ts";

const WIDTH = 100;

/** Help for one verb: usage, what it does, its own flags, examples, and where the flags are that it shares with others. */
export function verbHelp(verb: VerbText, all: readonly VerbText[]): string {
  const shapes = shapesOf(verb.flags);
  const own = shapes.filter(({ group }) => group === undefined);
  const isRoot = verb === all[0];
  return [
    section("Usage", verb.usage.map((line) => `kubectl checkpoint ${line}`).join("\n")),
    verb.description.split("\n\n").map(flowed).join("\n\n"),
    isRoot ? section("Verbs", columns(all.slice(1).map(({ name, summary }) => [name, summary]))) : "",
    own.length === 0 ? "" : section("Options", flagList(own)),
    section("Examples", verb.examples.map(({ what, command }) => `# ${what}\n${command}`).join("\n")),
    [
      ...(isRoot ? ['Use "kubectl checkpoint VERB --help" for more about a verb.'] : []),
      `Use "kubectl checkpoint options" for its ${listed(groupsOf(shapes).map((group) => group.toLowerCase()))} options.`,
    ].join("\n"),
  ]
    .filter((part) => part !== "")
    .join("\n\n")
    .concat("\n");
}

/** What `options` prints: the flags that verbs share, by group, with the verbs that take them; and those of a flag, where they are fewer. */
export function optionsText(all: readonly VerbText[]): string {
  const shapes = all.flatMap(({ flags }) => shapesOf(flags));
  const sections = groupsOf(shapes).map((group) => {
    const having = (is: (flag: FlagShape) => boolean): string[] =>
      all.filter(({ flags }) => shapesOf(flags).some((flag) => flag.group === group && is(flag))).map(({ name }) => name);
    const users = having(() => true);
    const flags = new Map(shapes.filter((flag) => flag.group === group).map((flag) => [flag.name, flag]));
    const takers = users.length === all.length ? "of every verb" : `of ${users.join(", ")}`;
    const lines = [...flags.values()].map((flag) => {
      const own = having(({ name }) => name === flag.name);
      return own.length === users.length ? flag : { ...flag, help: `${flag.help} (only of ${own.join(", ")})` };
    });
    return section(`${group} options, ${takers}`, flagList(lines));
  });
  return sections.join("\n\n").concat("\n");
}

/** In the order of first use. */
function groupsOf(shapes: readonly FlagShape[]): string[] {
  return [...new Set(shapes.flatMap(({ group }) => group ?? []))];
}

/** "cluster, helper pod and common". */
function listed(words: readonly string[]): string {
  return [words.slice(0, -1).join(", "), words.at(-1) ?? ""].filter((part) => part !== "").join(" and ");
}

function section(title: string, body: string): string {
  return `${title}:\n${body.replaceAll(/^(?=.)/gm, "  ")}`;
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
