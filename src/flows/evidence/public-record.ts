import { createHash } from "node:crypto";
import { list, object, type Json } from "../../model/json.ts";

/** Parts of a record that have what users put into it: environments, commands, what a container printed. */
const PRIVATE = new Set(["pod", "after", "events", "log", "network", "volumes"]);
/** And of its item: what runs in the container. */
const PRIVATE_OF_ITEM = new Set(["interrupted", "error", "ended"]);

/**
 * What of a record may be read by everybody who sees an archive's signature or its encrypted form: names, times and hashes. Of the rest, the
 * SHA-256 of its JSON text, so that it can be proved later. Without these parts it is the record as it is.
 */
export function publicRecord(document: Json): Json {
  const record = object(document["record"]);
  const hashed = Object.fromEntries(
    Object.entries(record).map(([name, value]) => [name, PRIVATE.has(name) ? { sha256: hashOf(value) } : value]),
  );
  const items = list(document["items"]).map((item) =>
    Object.fromEntries(Object.entries(object(item)).filter(([name]) => !PRIVATE_OF_ITEM.has(name))),
  );
  return { ...document, items, ...(document["record"] === undefined ? {} : { record: hashed }) };
}

function hashOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}
