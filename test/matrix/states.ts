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
      yield await withOldCriu(stage, "no-criu", /CRIU/);
      // Some have looked now, and do not again.
      await cluster("criu", stage.source, "on");
      if (stage.row.looksForCriuAgain) {
        await worksAgain(stage);
      } else {
        yield refusal(await stage.run("counter"), RESTART);
        await putBack(stage);
      }
    },
  },
  {
    column: "CRIU too old",
    run: async function* (stage) {
      const said = await withOldCriu(stage, "criu-3.15", /3\.1[56]|31[56]00/);
      yield said;
      if (RESTART.test(said)) {
        await putBack(stage);
      } else {
        await cluster("criu", stage.source, "on");
        await worksAgain(stage);
      }
    },
  },
  {
    column: "switched off",
    run: async function* (stage, had) {
      for (const { spec, refuses, saying } of stage.row.switches) {
        await configured(refuses === "checkpoint" ? stage.source : stage.target, spec);
        if (refuses === "checkpoint") {
          yield refusal(await stage.run("counter"), saying);
          await putBack(stage);
        } else {
          yield refusal(await restore(stage, had, "switched"), saying);
          await nothingRestored(stage, "switched");
        }
      }
    },
  },
];

const RESTART = /restart (its runtime|containerd|CRI-O)/;

/** What the refusal says. */
async function withOldCriu(stage: Stage, option: string, saying: RegExp): Promise<string> {
  await configured(stage.source, `${stage.row.spec}+${option}`);
  const deep = await stage.run("doctor", `node/${stage.source}`, "--deep");
  assert.equal(deep.code, 1, `doctor --deep exits ${deep.code}:\n${deep.stdout}`);
  assert.match(deep.stdout, new RegExp(`^fail +criu .*(${saying.source})`, "im"));
  return refusal(await stage.run("counter"), saying);
}

async function configured(node: string, spec: string): Promise<void> {
  await cluster("configure", `${node}=${spec}`);
}

/** With the runtime started again. */
async function putBack(stage: Stage): Promise<void> {
  await configured(stage.source, stage.row.spec);
  await worksAgain(stage);
}

/** What was said to do about it was done. */
async function worksAgain(stage: Stage): Promise<void> {
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
