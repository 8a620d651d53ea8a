import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import type { Unlock } from "../../../age/open.ts";
import { openPlain } from "../../../archive/plain.ts";
import { recordPath } from "../../../archive/record.ts";
import { list, number, object, string, type Json } from "../../../model/json.ts";
import { say, type Phrase } from "../../../model/phrase.ts";
import type { Origin } from "./facts.ts";

/** What FILE.json beside FILE says of it. */
export interface Recorded {
  readonly origin: Origin;
  /** Of the file, in hexadecimal, as it was when it was copied. */
  readonly sha256?: string;
  /** Why it is not used, where it is there. */
  readonly problem?: Phrase;
}

/** In bytes. */
const LARGEST_RECORD = 16 << 20;

/**
 * Nothing where there is no record; one that is of another archive is said to be so, and not used. Beside FILE.age, FILE.json.age has all of
 * it, where `unlock` opens that.
 */
export async function recorded(path: string, unlock?: Unlock): Promise<Recorded> {
  if (path === "-") return { origin: {} };
  const whole = `${recordPath(path)}.age`;
  const isPrivate = path.endsWith(".age") && unlock !== undefined && existsSync(whole);
  const record = isPrivate ? whole : recordPath(path);
  try {
    await using opened = await openPlain(record, unlock);
    const { size } = opened.source;
    if (size > LARGEST_RECORD) return unusable(say`the record ${record} is absurdly large`);
    return await from(object(JSON.parse((await opened.source.read(0, size)).toString("utf8"))), path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { origin: {} };
    return unusable(
      say`the record ${record} cannot be read: ${error instanceof SyntaxError ? "it is not JSON" : (error as Error).message}`,
    );
  }
}

async function from(document: Json, path: string): Promise<Recorded> {
  const items = list(document["items"]).map(object);
  const copyOf = (item: Json): Json => object(item["copy"]);
  const item = items.length === 1 ? items[0] : items.find((one) => basename(string(copyOf(one)["path"])) === basename(path));
  const copy = copyOf(item ?? {});
  const { size } = await stat(path);
  const file = path.endsWith(".age") && copy["encrypted"] !== undefined ? object(copy["encrypted"]) : copy;
  if (number(file["bytes"]) !== size) return unusable(say`the record ${recordPath(path)} is not of this archive: it tells another size`);
  const record = object(document["record"]);
  const pod = record["pod"];
  const kernel = string(object(record["node"])["kernel"]);
  const runtime = string(object(record["versions"])["runtime"]);
  const sha256 = string(copy["sha256"]);
  return {
    origin: {
      ...(pod === undefined ? {} : { pod: object(pod) }),
      ...(kernel === "" ? {} : { kernel }),
      ...(runtime === "" ? {} : { runtime }),
    },
    ...(sha256 === "" ? {} : { sha256 }),
  };
}

function unusable(problem: Phrase): Recorded {
  return { origin: {}, problem };
}
