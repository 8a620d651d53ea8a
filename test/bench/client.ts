// npm run bench client [-- ROUNDS]: what a copy costs this machine's processors: TLS, frames, decoding, writing, SHA-256, with a server in a
// process of its own that costs nothing of it. CPU seconds of the client alone, and how fast it would be with nothing else in the way.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificates } from "../certificates.ts";
import { median, printTable } from "./measure.ts";

const ROUNDS = Number(process.argv[2] ?? 5);
const MEGABYTES = 128;
const CASES: readonly (readonly [kind: string, codec: string])[] = [
  ["random", "none"],
  ["dump", "zstd"],
  ["dump", "lzop"],
  ["dump", "gzip"],
];

const work = mkdtempSync(join(tmpdir(), "bench-client-"));
makeCertificates(work);
const rows: string[][] = [];
try {
  for (const [kind, codec] of CASES) {
    const runs: { cpu: number; seconds: number }[] = [];
    const server = spawn(process.execPath, [join(import.meta.dirname, "client/server.ts"), work, String(MEGABYTES), kind], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [port] = (await once(server.stdout, "data")) as [Buffer];
    for (let round = 0; round <= ROUNDS; round += 1) {
      const copy = spawn(process.execPath, [join(import.meta.dirname, "client/copy.ts"), port.toString().trim(), codec], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const run = (await once(copy.stdout, "data")) as [Buffer];
      if (round > 0) runs.push(JSON.parse(String(run[0])) as { cpu: number; seconds: number });
    }
    server.kill();
    const of = (key: "cpu" | "seconds"): number => median(runs.map((one) => one[key]));
    rows.push([kind, codec, `${of("cpu").toFixed(2)} s`, `${(MEGABYTES / of("cpu")).toFixed(0)} MiB/s`, `${of("seconds").toFixed(2)} s`]);
  }
} finally {
  rmSync(work, { recursive: true });
}
printTable([`${MEGABYTES} MiB`, "codec", "processor seconds", "a processor second brings", "wall"], rows);
