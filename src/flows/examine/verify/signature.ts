import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { recordPath } from "../../../archive/record.ts";
import type { SignedStatement } from "../../../evidence/bundle.ts";
import { fingerprint, keyHint } from "../../../evidence/key.ts";
import { bundlePath } from "../../../evidence/names.ts";
import type { Subject } from "../../../evidence/statement.ts";
import { readPlainText } from "../../../local/plain.ts";
import type { CheckResult } from "./result.ts";
import type { Trust } from "./trust.ts";

/** A signature beside a file: read, or what is wrong with it. */
export interface FoundSignature {
  readonly path: string;
  readonly signed: SignedStatement | undefined;
  /** A clause. */
  readonly problem: string | undefined;
}

/** In bytes: a statement has a record in it, which is at most 16 MiB. */
const LARGEST_BUNDLE = 64 << 20;
const SIGNATURE = "signature";
const TIME = "time";

/** Undefined where none lies beside the file. */
export async function findSignature(path: string): Promise<FoundSignature | undefined> {
  const bundle = bundlePath(path);
  if (!existsSync(bundle)) return undefined;
  try {
    const { readBundle } = await import("../../../evidence/bundle.ts");
    const read = readBundle(await readPlainText(bundle, LARGEST_BUNDLE));
    return typeof read === "string"
      ? { path: bundle, signed: undefined, problem: read }
      : { path: bundle, signed: read, problem: undefined };
  } catch (error) {
    return { path: bundle, signed: undefined, problem: (error as Error).message };
  }
}

/** Whether the file, and what belongs to it, is as it was signed, and by whom. */
export async function signatureCheck(path: string, found: FoundSignature | undefined, trust: Trust): Promise<CheckResult> {
  const wrong = (message: string): CheckResult => ({ check: SIGNATURE, status: "wrong", message });
  if (found === undefined) return missing(SIGNATURE, "no signature lies beside it", trust.key !== undefined);
  const { signed, problem } = found;
  if (signed === undefined) return wrong(`its signature ${found.path} is damaged: ${problem}`);
  const { hint, statement } = signed;
  const { key } = trust;
  if (key !== undefined && !signed.isSignedBy(key)) return wrong(`its signature ${found.path} was changed, or is of another key`);
  if (key !== undefined && hint !== "" && hint !== keyHint(key)) return wrong(`its signature ${found.path} names another key`);
  const changed = await changedSubject(path, statement.subjects, trust);
  if (changed !== undefined) return wrong(changed);
  const record = recordPath(path);
  const recordHash = existsSync(record) ? await trust.hashOrNone(record) : undefined;
  const unsigned =
    existsSync(record) && !statement.subjects.some(({ sha256 }) => sha256 === recordHash) ? `, without its record ${basename(record)}` : "";
  if (key === undefined)
    return missing(
      SIGNATURE,
      `it is signed${hint === "" ? "" : ` with the key ${fingerprint(hint)}`}: give its public key as --key to check that`,
      false,
    );
  return { check: SIGNATURE, status: "ok", message: `signed with the key ${fingerprint(keyHint(key))}${unsigned}` };
}

/** What is not as it was signed: the file itself, under any name, or another one that was signed with it, beside it. */
async function changedSubject(path: string, subjects: readonly Subject[], trust: Trust): Promise<string | undefined> {
  const own = await trust.hashOrNone(path);
  if (own === undefined) return `${path} cannot be read`;
  const self = subjects.find(({ sha256 }) => sha256 === own);
  if (self === undefined) {
    const named = subjects.find(({ name }) => name === basename(path));
    return named === undefined
      ? `its signature is of another file, ${subjects[0]?.name}`
      : `its SHA-256 is ${own}; ${named.sha256} was signed`;
  }
  const base = self.name.replace(/\.age$/, "");
  for (const { name, sha256 } of subjects) {
    if (name === self.name || isOtherForm(name, self.name) || /[/\\]/.test(name)) continue;
    // A record that was renamed with its file is the one that counts; else what lies beside it under its own name.
    const renamed = { [`${base}.json`]: recordPath(path), [`${base}.json.age`]: `${recordPath(path)}.age` }[name];
    const beside = [...(renamed === undefined ? [] : [renamed]), join(dirname(path), name)].find((one) => existsSync(one));
    if (beside === undefined) return `${name}, which was signed with it, is missing`;
    if ((await trust.hashOrNone(beside)) !== sha256) return `${beside} was changed since it was signed`;
  }
  return undefined;
}

/** FILE and FILE.age: one of them may be there alone. */
function isOtherForm(name: string, self: string): boolean {
  return name === `${self}.age` || self === `${name}.age`;
}

/** Whether a timestamp authority says when it was signed. */
export async function timeCheck(found: FoundSignature | undefined, { authorities }: Trust): Promise<CheckResult> {
  const required = authorities !== undefined;
  if (found?.signed === undefined) return missing(TIME, "without a signature there is no signed time", required);
  const { timestamps, signature } = found.signed;
  const { readTimestamp } = await import("../../../evidence/timestamp.ts");
  const said: string[] = [];
  for (const timestamp of timestamps) {
    try {
      const read = readTimestamp(timestamp, signature, authorities);
      const why = authorities === undefined ? undefined : read.distrust(authorities);
      if (why !== undefined) return { check: TIME, status: "wrong", message: `its timestamp is not to be trusted: ${why}` };
      said.push(`${new Date(read.time).toISOString()} by ${read.authority}`);
    } catch (error) {
      return { check: TIME, status: "wrong", message: `the timestamp in ${found.path} is damaged: ${(error as Error).message}` };
    }
  }
  if (said.length === 0)
    return missing(TIME, "its signature has no timestamp: the times in its record are by this plugin's clock", required);
  if (!required)
    return missing(TIME, `signed at ${said.join(", ")}: give the authority's certificate as --timestamp-ca to check that`, false);
  return { check: TIME, status: "ok", message: `signed at ${said.join(", ")}` };
}

/** `required`: it was asked for, so that its absence is a problem. */
function missing(check: string, message: string, required: boolean): CheckResult {
  return { check, status: "missing", message, ...(required ? { required } : {}) };
}
