// Real archives as bytes in order, for what reads them once.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { archiveFacts, keepForFacts } from "../../src/flows/restore/image/facts.ts";
import { writeLayer, type ArchiveBytes, type BlobSink } from "../../src/image/layer.ts";
import type { Compression } from "../../src/archive/compression.ts";

export const SAMPLES = join(import.meta.dirname, "../data/archives");

export function sample(name: string): Buffer {
  return readFileSync(join(SAMPLES, name));
}

export function archiveBytes(bytes: Buffer, label = "archive.tar"): ArchiveBytes {
  return {
    label,
    size: bytes.length,
    repeatable: true,
    async *open() {
      for (let at = 0; at < bytes.length; at += 50_000) yield bytes.subarray(at, at + 50_000);
    },
  };
}

/** Writes a layer into memory. */
export async function layerOf(bytes: Buffer, compression?: Compression) {
  const parts: Buffer[] = [];
  const sink: BlobSink = { write: async (piece) => void parts.push(Buffer.from(piece)) };
  const written = await writeLayer({
    archive: archiveBytes(bytes),
    compression,
    sink,
    keep: keepForFacts,
    facts: archiveFacts,
    signal: new AbortController().signal,
  });
  return { ...written, blob: Buffer.concat(parts) };
}
