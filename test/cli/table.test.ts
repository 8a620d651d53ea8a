import assert from "node:assert/strict";
import { test } from "node:test";
import { verbHelp } from "../../src/cli/help.ts";
import { parseFlags } from "../../src/cli/parse.ts";
import { flagsOf, VERBS } from "../../src/cli/verbs/table.ts";
import { readWords } from "../../src/cli/words.ts";

test("flags of one name take the same in every verb", () => {
  const takes = new Map<string, string>();
  for (const verb of VERBS) {
    for (const flag of flagsOf(verb)) {
      // What may be repeated takes a value like any other.
      const key = `${flag.takes === "values" ? "value" : flag.takes} ${flag.short ?? ""}`;
      assert.equal(takes.get(flag.name) ?? key, key, `--${flag.name} of ${verb.name}`);
      takes.set(flag.name, key);
    }
  }
});

test("no verb has two flags of one name or letter", () => {
  for (const verb of VERBS) {
    const names = flagsOf(verb).flatMap(({ name, short }) => [`--${name}`, ...(short === undefined ? [] : [`-${short}`])]);
    assert.deepEqual(names, [...new Set(names)], verb.name);
  }
});

test("every verb's help shows its usage, its flags and examples that parse", () => {
  for (const verb of VERBS) {
    const help = verbHelp(verb);
    for (const line of verb.usage) assert.ok(help.includes(`kubectl checkpoint ${line}`), `${verb.name}: ${line}`);
    for (const flag of flagsOf(verb)) assert.match(help, new RegExp(`--${flag.name}\\b`), `${verb.name}: --${flag.name}`);
    assert.ok(verb.examples.length > 0, `${verb.name} has examples`);
    for (const { command } of verb.examples) {
      assert.ok(help.includes(command));
      // Of a pipeline, what is ours.
      const stages = command.split(" | ").filter((stage) => stage.includes("kubectl checkpoint"));
      const verbs = stages.map((stage) => {
        const [, ...argv] = shellWords(stage.replace(/^.*kubectl (?=checkpoint)/, ""));
        const words = readWords(argv, VERBS);
        parseFlags(words);
        return words.verb;
      });
      assert.ok(
        verbs.some((used) => used === verb || used.name === "checkpoint"),
        `${command} belongs to ${verb.name}`,
      );
    }
  }
});

test("help fits into 110 columns", () => {
  for (const verb of VERBS) for (const line of verbHelp(verb).split("\n")) assert.ok(line.length <= 110 || line.includes("kubectl"), line);
});

function shellWords(command: string): string[] {
  return [...command.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, single, double, bare]) => single ?? double ?? bare ?? "");
}
