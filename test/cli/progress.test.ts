// What a terminal shows while something is going on, and what a log has.
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { Chalk } from "chalk";
import { Progress } from "../../src/cli/progress.ts";
import { Renderer } from "../../src/cli/render.ts";
import { WHOLE, type Event } from "../../src/model/context.ts";
import { say } from "../../src/model/phrase.ts";
import { byteProgress } from "../../src/flows/progress.ts";

const NAME = "checkpoint-web-7d9f4c5b6d-x2x9z_default-web-2026-11-24T06:10:21Z.tar";

function progress(live: boolean, columns = 80, rows = 24) {
  const stderr = Object.assign(new PassThrough(), { columns, rows });
  let now = 0;
  const shown = new Progress({
    stderr: stderr as unknown as NodeJS.WriteStream,
    renderer: new Renderer(new Chalk({ level: 0 })),
    live,
    now: () => now,
  });
  /** The lines that were drawn last. */
  const drawn = async (): Promise<string[]> => {
    await sleep(250);
    const frames = String(stderr.read() ?? "").split("\u001b[J");
    return (
      frames
        .findLast((frame) => frame.includes("\n"))
        ?.split("\n")
        .slice(0, -1) ?? []
    );
  };
  return { shown, drawn, pass: (milliseconds: number) => (now += milliseconds) };
}

test("what measures itself begins with that, and names lose their middle", async (t) => {
  for (const columns of [60, 80, 120]) {
    const { shown, drawn } = progress(true, columns);
    t.after(() => shown.stop());
    shown.activity("copy", say`copying ${NAME} (12.0 MiB of 40.0 MiB, zstd)`, say`30%, 4.0 MiB/s, 7.0s left`);
    const [line = "", ...more] = await drawn();
    assert.deepEqual(more, []);
    assert.match(line, /^\S 30%, 4\.0 MiB\/s, 7\.0s left copying checkpoint\S*…/);
    assert.ok(line.length < columns, line);
    if (columns >= 120) assert.match(line, /24T06:10:21Z\.tar \(12\.0 MiB of 40\.0 MiB, zstd\)$/);
  }
});

test("many lanes: the whole first, as many lanes as fit, and how many more there are", async (t) => {
  const { shown, drawn, pass } = progress(true, 80, 8);
  t.after(() => shown.stop());
  for (let node = 0; node < 40; node += 1) shown.activity(`node${node}`, say`node${node} 1 of 3: checkpointing`);
  shown.activity(WHOLE, say`3 of 120 containers done, 1.2 GiB copied`, say`2%, about 4m0s left`);
  pass(3000);
  const lines = await drawn();
  assert.equal(lines.length, 6);
  assert.match(lines[0] ?? "", /^\S 2%, about 4m0s left 3 of 120 containers done, 1\.2 GiB copied$/);
  assert.match(lines[1] ?? "", /^\S 3\.0s node0 1 of 3/);
  assert.equal(lines[5], "  and 36 more");
});

test("without a terminal only the whole is logged, where there is one", async (t) => {
  const { shown, drawn, pass } = progress(false);
  t.after(() => shown.stop());
  shown.activity("node1", say`node1 1 of 3: checkpointing`);
  shown.activity(WHOLE, say`3 of 6 containers done`, say`50%`);
  pass(11_000);
  await sleep(600);
  assert.deepEqual(await drawn(), ["3 of 6 containers done (50%, 11s)"]);
});

test("bytes: percent, rate and time left, then what, how much, and how", async () => {
  const events: Event[] = [];
  const bytes = byteProgress({ emit: (event) => void events.push(event) }, "copy", say`copying ${NAME}`, 1000);
  bytes.update(0);
  await sleep(150);
  bytes.update(500, "zstd");
  const last = events.at(-1);
  const renderer = new Renderer(new Chalk({ level: 0 }));
  assert.ok(last?.kind === "activity" && last.lead !== undefined);
  assert.match(renderer.phrase(last.lead), /^50%, \S+ [KM]?i?B\/s, 0\.\ds left$/);
  assert.equal(renderer.phrase(last.text), `copying ${NAME} (500 B of 1000 B, zstd)`);
});
