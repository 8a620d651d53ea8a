// Runs everywhere: where skopeo is not there, Docker's archive is made by hand alone.
// A checkpoint in other forms than an engine's archive: images, directories, CRIU's images alone, archives of pods.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { openArchive } from "../../src/archive/open.ts";
import { verb as inspect } from "../../src/commands/inspect.ts";
import { verb as search } from "../../src/commands/search.ts";
import { verb as show } from "../../src/commands/show.ts";
import { verb as verify } from "../../src/commands/verify.ts";
import { buildImage } from "../../src/flows/restore/image/build.ts";
import { runVerb } from "../commands/running.ts";
import { context } from "../fakes.ts";
import { archiveBytes, sample } from "../image/samples.ts";
import { program } from "../tools/tool.ts";
import { tar, type TarMember } from "./tars.ts";

const ARCHIVE = sample("containerd-a.tar");
const SECRET = "s3cr3t-value-123";

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "kubectl-checkpoint-test-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

async function build(t: TestContext, kind: "oci" | "oci-archive", path: string, reference = "reg.local/a:1", bytes = ARCHIVE) {
  const compression = bytes === ARCHIVE ? ("zstd" as const) : undefined;
  const archive = archiveBytes(bytes);
  return await buildImage(context(t.signal), { archive, compression, origin: {}, reference, to: { kind, path } });
}

