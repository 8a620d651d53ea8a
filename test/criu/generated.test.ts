import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../..");
const buf = join(root, "node_modules/.bin/buf");
const skip = existsSync(buf) ? false : "buf is not installed: npm ci installs it where there is a build for this machine";

test("the generated code is that of the definitions", { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), "generated-"));
  try {
    cpSync(join(root, "src/criu/proto"), join(folder, "src/criu/proto"), { recursive: true });
    execFileSync(buf, ["generate", "src/criu/proto", "--template", "src/criu/proto/buf.gen.yaml"], {
      cwd: folder,
      env: { ...process.env, PATH: `${join(root, "node_modules/.bin")}:${process.env["PATH"]}`, HOME: folder },
    });
    const committed = join(root, "src/criu/gen");
    const made = join(folder, "src/criu/gen");
    assert.deepEqual(readdirSync(made).sort(), readdirSync(committed).sort());
    for (const file of readdirSync(made)) {
      assert.equal(readFileSync(join(made, file), "utf8"), readFileSync(join(committed, file), "utf8"), `${file}: npm run generate`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
