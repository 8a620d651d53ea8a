// node test/cluster/helper-image.ts: builds the helper image where it is not cached, pushes it to the test cluster's registry (REGISTRY, else
// 10.92.0.1:5000) and prints its reference there.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { builtImage } from "../../.ci/package/helper/build.ts";

/** Of an OCI archive: blobs by digest. */
function blobsOf(archive: Buffer): Map<string, Buffer> {
  const blobs = new Map<string, Buffer>();
  for (let at = 0; at + 512 <= archive.length;) {
    const name = archive.toString("latin1", at, at + 100).replace(/\0.*$/s, "");
    const size = parseInt(archive.toString("latin1", at + 124, at + 135), 8) || 0;
    const hash = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(name)?.[1];
    if (hash !== undefined) blobs.set(`sha256:${hash}`, archive.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return blobs;
}

/** The image in the cluster's registry: pushed where it is not there. */
export async function helperImageIn(registry: string): Promise<string> {
  const { digest, archive } = await builtImage();
  const base = `https://${registry}/v2/helper`;
  const scratch = mkdtempSync(join(tmpdir(), "helper-image-"));
  // The registry's certificate is the cluster's own, and it holds test images only.
  const curl = (...words: string[]): string => execFileSync("curl", ["-sSk", "--fail-with-body", ...words], { encoding: "utf8" });
  const send = (method: string, url: string, type: string, bytes: Buffer): void => {
    const file = join(scratch, "body");
    writeFileSync(file, bytes);
    curl("-X", method, "-H", `Content-Type: ${type}`, "--data-binary", `@${file}`, url);
  };
  const has = (path: string): boolean =>
    curl("-I", "-o", "/dev/null", "-w", "%{http_code}", "--no-fail-with-body", "-H", "Accept: */*", `${base}/${path}`) === "200";
  try {
    if (has(`manifests/${digest}`)) return `${registry}/helper@${digest}`;
    for (const [hash, bytes] of blobsOf(archive)) {
      const json = bytes.length < 1e5 && bytes[0] === 0x7b ? (JSON.parse(bytes.toString("utf8")) as { mediaType?: string }) : {};
      if (json.mediaType !== undefined) send("PUT", `${base}/manifests/${hash}`, json.mediaType, bytes);
      else if (!has(`blobs/${hash}`)) {
        const started = curl("-i", "-X", "POST", "-d", "", `${base}/blobs/uploads/`);
        const location = /^location: (\S+)/im.exec(started)?.[1] ?? "";
        send("PUT", `${location}&digest=${hash}`, "application/octet-stream", bytes);
      }
    }
    return `${registry}/helper@${digest}`;
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

if (import.meta.main) process.stdout.write(`${await helperImageIn(process.env["REGISTRY"] ?? "10.92.0.1:5000")}\n`);
