import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFlags } from "../../src/cli/parse.ts";
import { VERBS } from "../../src/cli/table.ts";
import { readWords } from "../../src/cli/words.ts";

function read(...argv: string[]) {
  const { verb, words, help, flags } = readWords(argv, VERBS);
  return { verb: verb.name, words, help, flags };
}

test("a bare word is a pod, as many as there are", () => {
  assert.deepEqual(read("a", "b").words, ["a", "b"]);
  assert.equal(read("a").verb, "checkpoint");
});

test("the first word may be a verb, wherever the flags stand", () => {
  assert.equal(read("version").verb, "version");
  assert.deepEqual(read("-n", "version", "nginx"), {
    verb: "checkpoint",
    words: ["nginx"],
    help: false,
    flags: [["namespace", "version"]],
  });
  assert.equal(read("-n", "x", "version").verb, "version");
  assert.deepEqual(read("pod/version").words, ["pod/version"]);
  assert.equal(read("nginx", "version").verb, "checkpoint");
});

test("flags are written in all of kubectl's ways", () => {
  for (const form of [["-n", "web"], ["-nweb"], ["-n=web"], ["--namespace", "web"], ["--namespace=web"], ["-qnweb"], ["-qn", "web"]]) {
    assert.deepEqual(
      read(...form).flags.filter(([name]) => name === "namespace"),
      [["namespace", "web"]],
      form.join(" "),
    );
  }
});

test("a flag takes the next word whatever it is, and options end at --", () => {
  assert.deepEqual(read("-c", "-x", "p").flags, [["container", "-x"]]);
  assert.deepEqual(read("-c", "--help", "p"), { verb: "checkpoint", words: ["p"], help: false, flags: [["container", "--help"]] });
  assert.deepEqual(read("--", "--help", "version").words, ["--help", "version"]);
});

test("help is seen anywhere before --", () => {
  for (const argv of [["-h"], ["--help"], ["nginx", "-h"], ["-qh"], ["--help=true"]])
    assert.equal(read(...argv).help, true, argv.join(" "));
  assert.equal(read("--help=false").help, false);
});

test("what is wrong is a usage error that quotes it", () => {
  const cases: [string[], RegExp][] = [
    [["--nope"], /unknown flag: --nope/],
    [["--nope=1"], /unknown flag: --nope/],
    [["-Z"], /unknown shorthand flag: 'Z' in -Z/],
    [["-n"], /flag needs an argument: -n/],
    [["--container"], /flag needs an argument: --container/],
    [["-q=maybe"], /invalid value "maybe" for -q: use true or false/],
  ];
  for (const [argv, message] of cases) assert.throws(() => read(...argv), { reason: "Usage", exitCode: 2, message });
});

test("names stay strings, the last of a flag wins, repeated ones collect", () => {
  const flags = (...argv: string[]): Record<string, unknown> => Object.fromEntries(parseFlags(readWords(argv, VERBS)));
  assert.equal(flags("-n", "1e3")["namespace"], "1e3");
  assert.equal(flags("-n", "a", "-n", "b")["namespace"], "b");
  assert.deepEqual(flags("-c", "a", "nginx", "-c", "1e3")["container"], ["a", "1e3"]);
  assert.equal(flags("--no-input")["no-input"], true);
  assert.equal(flags("--no-input=false")["no-input"], false);
  assert.equal(flags("--token", '"quoted"')["token"], '"quoted"');
  assert.equal(flags("--token", "it's a=b\nc")["token"], "it's a=b\nc");
  assert.equal(flags("--as", "")["as"], "");
  assert.equal(flags("-v6")["v"], "6");
});

test("a value that is none of the choices is refused with the choices", () => {
  assert.throws(() => parseFlags(readWords(["-o", "xml"], VERBS)), {
    exitCode: 2,
    message: 'invalid value "xml" for --output: use one of name, json, yaml',
  });
});

test("a flag of another verb is unknown to this one", () => {
  assert.throws(() => parseFlags(readWords(["version", "--timeout", "1s"], VERBS)), {
    exitCode: 2,
    message: "unknown flag: --timeout (a flag of checkpoint, not of version)",
  });
});
