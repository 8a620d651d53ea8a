// Runs on Linux and macOS only: tar makes the archive.
// POD.volumes.tar beside an archive: read by the verbs that read archives, checked by verify.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { verb as extract } from "../../src/commands/extract.ts";
import { verb as report } from "../../src/commands/report.ts";
import { verb as search } from "../../src/commands/search.ts";
import { verb as verify } from "../../src/commands/verify.ts";
import { runVerb } from "../commands/running.ts";
import { archive, folder, sha256 } from "./files.ts";

/** A key of the form that AWS gives its users, which is nobody's. */
const SECRET = "AKIAIOSFODNN7EXAMPLQ";

function withVolumes(): { path: string; volumes: string } {
  const directory = folder();
  const path = archive(directory, "web.tar");
  const content = folder();
  mkdirSync(join(content, "data", "sub"), { recursive: true });
  writeFileSync(join(content, "data", "sub", "file"), "in a part\n");
  writeFileSync(join(content, "data", "settings"), `key=${SECRET}\n`);
  const volumes = join(directory, "web.volumes.tar");
  execFileSync("tar", ["-C", content, "-cf", volumes, "--format=ustar", "data"]);
  const document = JSON.parse(readFileSync(`${path}.json`, "utf8")) as { items: object[] };
  const mounts = [
    { container: "counter", path: "/data", volume: "data" },
    { container: "counter", path: "/part", volume: "data", subPath: "sub" },
  ];
  const about = { path: "/elsewhere/web.volumes.tar", bytes: 1, sha256: sha256(volumes), names: ["data"], entries: 3, leftOut: {}, mounts };
  const items = [{ ...document.items[0], container: "counter", volumes: about }];
  writeFileSync(`${path}.json`, JSON.stringify({ ...document, items }));
  return { path, volumes };
}

test("search, report and extract find what volumes have, as the container saw it", async () => {
  const { path } = withVolumes();
  assert.match((await runVerb(search, [path, SECRET])).lines.join("\n"), /^\/data\/settings byte 0x4: /m);
  assert.match((await runVerb(search, [path, "in a part"], { in: ["files"] })).lines.join("\n"), /^(\/data\/sub|\/part)\/file byte 0x0/m);
  const { document } = await runVerb(report, [path], { output: "json" });
  assert.match(JSON.stringify(document), /\/data\/settings/);
  const to = join(folder(), "out");
  assert.equal((await runVerb(extract, [path, "volume:data/sub/file"], { to })).exitCode, 0);
  assert.equal(readFileSync(to, "utf8"), "in a part\n");
});

test("volumes that are changed, or are not there: verify names them, a search is not complete", async () => {
  const { path, volumes } = withVolumes();
  const checked = async () => (await runVerb(verify, [path])).lines.join("\n");
  assert.match(await checked(), /volumes ok: web\.volumes\.tar has the SHA-256 of the record/);
  const bytes = readFileSync(volumes);
  bytes[600] = (bytes[600] ?? 0) ^ 1;
  writeFileSync(volumes, bytes);
  assert.match(await checked(), /the SHA-256 of web\.volumes\.tar is [0-9a-f]{64}; the record says/);
  renameSync(volumes, `${volumes}.x`);
  assert.match(await checked(), /web\.volumes\.tar, which was copied with it, is missing/);
  const { errors, exitCode } = await runVerb(search, [path, "counter"]);
  assert.deepEqual([errors.map(({ reason }) => reason), exitCode], [["VolumesMissing"], 2]);
  rmSync(`${volumes}.x`);
});
