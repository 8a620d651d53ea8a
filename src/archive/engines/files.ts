import { object, type Json } from "../../model/json.ts";
import type { Archive } from "../archive.ts";
import { readObject } from "../read.ts";

/** What engines write beside the memory, parsed; an absent file counts as an object without fields. */
export interface EngineFiles {
  readonly config: Json;
  readonly spec: Json;
  /** Of the OCI specification. */
  readonly annotations: Readonly<Record<string, string>>;
  /** containerd: the CRI's container status. */
  readonly status: Json;
  /** Podman: networks by name. */
  readonly networks: Json;
  readonly archive: Archive;
}

/** Throws what `read` throws: a UserError where one of them cannot be read or is no JSON. */
export async function engineFiles(
  archive: Archive,
  read: (archive: Archive, name: string) => Promise<Json> = readObject,
): Promise<EngineFiles> {
  const spec = await read(archive, "spec.dump");
  return {
    config: await read(archive, "config.dump"),
    spec,
    annotations: texts(spec["annotations"]),
    status: await read(archive, "status.dump"),
    networks: await read(archive, "network.status"),
    archive,
  };
}

/** The fields of an object that are strings. */
export function texts(value: unknown): Record<string, string> {
  const fields = Array.isArray(value) ? [] : Object.entries(object(value));
  return Object.fromEntries(fields.filter((field): field is [string, string] => typeof field[1] === "string"));
}

/** A string that says something. */
export function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** A time as Go writes it, in UTC with milliseconds; its zero time means none. */
export function time(value: unknown): string | undefined {
  return typeof value === "string" && /^(?!0001)\d{4}-\d\d-\d\dT/.test(value) ? iso(Date.parse(value)) : undefined;
}

/** Nanoseconds since the epoch; 0 means none. */
export function nanoseconds(value: unknown): string | undefined {
  return typeof value === "number" && value > 0 ? iso(value / 1e6) : undefined;
}

/** Milliseconds since the epoch. */
export function iso(milliseconds: number): string | undefined {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}
