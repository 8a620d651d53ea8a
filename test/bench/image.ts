// npm run bench image [MIB]: building and pushing the image of a 1 GiB archive, against sha256sum, skopeo and, where it is installed, buildah.
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NO_CLUSTER, pluginCommand, REGISTRY, run } from "../e2e/harness.ts";
import { CA, skopeo } from "../e2e/skopeo.ts";
import { tarHeader } from "../archive/tars.ts";

import { measure, printTable } from "./measure.ts";

const ROUNDS = 5;
const MIB = Number(process.argv[2] ?? 1024);
const here = mkdtempSync(join(tmpdir(), "bench-image-"));
const file = join(here, "archive.tar");
const sample = join(import.meta.dirname, "../data/archives/containerd-a.tar");

/** A real archive with one more file of pages in it: bytes that no compression makes smaller. */
function makeArchive(): void {
  const out = openSync(file, "w", 0o600);
  const real = readFileSync(sample);
  writeSync(out, real.subarray(0, real.length - endOf(real)));
  writeSync(out, tarHeader({ name: "checkpoint/pages-9.img", size: MIB * 2 ** 20, mode: 0o600 }));
  const block = randomBytes(1 << 20);
  for (let written = 0; written < MIB; written += 1) {
    block.writeUInt32LE(written);
    writeSync(out, block);
  }
  writeSync(out, Buffer.alloc(1024));
}

/** Of the closing zero blocks and what pads them. */
function endOf(archive: Buffer): number {
  let end = archive.length;
  while (end > 0 && archive[end - 1] === 0) end -= 1;
  return archive.length - Math.ceil(end / 512) * 512;
}

function hasBuildah(): boolean {
  return spawnSync("buildah", ["--version"]).status === 0;
}

if (NO_CLUSTER !== undefined) throw new Error(NO_CLUSTER);
makeArchive();
try {
  const [command, ...before] = pluginCommand();
  const timed = async (program: string, ...args: string[]): Promise<number> => {
    const started = performance.now();
    const { code, stderr } = await run(program, args, { env: { XDG_CACHE_HOME: join(here, "cache"), SSL_CERT_FILE: CA } });
    if (code !== 0) throw new Error(`${program} ${args.join(" ")}: ${stderr}`);
    return performance.now() - started;
  };
  // skopeo remembers what it has pushed where, and would mount it from there.
  const forgetful = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    'mkdir -p /var/lib/containers && mount -t tmpfs tmpfs /var/lib/containers && exec "$@"',
    "sh",
  ] as const;
  const [unshare, ...skopeoArgs] = [...forgetful, ...skopeo()];
  const layout = join(here, "layout");
  let round = 0;
  const fresh = (): string => `${REGISTRY}/bench-${Date.now()}-${(round += 1)}:1`;
  const build = async (to: string): Promise<number> => await timed(command, ...before, "image", file, "bench:1", "--to", to);
  await build(`oci:${layout}`);
  const forget = (): void => rmSync(join(here, "cache"), { recursive: true, force: true });
  const storage = ["--storage-driver", "vfs", "--root", join(here, "storage"), "--runroot", join(here, "run")].join(" ");
  /** As its documentation makes a checkpoint image, and without the compression that it would add. */
  const buildah = async (): Promise<number> => {
    for (const name of ["storage", "run", "buildah"]) rmSync(join(here, name), { recursive: true, force: true });
    const script = `c=$(buildah ${storage} from scratch) && buildah ${storage} add "$c" ${file} / >/dev/null &&
      buildah ${storage} config --annotation=org.criu.checkpoint.container.name=x "$c" &&
      buildah ${storage} commit -q --disable-compression=true "$c" oci:${join(here, "buildah")}`;
    return await timed("sh", "-c", script);
  };
  const built = await measure(
    {
      sha256sum: async () => await timed("sha256sum", file),
      // With the processor's own instructions, which coreutils does not use.
      "openssl dgst -sha256": async () => await timed("openssl", "dgst", "-sha256", file),
      ...(hasBuildah() ? { "buildah add, commit": buildah } : {}),
      "image --to oci:DIR": async () => {
        rmSync(join(here, "again"), { recursive: true, force: true });
        return await build(`oci:${join(here, "again")}`);
      },
      "image --to oci-archive:FILE": async () => {
        rmSync(join(here, "again.tar"), { force: true });
        return await build(`oci-archive:${join(here, "again.tar")}`);
      },
    },
    ROUNDS,
  );
  const pushed = await measure(
    {
      "skopeo copy": async () =>
        await timed(
          unshare,
          ...skopeoArgs,
          "--insecure-policy",
          "copy",
          "--quiet",
          "--preserve-digests",
          `oci:${layout}`,
          `docker://${fresh()}`,
        ),
      "image --push": async () => {
        forget();
        return await timed(command, ...before, "image", file, fresh(), "--push", "--yes", "--ca-file", CA);
      },
    },
    ROUNDS,
  );
  const rows = (times: typeof built, base: string): string[][] =>
    Object.entries(times).map(([name, { median, fastest }]) => [
      name,
      `${(median / 1000).toFixed(2)} s`,
      `${(fastest / 1000).toFixed(2)} s`,
      `${((times[base]?.median ?? NaN) / median).toFixed(2)}x`,
      `${((times[base]?.fastest ?? NaN) / fastest).toFixed(2)}x`,
    ]);
  printTable(
    [`${MIB} MiB, median of ${ROUNDS}`, "time", "fastest", "speed to the first", "by the fastest"],
    [...rows(built, "sha256sum"), ...rows(pushed, "skopeo copy")],
  );
} finally {
  rmSync(here, { recursive: true });
}
