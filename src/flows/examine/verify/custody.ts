import { counted } from "../../../model/units.ts";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { CUSTODY, readChain, type Chain, type CustodyLine } from "../../../evidence/custody.ts";
import { SUMS } from "../../../evidence/sums.ts";
import { readPlainText } from "../../../local/plain.ts";
import { object, string } from "../../../model/json.ts";
import { findSignature, type FoundSignature } from "./signature.ts";
import { problemsOf, type CheckResult, type Verification } from "./result.ts";
import type { Trust } from "./trust.ts";

/** In bytes: a line takes some 400. */
const LARGEST_CUSTODY = 256 << 20;
const CHECK = "custody";

/** Whether the custody file that belongs to a file has an unbroken chain, with the lines that were signed, and the file as it is. */
export async function custodyCheck(path: string, found: FoundSignature | undefined, trust: Trust): Promise<CheckResult> {
  const wrong = (message: string): CheckResult => ({ check: CHECK, status: "wrong", message });
  const signed = signedChain(found);
  const custody = signed === undefined ? join(dirname(path), CUSTODY) : at(dirname(path), signed.file);
  if (!existsSync(custody)) {
    return signed === undefined
      ? { check: CHECK, status: "missing", message: `no ${CUSTODY} lies beside it` }
      : wrong(`the custody file ${custody}, whose first ${signed.lines} lines were signed, is missing`);
  }
  const chain = await readCustody(custody);
  const [problem] = [...chain.problems, ...unsigned(chain, signed)];
  if (problem !== undefined) return wrong(`${custody}: ${problem}`);
  const about = chain.lines.filter((line) => line.object !== "" && at(dirname(custody), line.object) === resolve(path));
  const [change] = changes(about);
  if (change !== undefined) return wrong(`${custody}: ${change}`);
  const last = about.at(-1);
  if (last === undefined) return { check: CHECK, status: "missing", message: `${custody} does not mention it` };
  const sha256 = await trust.hashOrNone(path);
  if (last.sha256 !== sha256) return wrong(`${custody} has another SHA-256 of it: ${last.sha256} (${deed(last)})`);
  return {
    check: CHECK,
    status: "ok",
    message: `${counted(about.length, "line")} about it, the last: ${deed(last)}; ${proof(signed, isProved(found, trust))}`,
  };
}

/** A custody file itself: its chain, the files in it, and every signature beside it that signs its lines. */
export async function verifyCustody(path: string, trust: Trust): Promise<Verification> {
  const chain = await readCustody(path);
  const problems = [...chain.problems];
  const latest = new Map(chain.lines.filter((line) => line.object !== "").map((line) => [line.object, line]));
  const objects = [...Map.groupBy(chain.lines, (line) => line.object).values()].flatMap(changes);
  for (const [name, line] of latest) {
    const file = at(dirname(resolve(path)), name);
    if (!existsSync(file)) objects.push(`${name} is missing (${deed(line)})`);
    else if ((await trust.hashOrNone(file)) !== line.sha256)
      objects.push(`${name} is not the file of the last line about it (${deed(line)})`);
  }
  const seals: string[] = [];
  let sealed: SignedChain | undefined;
  for (const name of (await readdir(dirname(resolve(path)))).filter((one) => one.endsWith(".sigstore.json")).toSorted()) {
    const found = await findSignature(join(dirname(resolve(path)), name.replace(/\.sigstore\.json$/, "")));
    const signed = signedChain(found);
    if (signed === undefined || at(dirname(resolve(path)), signed.file) !== resolve(path)) continue;
    const [problem] = unsigned(chain, signed);
    if (trust.key !== undefined && found?.signed?.isSignedBy(trust.key) !== true) seals.push(`${name} was changed, or is of another key`);
    else if (problem !== undefined) seals.push(`${problem} (${name})`);
    else if (signed.lines > (sealed?.lines ?? 0)) sealed = signed;
  }
  const signature = signatureOfLines(seals, sealed, trust);
  problems.push(...objects, ...problemsOf(seals.length > 0 ? [] : [signature]), ...seals);
  const result = (check: string, found: readonly string[], sound: string): CheckResult =>
    found.length === 0 ? { check, status: "ok", message: sound } : { check, status: "wrong", message: found.join("; ") };
  return {
    path,
    problems,
    notes: problems.length === 0 ? [`${counted(chain.lines.length, "line")}; ${proof(sealed, trust.key !== undefined)}`] : [],
    checks: [
      result(CHECK, chain.problems, `${counted(chain.lines.length, "line")}, each after the one before it`),
      result("objects", objects, `${latest.size} files are those of their last lines`),
      signature,
    ],
  };
}

function signatureOfLines(problems: readonly string[], sealed: SignedChain | undefined, { key }: Trust): CheckResult {
  const check = "signature";
  if (problems.length > 0) return { check, status: "wrong", message: problems.join("; ") };
  if (sealed === undefined) {
    const message = "no signature beside it signs its lines: the chain proves their order only";
    return { check, status: "missing", message, ...(key === undefined ? {} : { required: true }) };
  }
  if (key === undefined) return { check, status: "missing", message: proof(sealed, false) };
  return { check, status: "ok", message: proof(sealed, true) };
}

/** Whether the key of --key has signed what a signature says. */
function isProved(found: FoundSignature | undefined, { key }: Trust): boolean {
  return key !== undefined && found?.signed?.isSignedBy(key) === true;
}

/** Verbs that may give a file other bytes. */
const WRITES = new Set(["checkpoint", "cp"]);

/** Of lines about one file: where somebody who only read it met other bytes than the one before. Sums are written anew by each seal. */
function changes(lines: readonly CustodyLine[]): string[] {
  return lines.flatMap((line, index) => {
    const before = lines[index - 1];
    if (before === undefined || before.object === "" || before.sha256 === line.sha256 || WRITES.has(line.action)) return [];
    if (line.action === "seal" && basename(line.object) === SUMS) return [];
    return `${line.object} was changed between two lines: ${deed(before)}, and ${deed(line)}`;
  });
}

/** What a signature says of a custody file. */
interface SignedChain {
  readonly file: string;
  readonly lines: number;
  readonly head: string;
}

function signedChain(found: FoundSignature | undefined): SignedChain | undefined {
  const { file, lines, head } = object(found?.signed?.statement.predicate["custody"]);
  // A file without lines may have been signed: any chain continues it.
  return string(file) === "" || typeof lines !== "number" || lines === 0 ? undefined : { file: string(file), lines, head: string(head) };
}

/** Lines that were signed and are not there any more. */
function unsigned({ lines }: Chain, signed: SignedChain | undefined): string[] {
  if (signed === undefined || lines[signed.lines - 1]?.line === signed.head) return [];
  return [`line ${signed.lines} is not the one that was signed`];
}

/** What a chain proves. A signature by a key that nobody named may be anybody's. */
function proof(signed: SignedChain | undefined, isChecked: boolean): string {
  if (signed === undefined) return "without a seal, the chain proves the order of its lines only";
  return isChecked
    ? `signed up to line ${signed.lines}`
    : `a signature that was not checked with a key of --key covers it up to line ${signed.lines}`;
}

function deed({ action, user, machine, time }: CustodyLine): string {
  return `${action} by ${user} on ${machine} at ${time}`;
}

function at(directory: string, name: string): string {
  return isAbsolute(name) ? name : resolve(directory, name);
}

async function readCustody(path: string): Promise<Chain> {
  try {
    return readChain(await readPlainText(path, LARGEST_CUSTODY));
  } catch (error) {
    return { lines: [], problems: [`it cannot be read: ${(error as Error).message}`] };
  }
}
