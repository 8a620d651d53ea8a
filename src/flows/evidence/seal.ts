import { realpath } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { recordedVolumes, recordPath, recordProblems } from "../../archive/record.ts";
import { readBundle } from "../../evidence/bundle.ts";
import { bundlePath } from "../../evidence/names.ts";
import { CUSTODY, headOf, readChain, type CustodyLine } from "../../evidence/custody.ts";
import { appendCustody, objectName } from "../../evidence/custody-file.ts";
import type { SigningKey } from "../../evidence/key.ts";
import { signStatement, type Timestamper } from "../../evidence/sign.ts";
import { DIRECTORY_TYPE, RECORD_TYPE, type Statement, type Subject } from "../../evidence/statement.ts";
import { sumsOf, SUMS, sumsText } from "../../evidence/sums.ts";
import { Directory } from "../../local/directory.ts";
import { sha256Of } from "../../local/write.ts";
import type { Context } from "../../model/context.ts";
import { API_VERSION } from "../../model/documents.ts";
import { UserError } from "../../model/error.ts";
import { list, object, string, type Json } from "../../model/json.ts";
import { command, say } from "../../model/phrase.ts";
import { publicRecord } from "./public-record.ts";

/** With what is sealed. */
export interface Seal {
  readonly key: SigningKey;
  readonly timestamper: Timestamper | undefined;
  /** The file that each seal is written into, and whose lines it signs. */
  readonly custody: string | undefined;
  readonly note?: string | undefined;
  /** An existing signature of another key may be replaced. */
  readonly replace: boolean;
}

/** Of an archive that was just copied: its hash is known. */
export interface Known {
  readonly sha256: string;
}

/**
 * Signs an archive and its record: writes FILE.sigstore.json beside FILE, and answers with its path. Throws RecordMismatch where the
 * record is of another file, AlreadyExists where somebody else has signed it, and what key, timestamp and custody throw.
 */
export async function sealFile(context: Context, given: string, seal: Seal, known?: Known): Promise<string> {
  const path = await found(given);
  await using directory = await Directory.open(dirname(path));
  const name = basename(path);
  const problems = known === undefined ? await recordProblems(path, async () => await hashIn(directory, name, context.signal)) : [];
  const [problem] = problems ?? [];
  if (problem !== undefined) {
    throw new UserError({
      reason: "RecordMismatch",
      message: say`${path} was not sealed: it does not match its record`,
      why: problem,
      fix: command`kubectl checkpoint verify ${path}`,
    });
  }
  const bundle = bundlePath(name);
  await ensureReplaceable(context, directory, bundle, seal);
  const sha256 = known?.sha256 ?? (await hashIn(directory, name, context.signal));
  const record = await recordIn(directory, recordPath(name), context.signal);
  const subjects = [
    { name, sha256 },
    ...plainSubject(name, record?.document),
    ...(record?.subjects ?? []),
    ...(await volumesIn(directory, record?.document, context.signal)),
  ];
  // The record itself is signed by its hash; whoever sees the signature does not see what is private in it.
  const said = record === undefined ? { apiVersion: API_VERSION, kind: "Seal" } : publicRecord(record.document);
  const statement = { subjects, predicateType: RECORD_TYPE, predicate: { ...said, ...(await sealing(context, path, sha256, seal)) } };
  return await write(directory, bundle, statement, seal);
}

/**
 * Signs a directory of evidence: writes SHA256SUMS of all files in it, and its signature. Files of custody are not in it, because they
 * grow: their lines are in what is signed.
 */
export async function sealDirectory(context: Context, path: string, seal: Seal): Promise<string> {
  await using directory = await Directory.open(path);
  const bundle = bundlePath(SUMS);
  await ensureReplaceable(context, directory, bundle, seal);
  const { sums, others } = await sumsOf(directory, context.signal, (name) =>
    context.emit({ kind: "activity", lane: path, text: say`hashing ${name}` }),
  );
  context.emit({ kind: "idle", lane: path });
  for (const other of others) context.emit({ kind: "warning", text: say`${directory.pathOf(other)} is not a plain file: not included` });
  if (sums.length === 0) throw new UserError({ reason: "NothingToSeal", message: say`${path} has no files to seal`, exitCode: 2 });
  const text = sumsText(sums);
  await directory.replace(SUMS, text);
  const sha256 = await hashIn(directory, SUMS, context.signal);
  const own = seal.custody ?? ((await directory.look(CUSTODY)) === undefined ? undefined : directory.pathOf(CUSTODY));
  const predicate = {
    apiVersion: API_VERSION,
    kind: "EvidenceDirectory",
    files: sums.length,
    ...(await sealing(context, directory.pathOf(SUMS), sha256, seal, own)),
  };
  return await write(directory, bundle, { subjects: [{ name: SUMS, sha256 }], predicateType: DIRECTORY_TYPE, predicate }, seal);
}

