// One runtime, tried whole.
import assert from "node:assert/strict";
import { CELLS, type Had } from "./cells.ts";
import type { Column, Row } from "./rows.ts";
import type { Stage } from "./stage.ts";
import { refusal, STATES } from "./states.ts";

export interface Result {
  readonly column: Column;
  readonly outcome: "works" | "explained" | "fails";
  /** What was said where it was refused or not as expected. */
  readonly said: readonly string[];
  readonly seconds: number;
}

/** The columns in their order, as each has been tried; those that the row has nothing of are left out. */
export async function* runRow(row: Row, stage: Stage): AsyncGenerator<Result> {
  const had: Had = {};
  for (const { column, attempt, prove, untouched, afterwards } of CELLS) {
    if (row.without?.includes(column) === true) continue;
    yield await judged(column, async () => {
      const ended = await attempt(stage, had);
      const expected = row.refused?.[column];
      if (expected !== undefined) {
        const said = refusal(ended, expected);
        await untouched?.(stage);
        return [said];
      }
      assert.equal(ended.code, 0, `exit status ${ended.code}:\n${ended.stdout.startsWith("{") ? "" : ended.stdout}${ended.stderr}`);
      await prove(stage, ended, had);
      return [];
    });
    await afterwards?.(stage);
  }
  for (const { column, run } of STATES) {
    if (row.without?.includes(column) === true) continue;
    yield await judged(column, async () => {
      const said: string[] = [];
      for await (const words of run(stage, had)) said.push(words);
      return said;
    });
  }
}

async function judged(column: Column, run: () => Promise<readonly string[]>): Promise<Result> {
  const began = Date.now();
  const seconds = () => Math.round((Date.now() - began) / 100) / 10;
  try {
    const said = await run();
    return { column, outcome: said.length === 0 ? "works" : "explained", said, seconds: seconds() };
  } catch (error) {
    return { column, outcome: "fails", said: [error instanceof Error ? error.message : String(error)], seconds: seconds() };
  }
}
