// The rules of the house (.oxlint/rooms.ts, .oxlintrc.json), by the linter itself, on a small house that breaks each of them.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { after, before, test } from "node:test";

const ROOT = resolve(import.meta.dirname, "../..");

/** Files of the house, each with what the linter must say of it; nothing where it is sound. */
const HOUSE: Record<string, readonly [text: string, ...refusals: RegExp[]]> = {
  "cmd/main.ts": ['import "../src/cli/printer.ts";\nprocess.exitCode = 1;'],
  "src/cli/printer.ts": ['process.stdout.write("result\\n");'],
  "src/cli/ending.ts": ["process.exit(1);", /only cmd ends the process: src\/cli must not/],
  "src/model/error.ts": ["export const error = 1;"],
  "src/model/upward.ts": ['export { printed } from "../cluster/api.ts";', /imports go down: model must not import cluster/],
  "src/cluster/api.ts": ['import { error } from "../model/error.ts";\nexport const printed = error;'],
  "src/archive/open.ts": ['import { error } from "../model/error.ts";\nexport const archive = error;'],
  "src/criu/memory.ts": ['import { archive } from "../archive/open.ts";\nexport const memory = archive;'],
  "src/criu/api.ts": [
    'import { printed } from "../cluster/api.ts";\nexport const pages = printed;',
    /the room criu must not know the room cluster/,
  ],
  "src/kubelet/flow.ts": [
    'import { pages } from "../flows/examine/sound.ts";\nexport const call = pages;',
    /imports go down: kubelet must not import flows/,
  ],
  "src/cellar/wine.ts": ["export const wine = 1;"],
  "src/flows/drink.ts": ['import { wine } from "../cellar/wine.ts";\nexport const drunk = wine;', /src\/cellar is not a room of the house/],
  "src/flows/collect/copy.ts": ['import { printed } from "../../cluster/api.ts";\nexport const copied = printed;'],
  "src/flows/examine/sound.ts": ['import { memory } from "../../criu/memory.ts";\nexport const pages = memory;'],
  "src/flows/examine/cluster.ts": [
    'import { printed } from "../../cluster/api.ts";\nexport const asked = printed;',
    /flows\/examine\/ works without a cluster: it must not import src\/cluster/,
  ],
  "src/flows/examine/later.ts": [
    'export const asked = async (): Promise<unknown> => await import("../../cluster/api.ts");',
    /flows\/examine\/ works without a cluster: it must not import src\/cluster/,
  ],
  "src/flows/examine/around.ts": [
    'export { copied } from "../collect/copy.ts";',
    /flows\/examine\/ must not import other flows: src\/flows\/collect/,
  ],
  "src/flows/command.ts": ['export * from "../commands/show.ts";', /imports go down: flows must not import commands/],
  "src/commands/show.ts": ['import { pages } from "../flows/examine/sound.ts";\nexport const shown = pages;'],
  "src/commands/printing.ts": ['process.stdout.write("x");', /only src\/cli prints: src\/commands must not/],
  "src/flows/quoted.ts": ['process["stderr"].write("x");', /only src\/cli prints: src\/flows must not/],
  "src/flows/global.ts": ['globalThis.process.stdout.write("x");', /only src\/cli prints: src\/flows must not/],
  "src/flows/taken.ts": ['const { stdout } = process;\nstdout.write("x");', /only src\/cli prints: src\/flows must not/],
  "src/flows/imported.ts": ['import { stderr } from "node:process";\nstderr.write("x");', /only src\/cli prints: src\/flows must not/],
  "src/flows/whole.ts": [
    'import it from "node:process";\nit.stdout.write("x");',
    /of node:process src\/flows imports what it needs by name/,
  ],
  "src/flows/console.ts": ['import { log } from "node:console";\nlog("x");', /only src\/cli prints: src\/flows must not/],
  "src/flows/logging.ts": ['console.log("x");', /no-console/],
  "src/flows/ending.ts": ["process.exit(3);", /only cmd ends the process: src\/flows must not/],
  "src/flows/own.ts": ['import { pid } from "node:process";\nexport const own = pid;'],
  "src/local/circle-a.ts": ['import { b } from "./circle-b.ts";\nexport const a = (): number => b();', /no-cycle/],
  "src/local/circle-b.ts": ['import { a } from "./circle-a.ts";\nexport const b = (): number => a();', /no-cycle/],
  "src/local/any.ts": ["export const any = (value: any): unknown => value;", /no-explicit-any/],
  "src/local/floating.ts": ["const later = async (): Promise<void> => undefined;\nlater();", /no-floating-promises/],
};

let house = "";
before(async () => {
  house = await mkdtemp(join(tmpdir(), "house-"));
  for (const file of [".oxlintrc.json", ".oxlint/rooms.ts", "package.json", "tsconfig.json"]) {
    await mkdir(join(house, dirname(file)), { recursive: true });
    await copyFile(join(ROOT, file), join(house, file));
  }
  await symlink(join(ROOT, "node_modules"), join(house, "node_modules"), "junction");
  for (const [file, [text]] of Object.entries(HOUSE)) {
    await mkdir(join(house, dirname(file)), { recursive: true });
    await writeFile(join(house, file), `${text}\n`);
  }
});
after(async () => await rm(house, { recursive: true, force: true }));

interface Finding {
  readonly filename: string;
  readonly code: string;
  readonly message: string;
}

/** What the linter says of the house. */
async function findings(): Promise<Finding[]> {
  const oxlint = join(ROOT, "node_modules/oxlint/bin/oxlint");
  const output = await new Promise<string>((done) => {
    execFile(process.execPath, [oxlint, "--format=json"], { cwd: house, encoding: "utf8" }, (_error, stdout, stderr) =>
      done(stdout || stderr),
    );
  });
  const { diagnostics } = JSON.parse(output) as { diagnostics: Finding[] };
  return diagnostics.map(({ filename, code, message }) => ({ filename: filename.replaceAll("\\", "/"), code, message }));
}

test("each file that breaks a rule is refused for it, and no other file", async () => {
  const found = await findings();
  for (const [file, [text, ...refusals]] of Object.entries(HOUSE)) {
    const said = found.filter(({ filename }) => filename === file).map(({ code, message }) => `${code}: ${message}`);
    assert.equal(said.length, refusals.length, `${file}:\n${text}\n${said.join("\n")}`);
    for (const refusal of refusals) assert.match(said.join("\n"), refusal, file);
  }
});
