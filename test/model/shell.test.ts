// Runs on Linux and macOS only: it asks bash.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { command, plain, say } from "../../src/model/phrase.ts";
import { shellWord } from "../../src/model/shell.ts";

const WORDS = [
  "plain-1.2_3:/@%+=,",
  "",
  "two words",
  "a'b",
  `"double" $HOME \`id\` \\ !`,
  "line\nfix: rm -rf /",
  "tab\tcr\r\u001b[31m",
  "\u202egnp.exe",
  "é漢字",
  "$(touch /tmp/owned)",
  "*?[a]~",
  "#comment",
];

test("a word comes back from bash as it was, and is one line", () => {
  for (const word of WORDS) {
    const quoted = shellWord(word, "linux");
    assert.doesNotMatch(quoted, /\p{C}/u);
    const { stdout } = spawnSync("bash", ["-c", `printf '%s\\0' ${quoted}`], { encoding: "utf8", env: { LC_ALL: "C.UTF-8" } });
    assert.equal(stdout, `${word}\0`);
  }
});

test("PowerShell's quotes on Windows", () => {
  assert.equal(shellWord("it's here", "win32"), "'it''s here'");
  assert.equal(shellWord('a\n"$b"', "win32"), '"a`u{a}`"`$b`""');
  assert.equal(shellWord("C:/tmp/a.tar", "win32"), "C:/tmp/a.tar");
});

test("a command quotes its values, lists as several words, and phrases by what is in them", () => {
  assert.equal(plain(command`rm ${["a b", "c"]} -n ${1}`), "rm 'a b' c -n 1");
  assert.equal(plain(say`run: ${command`cat ${"x\ny"}`}`), String.raw`run: cat $'x\u000ay'`);
});
