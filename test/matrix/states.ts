// A node's states in which checkpoints or restores cannot work: doctor --deep says so, the verb says so and how to change it, and
// when that was done it works. The containers run on all the while.
import assert from "node:assert/strict";
import { cluster, type Ended } from "../e2e/harness.ts";
import { countersRun, nothingRestored, restore, type Had } from "./cells.ts";
import type { Column } from "./rows.ts";
import type { Stage } from "./stage.ts";

export interface State {
  readonly column: Column;
  /** Yields what was said, as it is found to be right. Throws where it is not. */
  readonly run: (stage: Stage, had: Had) => AsyncIterable<string>;
}

export const STATES: readonly State[] = [
  {
    column: "without CRIU",
    run: async function* (stage) {
      yield* withOldCriu(stage, "no-criu", /CRIU/);
      const { row, source, run } = stage;
      await configured(source, `${row.spec}+no-criu`);
      await run("counter"); // some look now, and not again
      await cluster("criu", source, "on");
      const installed = await run("counter");
      if (row.looksForCriuAgain) assert.equal(installed.code, 0, installed.stderr);
      else yield refusal(installed, /restart (its runtime|containerd|CRI-O)/);
      await putBack(stage);
    },
  },
  {
    column: "CRIU too old",
    run: async function* (stage) {
      yield* withOldCriu(stage, "criu-3.15", /3\.1[56]|31[56]00/);
      await putBack(stage);
    },
  },
  {
    column: "switched off",
    run: async function* (stage, had) {
      for (const { spec, refuses, saying } of stage.row.switches) {
        const node = refuses === "checkpoint" ? stage.source : stage.target;
        await configured(node, spec);
        if (refuses === "checkpoint") {
          yield refusal(await stage.run("counter"), saying);
        } else {
          yield refusal(await restore(stage, had, "switched"), saying);
          await nothingRestored(stage, "switched");
        }
        await configured(node, stage.row.spec);
      }
      await putBack(stage);
    },
  },
];

async function* withOldCriu(stage: Stage, option: string, saying: RegExp): AsyncIterable<string> {
  await configured(stage.source, `${stage.row.spec}+${option}`);
  const deep = await stage.run("doctor", `node/${stage.source}`, "--deep");
  assert.equal(deep.code, 1, `doctor --deep exits ${deep.code}:\n${deep.stdout}`);
  assert.match(deep.stdout, new RegExp(`^fail +criu .*(${saying.source})`, "im"));
  yield refusal(await stage.run("counter"), saying);
}

async function configured(node: string, spec: string): Promise<void> {
  await cluster("configure", `${node}=${spec}`);
}

async function putBack(stage: Stage): Promise<void> {
  await configured(stage.source, stage.row.spec);
  const { code, stderr } = await stage.run("counter");
  assert.equal(code, 0, stderr);
  await countersRun(stage);
}

/** What a refusal says. Throws where it lacks that, or a fix. */
export function refusal({ code, stdout, stderr }: Ended, saying: RegExp): string {
  const said = `${stdout.startsWith("{") ? "" : stdout}${stderr}`.trim();
  assert.ok(code === 1 || code === 2, `exit status ${code}:\n${said}`);
  assert.match(said, saying);
  assert.match(said, /^( {2}fix: |fix \S+:$)/m);
  return said;
}
