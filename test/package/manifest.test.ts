import assert from "node:assert/strict";
import { test } from "node:test";
import { manifest, problems } from "../../.ci/package/manifest.ts";
import { VERSION } from "./packaged.ts";

test("plugin.yaml holds to krew's rules and to what is built", async () => {
  assert.deepEqual(problems(await manifest(VERSION, new Map()), VERSION), []);
});

test("sums get to the archive that they are of", async () => {
  const name = `kubectl-checkpoint-v${VERSION}-darwin-arm64.tar.gz`;
  const text = await manifest(VERSION, new Map([[name, "ab".repeat(32)]]));
  assert.match(text, new RegExp(`${name}\\n\\s+sha256: "(ab){32}"`));
  assert.equal(text.match(/sha256: "0{64}"/g)?.length, 4);
});

const BROKEN: readonly (readonly [name: string, breaking: (text: string) => string, problem: RegExp])[] = [
  ["another API version", (text) => text.replace("v1alpha2", "v1alpha9"), /apiVersion/],
  ["a name with capitals", (text) => text.replace("name: checkpoint", "name: Checkpoint"), /metadata\.name/],
  ["a name with kubectl's", (text) => text.replace("name: checkpoint", "name: kubectl-checkpoint"), /repeats kubectl/],
  ["a version without v", (text) => text.replace(`version: v${VERSION}`, `version: "${VERSION}"`), /version is not/],
  ["a long short description", (text) => text.replace(/shortDescription: .*/, `shortDescription: ${"long ".repeat(11)}`), /50 characters/],
  ["no short description", (text) => text.replace(/shortDescription: .*/, ""), /shortDescription/],
  ["wide caveats", (text) => text.replace("caveats: |\n", `caveats: |\n    ${"x".repeat(90)}\n`), /caveats/],
  ["two platforms for one machine", (text) => text.replace("arch: arm64", "arch: amd64"), /linux\/amd64 is selected by 2/],
  [
    "a selector that fits everything",
    (text) => text.replace("          os: windows\n          arch: amd64\n", "          {}\n"),
    /selected by 2/,
  ],
  ["a selector by another label", (text) => text.replace("arch: arm64", "cpu: arm64"), /linux\/arm64 is selected by 0/],
  ["another executable", (text) => text.replace("bin: kubectl-checkpoint.exe", "bin: kubectl-checkpoint"), /windows\/amd64: bin/],
  ["an archive of another version", (text) => text.replace(`-v${VERSION}-linux-arm64`, "-v9.9.9-linux-arm64"), /linux\/arm64: uri/],
  ["a sum in capitals", (text) => text.replace("0".repeat(64), "A".repeat(64)), /sha256/],
];

for (const [name, breaking, problem] of BROKEN) {
  test(`found in a manifest: ${name}`, async () => {
    const good = await manifest(VERSION, new Map());
    const broken = breaking(good);
    assert.notEqual(broken, good, "the test changes something");
    assert.match(problems(broken, VERSION).join("\n"), problem);
  });
}
