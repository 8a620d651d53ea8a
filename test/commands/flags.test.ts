// The flags of a verb have types: what a verb gets of them is what their parsers answer.
import assert from "node:assert/strict";
import { test } from "node:test";
import { choice, count, duration, group, list, on, optional, parsed, shapesOf, text, valuesOf } from "../../src/commands/shared/flags.ts";

const FLAGS = {
  container: list({ short: "c", value: "NAME", help: "" }),
  all: on("", "A"),
  name: text({ value: "NAME", help: "" }),
  copy: optional({ value: "DEST", help: "" }),
  color: choice(["auto", "never"], { help: "" }),
  timeout: duration(""),
  keep: count({ value: "N", least: 0, help: "" }),
  port: parsed(Number, { value: "PORT", help: "" }),
  ...group("Others", { token: text({ value: "TOKEN", help: "" }) }),
};

test("what is not given: no, nothing, an empty list", () => {
  const nothing = {
    name: undefined,
    copy: undefined,
    color: undefined,
    timeout: undefined,
    keep: undefined,
    port: undefined,
    token: undefined,
  };
  assert.deepEqual(valuesOf(FLAGS, new Map()), { container: [], all: false, ...nothing });
});

test("what is given has the type of its flag", () => {
  const given = new Map<string, string | boolean | string[]>([
    ["container", ["a", "b"]],
    ["all", true],
    ["copy", ""],
    ["color", "never"],
    ["timeout", "1m30s"],
    ["keep", "0"],
    ["port", "80"],
  ]);
  const values = valuesOf(FLAGS, given);
  const typed: { container: readonly string[]; all: boolean; color: "auto" | "never" | undefined; timeout: number | undefined } = values;
  assert.deepEqual(typed.container, ["a", "b"]);
  assert.deepEqual([values.all, values.copy, values.color, values.timeout, values.keep, values.port], [true, "", "never", 90_000, 0, 80]);
  // @ts-expect-error -- a name that no flag has does not compile
  assert.equal(values.contaner, undefined);
});

test("a value that is wrong is a usage error that names the flag", () => {
  const wrong: readonly (readonly [string, string])[] = [
    ["timeout", "5"],
    ["keep", "-1"],
    ["color", "red"],
  ];
  for (const [name, value] of wrong)
    assert.throws(
      () => valuesOf(FLAGS, new Map([[name, value]])),
      { exitCode: 2, message: new RegExp(`^invalid value ".*" for --${name}: `) },
      name,
    );
});

test("the shape of a flag is data: its name, its group, no code", () => {
  const shapes = shapesOf(FLAGS);
  assert.deepEqual(structuredClone(shapes), shapes);
  assert.deepEqual(shapes[0], { name: "container", short: "c", value: "NAME", help: "", takes: "values" });
  assert.equal(shapes.at(-1)?.group, "Others");
});