/** What of the seal itself is signed: when it was made by this machine's clock, and the lines of custody so far. */
async function sealing(context: Context, path: string, sha256: string, seal: Seal, chain = seal.custody): Promise<Json> {
  const note = seal.note === undefined ? {} : { note: seal.note };
  const sealed = { at: new Date(context.now()).toISOString(), by: context.version, ...note };
  if (chain === undefined) return { sealed };
  const lines =
    seal.custody === undefined ? await linesOf(chain) : await appendCustody(chain, [{ action: "seal", path, sha256, ...note }], context);
  return { sealed, custody: { file: objectName(chain, dirname(path)), lines: lines.length, head: headOf(lines) } };
}

/** Of a custody file that is signed, but not appended to. */
async function linesOf(path: string): Promise<readonly CustodyLine[]> {
  await using directory = await Directory.open(dirname(path), { anyones: true });
  await using file = await directory.read(basename(path));
  const { lines, problems } = readChain(await file.readFile("utf8"));
  const [problem] = problems;
  if (problem === undefined) return lines;
  throw new UserError({ reason: "CustodyDamaged", message: say`the chain of ${path} is broken; nothing was sealed`, why: problem });
}

async function write(directory: Directory, name: string, statement: Statement, { key, timestamper }: Seal): Promise<string> {
  await directory.replace(name, await signStatement(statement, key, timestamper));
  return directory.pathOf(name);
}

/** The same key may sign again; the signature of another one is somebody's word, and is replaced only where that is confirmed. */
async function ensureReplaceable({ ask }: Context, directory: Directory, name: string, { key, replace }: Seal): Promise<void> {
  if (replace || (await directory.look(name)) === undefined) return;
  await using file = await directory.read(name);
  const before = readBundle(await file.readFile("utf8"));
  if (typeof before !== "string" && key.publicKey !== undefined && before.isSignedBy(key.publicKey)) return;
  const path = directory.pathOf(name);
  if (ask.possible && (await ask.confirm(say`${path} was signed with another key. Replace that signature?`))) return;
  throw new UserError({
    reason: "AlreadyExists",
    message: say`${path} already exists and was not signed with this key; nothing was sealed`,
    fix: "rerun with --yes to replace it, or move it away",
  });
}

/** Where a link leads. */
async function found(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new UserError({ reason: "NoSuchFile", message: say`there is no file ${path}`, cause: error });
    throw new UserError({ reason: "CannotOpen", message: say`cannot open ${path}`, why: message, cause: error });
  }
}

async function hashIn(directory: Directory, name: string, signal: AbortSignal): Promise<string> {
  await using file = await directory.read(name);
  return await sha256Of(file, signal);
}

/** Of FILE.age also what is in it: the signature holds when it is decrypted, too. */
function plainSubject(name: string, record: Json | undefined): Subject[] {
  if (!name.endsWith(".age")) return [];
  const copies = list(record?.["items"]).map((item) => object(object(item)["copy"]));
  const sha256 = string(copies.length === 1 ? copies[0]?.["sha256"] : undefined);
  return /^[0-9a-f]{64}$/.test(sha256) ? [{ name: name.slice(0, -".age".length), sha256 }] : [];
}

/** The volumes that were copied with it, as they are. Throws RecordMismatch where they are not those of the record. */
async function volumesIn(directory: Directory, record: Json | undefined, signal: AbortSignal): Promise<Subject[]> {
  const subjects: Subject[] = [];
  for (const { name, sha256 } of recordedVolumes(record)) {
    const isThere = (await directory.look(name)) !== undefined;
    if (isThere && (await hashIn(directory, name, signal)) === sha256) subjects.push({ name, sha256 });
    else
      throw new UserError({
        reason: "RecordMismatch",
        message: say`${directory.pathOf(name)} is ${isThere ? "not what the record says" : "missing"}; nothing was sealed`,
      });
  }
  return subjects;
}

/** The record, its own hash and that of its encrypted form. */
async function recordIn(
  directory: Directory,
  name: string,
  signal: AbortSignal,
): Promise<{ document: Json; subjects: Subject[] } | undefined> {
  if ((await directory.look(name)) === undefined) return undefined;
  await using file = await directory.read(name);
  const bytes = await file.readFile();
  const { createHash } = await import("node:crypto");
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  try {
    const document = object(JSON.parse(bytes.toString("utf8")));
    const whole = `${name}.age`;
    const more = (await directory.look(whole)) === undefined ? [] : [{ name: whole, sha256: await hashIn(directory, whole, signal) }];
    return { document, subjects: [{ name, sha256 }, ...more] };
  } catch (error) {
    throw new UserError({
      reason: "RecordMismatch",
      message: say`${directory.pathOf(name)} is not JSON; nothing was sealed`,
      cause: error,
    });
  }
}
