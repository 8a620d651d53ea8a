import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { randomUUID } from "node:crypto";
import type { Compression } from "../archive/compression.ts";
import { cacheDirectory } from "../local/cache.ts";
import { list, number, object, string, type Json } from "../model/json.ts";

/** A layer that was pushed from this machine: where a registry has it, it need not be sent again. */
export interface KnownLayer {
  readonly registry: string;
  readonly repository: string;
  readonly compression: Compression;
  readonly digest: string;
  /** As it lies in the image. */
  readonly bytes: number;
  readonly diffId: string;
  /** The archive's file, as it was read. */
  readonly archiveBytes: number;
  readonly archiveDigest: string;
}

const MOST = 200;

/** Digests and names only, as Docker's and Podman's own caches keep them. */
async function cachePath(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const directory = await cacheDirectory(env);
  return directory && join(directory, "layers.json");
}

/** The newest first. Never throws: what cannot be read is not known. */
export async function knownLayers(env: NodeJS.ProcessEnv): Promise<KnownLayer[]> {
  const path = await cachePath(env);
  if (path === undefined) return [];
  try {
    return list(JSON.parse(await readFile(path, "utf8")))
      .map(object)
      .flatMap(knownLayer);
  } catch {
    return [];
  }
}

/** Never throws: what cannot be kept is sent again. */
export async function rememberLayer(env: NodeJS.ProcessEnv, layer: KnownLayer): Promise<void> {
  const path = await cachePath(env);
  if (path === undefined) return;
  const same = ({ registry, repository, digest }: KnownLayer): boolean =>
    registry === layer.registry && repository === layer.repository && digest === layer.digest;
  const others = (await knownLayers(env)).filter((known) => !same(known));
  const next = `${path}.${randomUUID()}`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(next, JSON.stringify([layer, ...others].slice(0, MOST)), { mode: 0o600 });
    await rename(next, path);
  } catch {
    return;
  }
}

function knownLayer(value: Json): KnownLayer[] {
  const [registry, repository, digest, diffId, archiveDigest] = ["registry", "repository", "digest", "diffId", "archiveDigest"].map((key) =>
    string(value[key]),
  ) as [string, string, string, string, string];
  const compression = (["none", "gzip", "zstd"] as const).find((one) => one === value["compression"]);
  const bytes = number(value["bytes"]);
  const archiveBytes = number(value["archiveBytes"]);
  const sound = registry !== "" && repository !== "" && [digest, diffId, archiveDigest].every((one) => /^sha256:[0-9a-f]{64}$/.test(one));
  if (!sound || compression === undefined || bytes === undefined || archiveBytes === undefined) return [];
  return [{ registry, repository, compression, digest, bytes, diffId, archiveBytes, archiveDigest }];
}
