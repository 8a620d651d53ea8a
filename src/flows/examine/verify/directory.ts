import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Reading } from "../../../archive/archive.ts";
import { recordPath } from "../../../archive/record.ts";
import { bundlePath } from "../../../evidence/names.ts";
import { CUSTODY } from "../../../evidence/custody.ts";
import { filesBelow, parseSums, SUMS } from "../../../evidence/sums.ts";
import { Directory } from "../../../local/directory.ts";
import { readPlainText } from "../../../local/plain.ts";
import { custodyCheck, verifyCustody } from "./custody.ts";
import { findSignature, signatureCheck, timeCheck } from "./signature.ts";
import { problemsOf, type CheckResult, type Verification } from "./result.ts";
import type { Trust } from "./trust.ts";
import { verify, type SignedList } from "./verify.ts";

const ARCHIVE = /(?<!\.volumes)\.tar(\.gz|\.zst)?(\.age)?$/;
/** In bytes: a line takes some 200. */
const LARGEST_SUMS = 64 << 20;
/** What lies beside an archive, and is worth nothing without it. */
const BESIDE = /^(.*\.tar(?:\.gz|\.zst)?)\.(?:json|json\.age|sigstore\.json)$/;

/** A directory of evidence: its sums and their signature, then every archive in it, and its custody file. */
export async function* verifyDirectory(path: string, reading: Reading, trust: Trust): AsyncGenerator<Verification> {
  await using directory = await Directory.open(path, { anyones: true });
  const { files, others } = await filesBelow(directory);
  const sums = await verifySums(path, files, others, trust);
  yield sums.verification;
  const isAsListed = async (name: string): Promise<boolean> => sums.listed.get(name) === (await trust.hashOf(join(path, name)));
  for (const name of files) {
    if (!ARCHIVE.test(name)) continue;
    const record = recordPath(name);
    const covered = sums.signed !== undefined && (await isAsListed(name)) && (!files.includes(record) || (await isAsListed(record)));
    yield await verify(join(path, name), reading, trust, covered ? sums.signed : undefined);
  }
  if (existsSync(join(path, CUSTODY))) yield await verifyCustody(join(path, CUSTODY), trust);
}

interface VerifiedSums {
  readonly verification: Verification;
  /** SHA-256 by name. */
  readonly listed: ReadonlyMap<string, string>;
  /** Where the key of --key signed the list. */
  readonly signed?: SignedList;
}

async function verifySums(path: string, files: readonly string[], others: readonly string[], trust: Trust): Promise<VerifiedSums> {
  const sums = join(path, SUMS);
  const alone = files.flatMap((name) => {
    const [, archive] = BESIDE.exec(name) ?? [];
    return archive === undefined || files.includes(archive) || files.includes(`${archive}.age`)
      ? []
      : [`${archive} is missing: ${name} belongs to it`];
  });
  const notes = others.map((name) => `${name} is not a plain file: not checked`);
  const orphans: CheckResult[] = alone.length === 0 ? [] : [{ check: "archives", status: "wrong", message: alone.join("; ") }];
  if (!existsSync(sums)) {
    const status = existsSync(bundlePath(sums)) ? "wrong" : "missing";
    const message =
      status === "wrong" ? `${SUMS}, which was signed, is missing` : `no ${SUMS} lists its files: "kubectl checkpoint seal" writes it`;
    const sum: CheckResult = { check: "sums", status, message, required: trust.key === undefined ? undefined : true };
    const checks = [...orphans, sum];
    return { verification: { path, problems: [...alone, ...problemsOf([sum])], notes, checks }, listed: new Map() };
  }
  const text = await readPlainText(sums, LARGEST_SUMS).catch((error: unknown) => error as Error);
  const listed = typeof text === "string" ? parseSums(text) : undefined;
  const wrong: string[] = [];
  for (const { name, sha256 } of listed ?? []) {
    if (!files.includes(name)) wrong.push(`${name} is missing`);
    else if ((await trust.hashOf(join(path, name))) !== sha256) wrong.push(`${name} was changed`);
  }
  if (typeof text !== "string") wrong.push(`${SUMS} cannot be read: ${text.message}`);
  else if (listed === undefined) wrong.push(`${SUMS} is damaged`);
  const unlisted = files.filter((name) => listed?.some((one) => one.name === name) !== true);
  if (unlisted.length > 0) notes.push(`not in ${SUMS}: ${unlisted.join(", ")}`);
  const found = await findSignature(sums);
  const signature = await signatureCheck(sums, found, trust);
  const time = await timeCheck(found, trust);
  const checks: CheckResult[] = [
    ...orphans,
    wrong.length === 0
      ? { check: "sums", status: "ok", message: `all ${listed?.length} files are as ${SUMS} lists them` }
      : { check: "sums", status: "wrong", message: wrong.join("; ") },
    signature,
    time,
    await custodyCheck(sums, found, trust),
  ];
  const by = (check: CheckResult): CheckResult => ({ ...check, message: `${SUMS}, which lists it: ${check.message}` });
  return {
    verification: { path, problems: [...alone, ...wrong, ...problemsOf(checks.slice(orphans.length + 1))], notes, checks },
    listed: new Map(listed?.map(({ name, sha256 }) => [name, sha256])),
    ...(signature.status === "ok" ? { signed: [by(signature), by(time)] } : {}),
  };
}
