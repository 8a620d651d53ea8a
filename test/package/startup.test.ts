// What a call loads before it does anything is what its start costs (npm run bench start tells how much).
import assert from "node:assert/strict";
import { basename } from "node:path";
import { test } from "node:test";
import { bundle, ENTRY, type Chunk } from "../../.ci/build/bundle.ts";

const chunks = await bundle();

/** The chunks that are loaded with the chunk of a module. */
function loadedWith(...modules: string[]): Chunk[] {
  const found = new Set<Chunk>();
  const add = (chunk: Chunk | undefined): void => {
    if (chunk === undefined || found.has(chunk)) return;
    found.add(chunk);
    for (const name of chunk.imports) add(chunks.find((one) => one.name === name));
  };
  for (const module of modules) {
    const chunk = chunks.find((one) => one.module === module);
    assert.ok(chunk !== undefined, `${module} is a chunk`);
    add(chunk);
  }
  return [...found];
}

function packages(loaded: readonly Chunk[]): Set<string> {
  return new Set(loaded.flatMap((chunk) => chunk.packages).map((folder) => basename(folder)));
}

test("version and help load nothing but the main chunk and the bundler's own helpers", () => {
  const main = loadedWith("cmd/kubectl-checkpoint.ts");
  assert.equal(main[0]?.name, ENTRY);
  assert.deepEqual([...packages(main)], []);
  assert.ok(main.length <= 2, main.map(({ name }) => name).join());
});

for (const [call, module, limit] of [
  ["kubectl checkpoint POD", "src/commands/checkpoint.ts", 650_000],
  ["a completion", "src/cli/completion/complete.ts", 550_000],
] as const) {
  test(`before its first request, ${call} has loaded no prompts, no archives' format and no more than ${limit} bytes`, () => {
    const entries = call === "a completion" ? [module] : ["src/cli/main.ts", module];
    const loaded = loadedWith("cmd/kubectl-checkpoint.ts", ...entries);
    for (const heavy of ["inquirer", "protobuf", "openid-client", "oauth4webapi", "jsonpath-plus"]) {
      assert.ok(!packages(loaded).has(heavy), `${heavy} is loaded`);
    }
    const bytes = loaded.reduce((sum, { code }) => sum + code.length, 0);
    const sizes = loaded.map(({ name, code }) => `${name} ${code.length}`).join("\n");
    assert.ok(bytes <= limit, `${bytes} bytes:\n${sizes}`);
  });
}