function membersOf(bytes: Buffer): TarMember[] {
  const plain = bytes[0] === 0x1f ? gunzipSync(bytes) : bytes[0] === 0x28 ? zstdDecompressSync(bytes) : bytes;
  const members: TarMember[] = [];
  for (let at = 0; plain[at] !== 0;) {
    const size = Number.parseInt(plain.toString("latin1", at + 124, at + 135), 8);
    const name = plain.toString("utf8", at, plain.indexOf(0, at));
    members.push({ name, type: plain.toString("latin1", at + 156, at + 157), data: plain.subarray(at + 512, at + 512 + size) });
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return members;
}

/** Writes files of an archive below a directory. */
function unpack(directory: string, members: readonly TarMember[]): string {
  for (const { name, type = "0", data = "" } of members) {
    const path = join(directory, String(name));
    mkdirSync(type === "5" ? path : dirname(path), { recursive: true });
    if (type === "0") writeFileSync(path, data);
  }
  return directory;
}

/** show, verify, inspect and search over FILE see the checkpoint of containerd-a.tar. */
async function isTheCheckpoint(file: string, { problems = [] as readonly string[] } = {}): Promise<void> {
  const { lines, exitCode, events } = await runVerb(show, [file]);
  assert.match(lines[1] ?? "", /\|localhost\/bb:1\|.*\|containerd\|/, file);
  assert.deepEqual([exitCode, events.filter(({ kind }) => kind === "warning")], [0, []], file);
  const { document } = await runVerb(verify, [file]);
  assert.deepEqual((document as { items: { problems: string[] }[] }).items[0]?.problems, problems, file);
  assert.match((await runVerb(inspect, [file], { ps: true })).lines.join("\n"), /httpd/, file);
  assert.match((await runVerb(search, [file, SECRET])).lines.join("\n"), /SECRET_TOKEN/, file);
}

test("our own images: a layout and an archive, by form, by content, compressed, through a pipe", async (t) => {
  const directory = folder(t);
  const [layout, archive] = [join(directory, "layout"), join(directory, "image.tar")];
  const { digest } = await build(t, "oci", layout);
  await build(t, "oci-archive", archive);
  writeFileSync(`${archive}.gz`, gzipSync(readFileSync(archive)));
  for (const file of [`oci:${layout}`, layout, `oci:${layout}:reg.local/a:1`, `oci-archive:${archive}`, archive, `${archive}.gz`])
    await isTheCheckpoint(file);
  await using piped = await openArchive("-", { stdin: () => createReadStream(`${archive}.gz`), keep: () => false });
  assert.ok(piped.members.has("config.dump"));
  assert.equal(piped.image?.digest, digest);
  const { checks } = ((await runVerb(verify, [archive])).document as { items: { checks: { check: string; status: string }[] }[] })
    .items[0] ?? {
    checks: [],
  };
  assert.equal(checks.find(({ check }) => check === "image")?.status, "ok");
});

test("of several images the one that is named, or the only checkpoint; else it is said which there are", async (t) => {
  const layout = join(folder(t), "layout");
  await build(t, "oci", layout, "reg.local/a:1");
  await build(t, "oci", layout, "reg.local/b:2", sample("crio-1.34.11-criu4.2.1.tar"));
  await assert.rejects(openArchive(`oci:${layout}`), {
    reason: "ImageAmbiguous",
    message: `there are 2 images in ${layout}: reg.local/a:1, reg.local/b:2`,
    fix: "name one of them: oci:DIR:NAME or oci-archive:FILE:NAME",
  });
  await assert.rejects(openArchive(`oci:${layout}:c`), { reason: "ImageNotFound", why: "it has reg.local/a:1, reg.local/b:2" });
  const { lines } = await runVerb(show, [`oci:${layout}:reg.local/b:2`]);
  assert.match(lines[1] ?? "", /\|cri-o\|/);
});

test("a layer that is not the manifest's is a problem of verify", async (t) => {
  const layout = join(folder(t), "layout");
  await build(t, "oci", layout);
  const { manifests } = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")) as { manifests: { digest: string }[] };
  const blob = (digest = ""): string => join(layout, "blobs", digest.replace(":", "/"));
  const manifest = JSON.parse(readFileSync(blob(manifests[0]?.digest), "utf8")) as { layers: { digest: string }[] };
  writeFileSync(blob(manifest.layers[0]?.digest), ARCHIVE);
  const { document } = await runVerb(verify, [layout]);
  const [item] = (document as { items: { problems: string[] }[] }).items;
  assert.match(item?.problems.join() ?? "", /^the image's blob sha256:[0-9a-f]{64} is sha256:[0-9a-f]{64}$/);
});

test("archives of docker save: of Docker itself, and of podman", async (t) => {
  const directory = folder(t);
  const path = join(directory, "docker.tar");
  const id = "ab".repeat(32);
  for (const layer of [`${id}.tar`, `${id}/layer.tar`, `blobs/sha256/${id}`]) {
    const manifest = [{ Config: `${id}.json`, RepoTags: ["dumps/a:1"], Layers: [layer] }];
    writeFileSync(
      path,
      tar({ name: layer, data: ARCHIVE }, { name: `${id}.json`, data: "{}" }, { name: "manifest.json", data: JSON.stringify(manifest) }),
    );
    await isTheCheckpoint(path);
  }
  const skopeo = program("skopeo");
  if (skopeo === undefined) return t.diagnostic("skopeo is not there: its archives were not read");
  const [command, ...args] = skopeo;
  await build(t, "oci-archive", join(directory, "oci.tar"));
  for (const form of ["docker-archive", "oci-archive", "oci"]) {
    const to = join(directory, form);
    const { status, stderr } = spawnSync(
      command,
      [
        ...args,
        "--insecure-policy",
        "copy",
        `oci-archive:${join(directory, "oci.tar")}`,
        `${form}:${to}${form === "docker-archive" ? ":dumps/a:1" : ""}`,
      ],
      { encoding: "utf8" },
    );
    assert.equal(status, 0, stderr);
    await isTheCheckpoint(to);
  }
});

/** Changes index.json, and the blobs of a layout: `put` writes one and answers its digest. */
function changeLayout(
  path: string,
  change: (index: { manifests: object[] }, put: (text: string, digest?: string) => string) => void,
): void {
  const index = JSON.parse(readFileSync(join(path, "index.json"), "utf8")) as { manifests: object[] };
  const put = (text: string, digest = `sha256:${createHash("sha256").update(text).digest("hex")}`): string => {
    writeFileSync(join(path, "blobs/sha256", digest.slice(7)), text);
    return digest;
  };
  change(index, put);
  writeFileSync(join(path, "index.json"), JSON.stringify(index));
}

test("an index that points to itself, a thousand times, is gone through once", async (t) => {
  const path = join(folder(t), "self");
  await build(t, "oci", path);
  changeLayout(path, (index, put) => {
    const digest = `sha256:${"a".repeat(64)}`;
    const itself = { mediaType: "application/vnd.oci.image.index.v1+json", digest };
    put(JSON.stringify({ manifests: Array.from({ length: 1000 }, () => itself) }), digest);
    index.manifests = [itself, itself, ...index.manifests];
  });
  // A thousand times a thousand is more than may be decoded, and was refused.
  await isTheCheckpoint(`oci:${path}`);
});

test("layers that are no archives are passed over", async (t) => {
  const path = join(folder(t), "layers");
  await build(t, "oci", path);
  changeLayout(path, (index, put) => {
    const [first] = index.manifests as { digest: string }[];
    assert.ok(first);
    const manifest = JSON.parse(readFileSync(join(path, "blobs/sha256", first.digest.slice(7)), "utf8")) as { layers: object[] };
    manifest.layers.push({ mediaType: "application/spdx+json", digest: put('{"spdxVersion": "SPDX-2.3"}') });
    first.digest = put(JSON.stringify(manifest));
  });
  await isTheCheckpoint(`oci:${path}`);
});

test("an image that is no checkpoint's is said to be none", async (t) => {
  const path = join(folder(t), "docker.tar");
  const manifest = [{ RepoTags: ["nginx:1"], Layers: ["layer.tar"] }];
  writeFileSync(
    path,
    tar({ name: "layer.tar", data: tar({ name: "etc/passwd" }) }, { name: "manifest.json", data: JSON.stringify(manifest) }),
  );
  await assert.rejects(openArchive(path), {
    reason: "NotACheckpoint",
    message: `the image nginx:1 in ${path} is not that of a checkpoint: none of its layers holds one`,
  });
});

test("an unpacked archive: its directory, and a tar archive of that", async (t) => {
  const directory = unpack(join(folder(t), "unpacked"), membersOf(ARCHIVE));
  await isTheCheckpoint(directory);
  const packed = join(directory, "../packed.tar.zst");
  const { status } = spawnSync("tar", ["-C", join(directory, ".."), "-cf", `${packed}.plain`, "unpacked"]);
  assert.equal(status, 0);
  writeFileSync(packed, zstdCompressSync(readFileSync(`${packed}.plain`)));
  await isTheCheckpoint(packed);
});

test("CRIU's images alone: a directory, and tar archives of it; nothing is missed of an engine", async (t) => {
  const images = membersOf(ARCHIVE).flatMap((member) => {
    const name = String(member.name).replace(/^checkpoint\//, "");
    return String(member.name).startsWith("checkpoint/") || name === "stats-dump" ? [{ ...member, name }] : [];
  });
  const directory = unpack(join(folder(t), "images"), images);
  const [flat, below] = [join(directory, "../flat.tar"), join(directory, "../below.tar.gz")];
  assert.equal(spawnSync("tar", ["-C", directory, "-cf", flat, "."]).status, 0);
  assert.equal(spawnSync("tar", ["-C", join(directory, ".."), "-czf", below, "images"]).status, 0);
  for (const file of [directory, flat, below]) {
    await using archive = await openArchive(file);
    assert.equal(archive.form, "images");
    assert.ok(archive.members.has("checkpoint/pstree.img") && archive.members.has("stats-dump"));
    const { lines, exitCode } = await runVerb(show, [file]);
    assert.deepEqual([exitCode, lines.length], [0, 2]);
    const { document } = await runVerb(verify, [file]);
    assert.deepEqual((document as { items: { problems: string[] }[] }).items[0]?.problems, [], file);
    assert.match((await runVerb(search, [file, SECRET])).lines.join("\n"), /SECRET_TOKEN/);
  }
});

test("a directory is read through none of its links, and only where it holds a checkpoint", async (t) => {
  const directory = folder(t);
  await assert.rejects(openArchive(directory), {
    reason: "NotAnArchive",
    message: `${directory} is a directory without a checkpoint in it`,
  });
  writeFileSync(join(directory, "secret"), "secret");
  mkdirSync(join(directory, "images"));
  symlinkSync("../secret", join(directory, "images", "core-1.img"));
  symlinkSync(directory, join(directory, "images", "loop"));
  writeFileSync(join(directory, "images", "pstree.img"), "x");
  await using archive = await openArchive(join(directory, "images"));
  assert.equal(archive.members.get("checkpoint/core-1.img")?.type, "symlink");
  assert.throws(() => archive.open("checkpoint/core-1.img"), { reason: "UnreadableMember" });
  assert.deepEqual([...archive.members.keys()], ["checkpoint/core-1.img", "checkpoint/loop", "checkpoint/pstree.img"]);
});

test("the archive of a pod: show has a line for each container, verify checks them all, others name them", async (t) => {
  const path = join(folder(t), "pod.tar");
  const [web, log] = [`${"1".repeat(64)}-k8s_web`, `${"2".repeat(64)}-k8s_log`];
  const below = (directory: string, bytes: Buffer): TarMember[] =>
    membersOf(bytes).map((member) => ({ ...member, name: `${directory}/${String(member.name)}` }));
  const options = {
    version: 1,
    containers: { web, log },
    annotations: { "org.criu.checkpoint.pod.name": "shop", "org.criu.checkpoint.pod.namespace": "default" },
  };
  const pod = [
    ...below(web, sample("crio-1.34.11-criu4.2.1.tar")),
    ...below(log, ARCHIVE),
    { name: "pod.options", data: JSON.stringify(options) },
  ];
  // Long names: what Go's writer puts into PAX headers is left to GNU tar here.
  const directory = unpack(join(path, "../pod"), pod);
  assert.equal(spawnSync("tar", ["-C", directory, "-cf", path, "."]).status, 0);
  for (const file of [path, directory]) {
    const { lines, exitCode } = await runVerb(show, [file]);
    assert.deepEqual([exitCode, lines.length], [0, 3]);
    assert.match(lines.join("\n"), /\|cri-o\|[^]*\|containerd\|/);
    assert.deepEqual((await runVerb(verify, [file])).lines, [`${file}: OK`]);
    await assert.rejects(runVerb(inspect, [file], { ps: true }), {
      reason: "PodArchive",
      message: `${file} is the archive of a whole pod, with 2 containers: web, log`,
    });
  }
  await isTheCheckpoint(join(directory, log));
});
