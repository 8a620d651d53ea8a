import { list, object, string, type Json } from "../model/json.ts";

/** https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md */
const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";
/** Of DSSE envelopes with such a statement. */
export const PAYLOAD_TYPE = "application/vnd.in-toto+json";
/** What this plugin states of a checkpoint's archive: its record. */
export const RECORD_TYPE = "https://github.com/kubectl-checkpoint/kubectl-checkpoint/checkpoint-record/v1";
/** And of a directory of evidence: the files in it. */
export const DIRECTORY_TYPE = "https://github.com/kubectl-checkpoint/kubectl-checkpoint/evidence-directory/v1";

/** A file, and what its bytes are. */
export interface Subject {
  /** Without directories. */
  readonly name: string;
  /** In lowercase hexadecimal. */
  readonly sha256: string;
}

/** What is signed: of which files something is said, and what. */
export interface Statement {
  readonly subjects: readonly Subject[];
  readonly predicateType: string;
  readonly predicate: Json;
}

export function statementText({ subjects, predicateType, predicate }: Statement): string {
  return JSON.stringify({
    _type: STATEMENT_TYPE,
    subject: subjects.map(({ name, sha256 }) => ({ name, digest: { sha256 } })),
    predicateType,
    predicate,
  });
}

/** Undefined where the text is no in-toto Statement about files with SHA-256. */
export function parseStatement(text: string): Statement | undefined {
  let parsed: Json;
  try {
    parsed = object(JSON.parse(text));
  } catch {
    return undefined;
  }
  if (!/^https:\/\/in-toto\.io\/Statement\/v(0\.1|1)$/.test(string(parsed["_type"]))) return undefined;
  const subjects = list(parsed["subject"]).map((subject) => ({
    name: string(object(subject)["name"]),
    sha256: string(object(object(subject)["digest"])["sha256"]).toLowerCase(),
  }));
  const sound = subjects.length > 0 && subjects.every(({ sha256 }) => /^[0-9a-f]{64}$/.test(sha256));
  return sound ? { subjects, predicateType: string(parsed["predicateType"]), predicate: object(parsed["predicate"]) } : undefined;
}
