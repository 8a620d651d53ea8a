// The picker and the questions, on the screen of a terminal (xterm) that this process draws on.
import assert from "node:assert/strict";
import { PassThrough, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { test, type TestContext } from "node:test";
import xterm from "@xterm/headless";
import { Prompts } from "../../src/cli/prompts/prompts.ts";
import type { PickerLeft, PickerRow } from "../../src/model/context.ts";
import { say } from "../../src/model/phrase.ts";

const [UP, DOWN, END, HOME, TAB, ENTER, ESC, SORT] = ["\u001b[A", "\u001b[B", "\u001b[F", "\u001b[H", "\t", "\r", "\u001b", "\u0013"];

class Screen {
  readonly #term;
  readonly #input = new PassThrough();
  readonly #output: Writable & { columns: number; rows: number };
  readonly prompts: Prompts;

  constructor(t: TestContext, columns = 80, rows = 12) {
    const term = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true, convertEol: true });
    this.#term = term;
    const output = new Writable({ write: (data: Buffer, _encoding, done) => term.write(data, done) });
    this.#output = Object.assign(output, { columns, rows, isTTY: true, end: () => output });
    const stderr = this.#output as unknown as NodeJS.WriteStream;
    this.prompts = new Prompts({ stdin: this.#input as unknown as NodeJS.ReadStream, stderr, signal: t.signal });
  }

  /** Each key by itself: what comes at once would be pasted text. */
  async type(...keys: string[]): Promise<void> {
    for (const key of keys) {
      this.#input.write(key);
      await sleep(key === ESC ? 600 : 10);
    }
  }

  resize(columns: number, rows: number): void {
    this.#term.resize(columns, rows);
    Object.assign(this.#output, { columns, rows });
    this.#output.emit("resize");
  }

  lines(): string[] {
    const buffer = this.#term.buffer.active;
    const all = Array.from(
      { length: this.#term.rows },
      (_, row) =>
        buffer
          .getLine(buffer.baseY + row)
          ?.translateToString(true)
          .trimEnd() ?? "",
    );
    return all.slice(0, all.findLastIndex((line) => line !== "") + 1);
  }

  async see(what: RegExp): Promise<string> {
    for (let tries = 0; tries < 200; tries += 1) {
      const found = this.lines().find((line) => what.test(line));
      if (found !== undefined) return found;
      await sleep(20);
    }
    throw new Error(`not on the screen: ${what}\n${this.lines().join("\n")}`);
  }

  /** The terminal draws a moment after it is written to. */
  async becomes(what: (lines: string[]) => void): Promise<void> {
    for (let tries = 0; tries < 200; tries += 1) {
      try {
        what(this.lines());
        return;
      } catch {
        await sleep(20);
      }
    }
    what(this.lines());
  }
}

const PODS = ["alpha", "beta", "gamma", ...Array.from({ length: 30 }, (_, index) => `pod-${index}`), "omega"];
const ROWS: PickerRow<string>[] = PODS.map((name, index) => ({
  value: name,
  cells: [name, "web", "node1"],
  since: name === "gamma" ? 1e12 : index,
  about: `image registry/${name}:1, ${index} restarts`,
}));

async function* arriving(): AsyncGenerator<PickerRow<string>[]> {
  yield ROWS.slice(0, 3);
  yield ROWS.slice(3);
}

async function picking(screen: Screen, left?: PickerLeft): Promise<readonly string[] | string> {
  const detail = { column: "MEMORY", of: async (name: string) => ({ text: `${name.length} MiB`, amount: name === "beta" ? 99 : 1 }) };
  const columns = ["POD", "CONTAINER", "NODE"];
  return await screen.prompts
    .pick({
      question: "Container to checkpoint:",
      columns,
      rows: arriving(),
      detail,
      several: true,
      id: (name) => name,
      ...(left && { left }),
    })
    .catch((error: unknown) => String(error));
}

test("the marked row has its image, its restarts and its memory below the list; no line is wider than the screen", async (t) => {
  const screen = new Screen(t);
  const picked = picking(screen);
  await screen.see(/^ {2}34 of 34 · type to filter · Tab: several · Ctrl-S: sort · Esc: cancel$/);
  await screen.see(/^ {2}image registry\/alpha:1, 0 restarts, memory 5 MiB$/);
  await screen.type(DOWN);
  await screen.see(/^ {2}image registry\/beta:1, 1 restarts, memory 4 MiB$/);
  await screen.becomes((lines) => assert.equal(lines.length, 11));
  await screen.type(UP, ENTER);
  assert.deepEqual(await picked, ["alpha"]);
});

test("Tab selects several, also over filters; End goes to the end, Home to the start", async (t) => {
  const screen = new Screen(t);
  const picked = picking(screen);
  await screen.see(/34 of 34/);
  await screen.type(TAB);
  await screen.see(/^ \*alpha/);
  await screen.see(/^> beta/);
  await screen.type(END);
  await screen.see(/^> omega/);
  await screen.type(TAB, HOME);
  await screen.see(/^>\*alpha/);
  await screen.see(/34 of 34, 2 selected/);
  await screen.type(TAB, "gam", TAB);
  await screen.see(/1 of 34, 2 selected/);
  await screen.type(ENTER);
  assert.deepEqual(await picked, ["gamma", "omega"]);
});

test("Ctrl-S sorts by age, then by memory, then as before", async (t) => {
  const screen = new Screen(t);
  const picked = picking(screen);
  await screen.see(/34 of 34/);
  await screen.type(SORT);
  await screen.see(/^> gamma/);
  await screen.type(SORT);
  await screen.see(/^> beta/);
  await screen.type(SORT);
  await screen.see(/^> alpha/);
  await screen.type(SORT, SORT, ENTER);
  assert.deepEqual(await picked, ["beta"]);
});

test("nothing matches: what to type, and Enter does nothing; Esc clears, then cancels", async (t) => {
  const screen = new Screen(t);
  const picked = picking(screen);
  await screen.see(/34 of 34/);
  await screen.type("xyz");
  await screen.see(/^ {2}0 of 34 · nothing matches "xyz": type less, or Esc to clear$/);
  await screen.type(ENTER, ESC);
  await screen.see(/34 of 34/);
  await screen.type(ESC);
  assert.match(String(await picked), /Interrupted/);
});

test("back from the next question, the list is as it was left: what was typed, marked, selected, and the order", async (t) => {
  const screen = new Screen(t);
  const left: PickerLeft = { term: "", order: "list", marked: undefined, selected: new Set() };
  let picked = picking(screen, left);
  await screen.see(/34 of 34/);
  await screen.type("a", SORT, DOWN, ENTER);
  const [first] = await picked;
  assert.deepEqual(left, { term: "a", order: "age", marked: first, selected: new Set() });
  picked = picking(screen, left);
  await screen.see(new RegExp(`^> ${first}`));
  await screen.see(/^Container to checkpoint: a$/);
  await screen.see(/^ {2}4 of 34 · type to filter · Tab: several · Ctrl-S: sort \(by age\) · Esc: clear$/);
  await screen.type(ESC, TAB, DOWN, TAB, ENTER);
  const both = await picked;
  assert.equal(both.length, 2);
  picked = picking(screen, left);
  await screen.see(/34 of 34, 2 selected/);
  await screen.type("a", "l", ENTER);
  assert.deepEqual(await picked, both);
});

test("resizing leaves nothing behind, wherever it ends", async (t) => {
  const screen = new Screen(t, 120, 20);
  const picked = picking(screen);
  await screen.see(/34 of 34/);
  await screen.type(END);
  for (const [columns, rows] of [
    [40, 8],
    [200, 40],
    [60, 12],
    [80, 24],
  ] as const) {
    screen.resize(columns, rows);
    await screen.see(/^> omega/);
    await sleep(50);
    await screen.becomes((lines) => {
      const count = (what: RegExp): number => lines.filter((line) => what.test(line)).length;
      const counts = [count(/^> /), count(/Container to checkpoint/), count(/34 of 34/), count(/POD +CONTAINER/)];
      assert.deepEqual(counts, [1, 1, 1, 1], lines.join("\n"));
      assert.equal(lines[0], "Container to checkpoint:");
    });
  }
  await screen.type(ENTER);
  assert.deepEqual(await picked, ["omega"]);
  await screen.becomes((lines) => assert.deepEqual(lines, [], "the screen is as it was before"));
});

test("a choice: arrows, End and Enter; Esc is back; what was chosen stays on the screen", async (t) => {
  const screen = new Screen(t);
  const choose = async (): Promise<{ value: number } | undefined> =>
    await screen.prompts.choose(say`Where to?`, [
      { value: 1, label: say`here` },
      { value: 2, label: say`there` },
      { value: 3, label: say`cancel` },
    ]);
  const first = choose();
  await screen.see(/^↑↓: move · Enter: select · Esc: back$/);
  await screen.type(DOWN, ENTER);
  assert.equal((await first)?.value, 2);
  await screen.becomes((lines) => assert.deepEqual(lines, ["✔ Where to? there"]));
  const last = choose();
  await screen.see(/^❯ here/);
  await screen.type(END, ENTER);
  assert.equal((await last)?.value, 3);
  const back = choose();
  await screen.see(/^❯ here/);
  await screen.type(ESC);
  assert.equal(await back, undefined);
});

test("yes or no: only yes is yes; Esc is no; Ctrl-C ends the command", async (t) => {
  const screen = new Screen(t);
  for (const [keys, answer] of [
    [["y", ENTER], true],
    [["yes", ENTER], true],
    [["yo", ENTER], false],
    [[ENTER], false],
    [["y", ESC], false],
  ] as const) {
    const asked = screen.prompts.confirm(say`Remove ${"a\u001b[31m"}?`);
    await screen.see(/^\? Remove a\\e\[31m\? \(y\/N\)/);
    await screen.type(...keys);
    assert.equal(await asked, answer);
  }
  const asked = screen.prompts.confirm(say`Go?`).catch((error: unknown) => String(error));
  await screen.see(/^\? Go/);
  await screen.type("\u0003");
  assert.match(String(await asked), /Interrupted/);
});

test("what stays of a choice has its answer whole", async (t) => {
  const screen = new Screen(t, 60);
  const question = say`Checkpoint container ${"only"} of pod/${"beta"} on ${"node1"} (about ${"484 KiB"}):`;
  const asked = screen.prompts.choose(question, [{ value: 1, label: say`copy here and remove from the node` }]);
  await screen.see(/^❯ copy here/);
  await screen.type(ENTER);
  assert.deepEqual(await asked, { value: 1, label: say`copy here and remove from the node` });
  assert.deepEqual(screen.lines(), [
    "✔ Checkpoint container only of",
    "  pod/beta on node1 (about",
    "  484 KiB): copy here and remove from the node",
  ]);
});

test("a question is broken between words, beside its mark; so is what stays of it", async (t) => {
  const screen = new Screen(t, 40);
  const asked = screen.prompts.confirm(say`Create privileged helper pods on ${"node1"}, ${"node2"} (namespace ${"kube-system"})?`);
  await screen.see(/\(y\/N\)/);
  const lines = ["Create privileged helper", "  pods on node1, node2", "  (namespace kube-system)?"];
  assert.deepEqual(screen.lines(), [`? ${lines[0]}`, lines[1], `${lines[2]} (y/N)`]);
  await screen.type("y", ENTER);
  assert.equal(await asked, true);
  assert.deepEqual(screen.lines(), ["✔ Create privileged helper pods on", "  node1, node2 (namespace", "  kube-system)? yes"]);
});
