// Pages on terminals of several widths: nothing wraps, and what is left out is said; elsewhere all is there.
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { Chalk } from "chalk";
import { errorText } from "../../src/cli/errors.ts";
import { Renderer } from "../../src/cli/render.ts";
import { UserError } from "../../src/model/error.ts";
import { command, hanging, oneLine, say, styled, whole, type Table } from "../../src/model/phrase.ts";

const chalk = new Chalk({ level: 0 });
const at = (width: number): Renderer => new Renderer(chalk, () => width);

const TABLE: Table = {
  columns: ["POD", "ENGINE", "SIZE", "FILE"],
  rows: [
    ["web-7d9f4c5b6d-x2x9z", "containerd", "6.3 MiB", "checkpoint-web-7d9f4c5b6d-x2x9z_default-web-2026-11-24T06:10:21Z.tar"],
    ["db-0", "cri-o", "441 KiB", "db.tar"],
  ],
  narrow: { without: ["ENGINE", "SIZE"], shorten: [{ FILE: "middle" }, { POD: "middle" }] },
};

test("a table that has room is as kubectl prints it; without a terminal it always has", () => {
  const whole = new Renderer(chalk).table(TABLE).split("\n");
  assert.equal(whole[0], "POD                    ENGINE       SIZE      FILE");
  assert.ok(whole[1]?.endsWith("2026-11-24T06:10:21Z.tar"));
  assert.equal(at(200).table(TABLE), whole.join("\n"));
});

test("at every width down to 40 no line is wider, and columns that are left out are named", () => {
  for (let width = 40; width <= 140; width += 1) {
    const { text, left } = at(width).tableAndRest(TABLE);
    const lines = text.split("\n");
    assert.ok(
      lines.every((line) => line.length <= width),
      `${width}:\n${text}`,
    );
    for (const column of TABLE.columns) assert.equal(lines[0]?.includes(column), !left.includes(column), `${width}: ${column}`);
  }
  assert.deepEqual(at(80).tableAndRest(TABLE).left, []);
  assert.match(at(80).table(TABLE), /^web-7d9f4c5b6d-x2x9z {2}containerd {2}6\.3 MiB {2}checkpoint-\S+…\S+Z\.tar$/m);
  assert.deepEqual(at(44).tableAndRest(TABLE).left, ["ENGINE"]);
});

test("a column of the second group is shortened only where those of the first cannot be any more", () => {
  assert.match(at(44).table(TABLE), /^web-7d9f4c5b6d-x2x9z {2}6\.3 MiB {2}\S+…\S+$/m);
  assert.match(at(40).table(TABLE), /^web-7\S*…\S+ {2}/m);
});

test("an address keeps its 21 characters, or its column goes", () => {
  const address = "255.255.255.255:65535";
  const table: Table = {
    columns: ["LOCAL", "DETAILS"],
    rows: [[address, "x".repeat(100)]],
    narrow: { without: ["DETAILS"], shorten: [{ DETAILS: "end" }, { LOCAL: "address" }] },
  };
  assert.equal(at(35).table(table), `LOCAL                  DETAILS\n${address}  ${"x".repeat(11)}…`);
  assert.equal(at(30).table(table), `LOCAL\n${address}`);
});

test("a command line of a million characters is cut at once", () => {
  const table: Table = { columns: ["PID", "COMMAND"], rows: [[1, "x".repeat(1e6)]], narrow: { shorten: [{ COMMAND: "end" }] } };
  const started = performance.now();
  assert.equal(at(80).table(table).split("\n")[1]?.length, 80);
  assert.ok(performance.now() - started < 2000);
});

