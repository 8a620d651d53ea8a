import { execFile } from "node:child_process";
import { readFile, readlink } from "node:fs/promises";
import { hostname, platform } from "node:os";
import { kill, pid as own } from "node:process";
import { promisify } from "node:util";
import { number, object, string } from "../model/json.ts";

/** Which process it is: a number alone is given to another one as soon as it is free. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Where that number counts: this boot of this machine, and the namespace of its processes. */
  readonly place: string;
  /** When it started, as the system counts it. */
  readonly started: string;
}

/** How far a start may be off that is computed from how long the process runs, in milliseconds. */
const ABOUT_MS = 2000;

export async function ownIdentity(): Promise<ProcessIdentity> {
  const byTheSystem = platform() === "linux" ? await startOf(own) : undefined;
  const started = byTheSystem ?? String(Math.round(Date.now() - process.uptime() * 1000));
  return { pid: own, place: await ownPlace(), started };
}

/** Whether it still runs; undefined where that cannot be seen from here. */
export async function isRunning(one: ProcessIdentity): Promise<boolean | undefined> {
  if (one.place !== (await ownPlace())) return undefined;
  if (!exists(one.pid)) return false;
  const started = await startOf(one.pid);
  return started === undefined ? undefined : isSameStart(started, one.started);
}

/** One that was written down. */
export function readIdentity(value: unknown): ProcessIdentity | undefined {
  const { pid, place, started } = object(value);
  const known = number(pid);
  return known === undefined || string(place) === "" || string(started) === ""
    ? undefined
    : { pid: known, place: string(place), started: string(started) };
}

function isSameStart(a: string, b: string): boolean {
  return a === b || (/^\d{12,}$/.test(a) && Math.abs(Number(a) - Number(b)) < ABOUT_MS);
}

async function ownPlace(): Promise<string> {
  const [boot, namespace] = await Promise.all([
    readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => ""),
    readlink("/proc/self/ns/pid").catch(() => ""),
  ]);
  return [hostname(), boot.trim(), namespace].join(" ").trim();
}

function exists(pid: number): boolean {
  try {
    return kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Linux: ticks since the boot. Elsewhere: milliseconds since the epoch, to the second. Undefined where it is not told. */
async function startOf(pid: number): Promise<string | undefined> {
  if (platform() === "linux") {
    const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
    // The name in parentheses may hold anything; the 22nd field is the 20th after it.
    return stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .at(19);
  }
  const [command, ...words] =
    platform() === "win32"
      ? ["powershell", "-NoProfile", "-NonInteractive", "-Command", `(Get-Process -Id ${pid}).StartTime.ToUniversalTime().ToString('o')`]
      : ["ps", "-o", "lstart=", "-p", String(pid)];
  const answer = await promisify(execFile)(command ?? "", words, { timeout: 5000, env: { ...process.env, LC_ALL: "C" } }).catch(
    () => undefined,
  );
  const at = Date.parse(answer?.stdout.trim() ?? "");
  return Number.isNaN(at) ? undefined : String(at);
}
