import assert from "node:assert/strict";
import { test } from "node:test";
import { tableModule } from "../../.ci/build/table.ts";
import { parseFlags } from "../../src/cli/parse.ts";
import { OPTIONS, VERBS } from "../../src/cli/table.ts";
import { VERB_TEXTS } from "../../src/cli/verbs.ts";
import { readWords } from "../../src/cli/words.ts";

test("the built table has the same verbs, help and flags as the sources, and each verb where it is loaded from", async () => {
  const module = tableModule();
  const built = (await import(`data:text/javascript,${encodeURIComponent(module)}`)) as { VERBS: typeof VERBS; OPTIONS: string };
  assert.equal(built.OPTIONS, OPTIONS);
  const data = (verbs: typeof VERBS): unknown => verbs.map(({ load, ...rest }) => ({ ...rest, runs: load !== undefined }));
  assert.deepEqual(data(built.VERBS), data(VERBS));
  for (const { name, load } of VERBS) {
    if (load === undefined) continue;
    const { verb } = (await import(`../../src/commands/${name}.ts`)) as { verb: unknown };
    assert.equal(verb, await load(), name);
    assert.ok(module.includes(`import("../commands/${name}.ts")`), name);
  }
});

test("flags of one name take the same in every verb", () => {
  const takes = new Map<string, string>();
  for (const verb of VERBS) {
    for (const flag of verb.flags) {
      // What may be repeated takes a value like any other.
      const key = `${flag.takes === "values" ? "value" : flag.takes} ${flag.short ?? ""}`;
      assert.equal(takes.get(flag.name) ?? key, key, `--${flag.name} of ${verb.name}`);
      takes.set(flag.name, key);
    }
  }
});

test("no verb has two flags of one name or letter", () => {
  for (const verb of VERBS) {
    const names = verb.flags.flatMap(({ name, short }) => [`--${name}`, ...(short === undefined ? [] : [`-${short}`])]);
    assert.deepEqual(names, [...new Set(names)], verb.name);
  }
});

test("every verb's help shows its usage, its flags and examples that parse", () => {
  for (const [index, verb] of VERBS.entries()) {
    const { help } = verb;
    const { examples } = VERB_TEXTS[index] ?? { examples: [] };
    for (const line of verb.usage) assert.ok(help.includes(`kubectl checkpoint ${line}`), `${verb.name}: ${line}`);
    for (const flag of verb.flags)
      assert.match(flag.group === undefined ? help : OPTIONS, new RegExp(`--${flag.name}\\b`), `${verb.name}: --${flag.name}`);
    assert.ok(help.startsWith(`Usage:\n  kubectl checkpoint ${verb.usage[0] ?? ""}\n`), verb.name);
    assert.match(help, /\nUse "kubectl checkpoint options" for its .* options\.\n$/, verb.name);
    assert.ok(examples.length > 0, `${verb.name} has examples`);
    for (const { command } of examples) {
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

test("no verb's help is longer than 60 lines, the root's than 80", () => {
  for (const [index, { name, help }] of VERBS.entries()) {
    const lines = help.trimEnd().split("\n").length;
    assert.ok(lines <= (index === 0 ? 80 : 60), `${name}: ${lines} lines`);
  }
});

test("options has the flags that verbs share, by group, with the verbs that take them", () => {
  assert.match(OPTIONS, /^Cluster options, of checkpoint, cp, .*:\n {6}--kubeconfig FILE /m);
  assert.match(OPTIONS, /^Registry options, of show, report, inspect, search, diff, extract, verify, image, restore, move:\n/m);
  assert.match(OPTIONS, /^Common options, of every verb:\n/m);
});

test("help fits into 110 columns", () => {
  for (const verb of VERBS) for (const line of verb.help.split("\n")) assert.ok(line.length <= 110 || line.includes("kubectl"), line);
});

function shellWords(command: string): string[] {
  return [...command.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, single, double, bare]) => single ?? double ?? bare ?? "");
}
