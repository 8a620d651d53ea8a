import { usageError } from "./error.ts";
import { say } from "./phrase.ts";

const UNITS = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h|d)/gy;

/** Milliseconds of a duration in Go's syntax, with days ("1h30m", "7d", "0"). Throws a usage error that names the flag. */
export function parseDuration(text: string, flag: string): number {
  if (/^[+]?0+$/.test(text)) return 0;
  let total = 0;
  let end = 0;
  PART.lastIndex = 0;
  for (let part = PART.exec(text); part !== null; part = PART.exec(text)) {
    total += Number(part[1]) * UNITS[part[2] as keyof typeof UNITS];
    end = PART.lastIndex;
  }
  if (end === 0 || end !== text.length || !Number.isFinite(total)) {
    throw usageError(say`invalid value "${text}" for ${flag}: use a duration with a unit, such as 30s, 5m, 1h30m or 7d`);
  }
  return total;
}

/** A whole number of at least `least`. Throws a usage error that names the flag. */
export function parseCount(text: string, flag: string, least = 1): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least) {
    throw usageError(say`invalid value "${text}" for ${flag}: use a whole number of at least ${least}`);
  }
  return value;
}

const BYTE_UNITS: Readonly<Record<string, number>> = { "": 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4, P: 1024 ** 5 };

/** Bytes of a size such as "512Mi", "10G", "1.5 GiB": powers of 1024 all. Throws a usage error that names the flag. */
export function parseBytes(text: string, flag: string): number {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?) *([KMGTP]?)i?B?$/i.exec(text) ?? [];
  const bytes = Math.round(Number(number) * (BYTE_UNITS[unit.toUpperCase()] ?? Number.NaN));
  if (!Number.isSafeInteger(bytes))
    throw usageError(say`${flag}: "${text}" is not a size`, "write it in bytes, or with a unit: 512Mi, 10Gi");
  return bytes;
}

/** "0.4s", "75s", "12m30s": short, for people. */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)}s`;
  if (seconds < 120) return `${Math.round(seconds)}s`;
  const minutes = Math.floor(seconds / 60);
  const rest = Math.round(seconds - minutes * 60);
  return minutes < 60 ? `${minutes}m${rest}s` : `${Math.floor(minutes / 60)}h${minutes % 60}m`;
}

/** Bytes in IEC units: "1023 B", "4.2 MiB". */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1023.95 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** kubectl's ages: "12s", "5m", "3h", "10d". */
export function formatAge(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** "1 archive", "3 archives". */
export function counted(count: number, what: string, ending = "s"): string {
  return `${count} ${what}${count === 1 ? "" : ending}`;
}
