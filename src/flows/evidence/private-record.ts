import { createHash } from "node:crypto";
import { basename, dirname } from "node:path";
import { newHeader } from "../../age/header.ts";
import { encrypted } from "../../age/payload.ts";
import { Directory } from "../../local/directory.ts";
import { list, object, type Json } from "../../model/json.ts";
import { publicRecord } from "./public-record.ts";

/** Records beside encrypted archives: FILE.json.age has all, FILE.json only what publicRecord leaves. What was written stays in memory, to be amended. */
export class PrivateRecords {
  readonly #recipients: readonly string[];
  readonly #written = new Map<string, Json>();

  constructor(recipients: readonly string[]) {
    this.#recipients = recipients;
  }

  /** Throws LocalDiskFull and DestinationUnusable. */
  async write(directory: Directory, name: string, document: Json): Promise<void> {
    const text = Buffer.from(`${JSON.stringify(document, undefined, 2)}\n`);
    const bytes = await encryptedBytes(this.#recipients, text);
    await directory.replace(`${name}.age`, bytes);
    const stub = publicRecord(document);
    const record = { ...object(stub["record"]), encrypted: { file: `${name}.age`, bytes: bytes.length, sha256: sha256(bytes) } };
    await directory.replace(name, `${JSON.stringify({ ...stub, record }, undefined, 2)}\n`);
    this.#written.set(directory.pathOf(name), document);
  }

  /** The record at this path with more about its one item. Of one that this command has not written, nothing is changed. */
  async amend(path: string, more: Json): Promise<void> {
    const document = this.#written.get(path);
    const [item, ...others] = list(document?.["items"]);
    if (document === undefined || item === undefined || others.length > 0) return;
    await using directory = await Directory.open(dirname(path));
    await this.write(directory, basename(path), { ...document, items: [{ ...object(item), ...more }] });
  }
}

async function encryptedBytes(recipients: readonly string[], plain: Buffer): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of encrypted(await newHeader(recipients), once(plain))) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer, void> {
  yield await Promise.resolve(bytes);
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