test("a line that is to stay one is cut at the width, its escapes and its empty line before it kept", () => {
  const line = oneLine(say`\n${styled("strong", say`Process 7: ${"\u001b[31m".repeat(40)}`)}`);
  const shown = at(60).phrase(line);
  assert.equal(shown.length, 61);
  assert.match(shown, /^\nProcess 7: \\e\[31m.*…$/);
  assert.equal(new Renderer(chalk).phrase(line).length, 1 + 11 + 40 * 6);
});

test("what is written as two units is not cut between them", () => {
  for (let width = 20; width < 30; width += 1) {
    const table: Table = { columns: ["A"], rows: [["a" + "😀".repeat(40)]], narrow: { shorten: [{ A: "middle" }] } };
    assert.ok(at(width).table(table).isWellFormed());
    assert.ok(
      at(width)
        .phrase(oneLine(say`${"😀".repeat(40)}`))
        .isWellFormed(),
    );
  }
});

test("paths that stay whole follow the table where there is no room for them in it", () => {
  const rows = [
    ["web/app", "node1", "/evidence/checkpoint-web.tar"],
    ["a-pod-with-a-long-name/app", "node2", "/evidence/checkpoint-a-pod-with-a-long-name.tar"],
  ];
  const table: Table = { columns: ["CONTAINER", "NODE", "PATH"], rows, narrow: { below: "PATH", shorten: [{ CONTAINER: "middle" }] } };
  assert.equal(
    new Renderer(new Chalk({ level: 0 }), () => 84).table(table),
    `CONTAINER                    NODE    PATH
web/app                      node1   /evidence/checkpoint-web.tar
a-pod-with-a-long-name/app   node2   /evidence/checkpoint-a-pod-with-a-long-name.tar`,
  );
  assert.equal(
    new Renderer(new Chalk({ level: 0 }), () => 30).table(table),
    `CONTAINER                NODE
web/app                  node1
a-pod-with-…ng-name/app  node2

/evidence/checkpoint-web.tar
/evidence/checkpoint-a-pod-with-a-long-name.tar`,
  );
});

test("sentences are broken between words, below where they begin", () => {
  const rows = [[styled("good", "ok"), "criu-config", "node1, node2: no options for CRIU, which connections need"]];
  const table: Table = { columns: ["STATUS", "CHECK", "MESSAGE"], rows, narrow: { wrap: true, shorten: [] } };
  assert.equal(
    at(50).table(table),
    `STATUS  CHECK        MESSAGE
ok      criu-config  node1, node2: no options for
                     CRIU, which connections need`,
  );
  const line = hanging(say`  effective   ${"CHOWN DAC_OVERRIDE FOWNER"} /${"x".repeat(30)}`, 14);
  assert.equal(
    at(30).phrase(line),
    `  effective   CHOWN\n${" ".repeat(14)}DAC_OVERRIDE\n${" ".repeat(14)}FOWNER\n${" ".repeat(14)}/${"x".repeat(30)}`,
  );
  assert.equal(new Renderer(chalk).phrase(line).split("\n").length, 1);
});

test("where it has no other way out, a table keeps its first and its last column", () => {
  const table: Table = {
    columns: ["FIRST", "SECOND", "THIRD", "LAST"],
    rows: [["a".repeat(12), "b".repeat(12), "c".repeat(12), "d".repeat(12)]],
    narrow: { shorten: [] },
  };
  const { text, left } = at(40).tableAndRest(table);
  assert.deepEqual(left, ["THIRD"]);
  assert.ok(text.split("\n").every((line) => line.length <= 40));
});

test("a sentence is broken between words: commands, numbers with their unit and data of an archive are not", () => {
  const line = say`pod/${"payments"} container ${"api"} on ${"node1"}: checkpointed in ${"0.8s"}, copied (${2} of ${3}), ${"375 KiB"}`;
  for (let width = 40; width < 100; width += 1) {
    const shown = at(width).phrase(line);
    const lines = shown.split("\n");
    assert.ok(
      lines.every((one) => one.length <= width),
      shown,
    );
    assert.equal(lines.map((one) => one.trim()).join(" "), new Renderer(chalk).phrase(line));
    assert.match(shown, /\(2 of 3\)/);
    assert.match(shown, /375 KiB$/);
    for (const further of lines.slice(1)) assert.match(further, /^ {2}\S/);
  }
  assert.equal(at(40).phrase(say`frozen for 284ms, x86-64, with ${"4 KiB"} pages`), "frozen for 284ms, x86-64, with\n  4 KiB pages");
  const pasted = say`copy it to this machine: ${command`kubectl checkpoint cp ${"node1:/var/lib/kubelet/a.tar"}`}`;
  assert.equal(at(40).phrase(pasted), "copy it to this machine:\n  kubectl checkpoint cp node1:/var/lib/kubelet/a.tar");
  assert.equal(
    at(40)
      .phrase(say`rerun it with ${"one more flag: kubectl get pods -A -o wide"}`)
      .split("\n")
      .at(-1),
    "  kubectl get pods -A -o wide",
  );
  const bytes = whole(say`1 sh stack: ${"a  b c d".repeat(10)}`);
  assert.equal(at(40).phrase(bytes), new Renderer(chalk).phrase(bytes));
});

test("what is painted is painted on both sides of a break, and the indentation of a line is kept", () => {
  const colour = new Renderer(new Chalk({ level: 1 }), () => 40);
  const shown = colour.phrase(say`    ${styled("warn", say`one ${styled("strong", "two")} ${"three ".repeat(9).trim()}`)} end`);
  assert.equal(stripVTControlCharacters(shown), `    one two three three three three\n      three three three three three end`);
  assert.ok(shown.includes("\u001b[39m\n\u001b[33m      three"), shown);
  assert.equal(
    at(40)
      .phrase(say`${"x ".repeat(30)}\n${"y"}`)
      .split("\n")
      .at(-1),
    "y",
  );
});

test("an error is broken between words below its label; its command is not", () => {
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 40 }) as unknown as NodeJS.WriteStream;
  const error = new UserError({
    reason: "X",
    message: "a message that is longer than a line of forty characters",
    fix: command`kubectl checkpoint cp ${"node1:/var/lib/kubelet/checkpoints/a.tar"}`,
  });
  assert.equal(
    errorText(error, (label) => label, stream),
    `error: a message that is longer than a
       line of forty characters
  fix: kubectl checkpoint cp node1:/var/lib/kubelet/checkpoints/a.tar`,
  );
});
