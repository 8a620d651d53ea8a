// npm run bench client [-- ROUNDS]: what a copy costs this machine's processors: TLS, frames, decoding, writing, SHA-256, with a server in a
// process of its own that is not counted. OLD_SOURCE is a working tree of an earlier version, which runs in the same rounds.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificates } from "../certificates.ts";
import { measure, printTable, ratioOf, ratioText, secondsText, type Contender } from "./measure.ts";

const ROUNDS = Number(process.argv[2] ?? 5);
const MEGABYTES = 128;
const CASES: readonly (readonly [kind: string, codec: string])[] = [
  ["random", "none"],
  ["dump", "zstd"],
  ["dump", "lzop"],
  ["dump", "gzip"],
];
const OLD = process.env["OLD_SOURCE"];
const COPY = join(import.meta.dirname, "client/copy.ts");

/** The program in the other tree, so that it runs what is there. */
function inOldTree(tree: string): string {
  const folder = join(tree, "test/bench/client");
  mkdirSync(folder, { recursive: true });
  copyFileSync(COPY, join(folder, "copy.ts"));
  return join(folder, "copy.ts");
}

async function copied(program: string, port: string, codec: string): Promise<Record<string, number>> {
  const child = spawn(process.execPath, [program, port, codec], { stdio: ["ignore", "pipe", "pipe"] });
  let [out, said] = ["", ""];
  child.stdout.on("data", (text: Buffer) => (out += text.toString()));
  child.stderr.on("data", (text: Buffer) => (said += text.toString()));
  await once(child, "close");
  if (out === "") throw new Error(said);
  const { cpu, seconds } = JSON.parse(out) as { cpu: number; seconds: number };
  return { "": cpu * 1000, ", wall": seconds * 1000 };
}

const work = mkdtempSync(join(tmpdir(), "bench-client-"));
makeCertificates(work);
const old = OLD === undefined ? undefined : inOldTree(OLD);
const rows: string[][] = [];
try {
  for (const [kind, codec] of CASES) {
    const server = spawn(process.execPath, [join(import.meta.dirname, "client/server.ts"), work, String(MEGABYTES), kind], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [port] = (await once(server.stdout, "data")) as [Buffer];
    const run = async (program: string) => await copied(program, port.toString().trim(), codec);
    const contenders: Record<string, Contender> = {
      now: async () => await run(COPY),
      ...(old === undefined ? {} : { before: async () => await run(old) }),
    };
    const times = await measure(contenders, ROUNDS);
    server.kill();
    const { now, before, "now, wall": wall, "before, wall": wallBefore } = times;
    if (now === undefined || wall === undefined) throw new Error("nothing was measured");
    const compared = before === undefined || wallBefore === undefined ? [] : [before, wallBefore];
    rows.push([
      kind,
      codec,
      secondsText(now),
      secondsText(wall),
      ...compared.map(secondsText),
      ...(before === undefined ? [] : [ratioText(ratioOf(now, before))]),
    ]);
  }
} finally {
  rmSync(work, { recursive: true });
}
const columns = [`${MEGABYTES} MiB`, "codec", "processor time", "wall"];
printTable(old === undefined ? columns : [...columns, "processor time before", "wall before", "processor time, to before"], rows);
