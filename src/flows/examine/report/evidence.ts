import { stat } from "node:fs/promises";
import { recordProblems } from "../../../archive/record.ts";
import type { ReportEvidence } from "../../../model/findings.ts";
import { findSignature, signatureCheck, timeCheck } from "../verify/signature.ts";
import { Trust } from "../verify/trust.ts";

type Check = ReportEvidence["checks"][number];

/** What the file is, and whether record and signature fit it; of standard input, images and directories only where it came from. */
export async function evidenceOf(path: string, signal: AbortSignal): Promise<ReportEvidence> {
  const stats = await stat(path).catch(() => undefined);
  if (stats?.isFile() !== true) return { path, checks: [] };
  const trust = new Trust(signal);
  const sha256 = await trust.hashOf(path);
  const found = await findSignature(path);
  const checks = [await recordCheck(path, trust), await signatureCheck(path, found, trust), await timeCheck(found, trust)];
  return { path, bytes: stats.size, sha256, checks: checks.map(({ check, status, message }) => ({ check, status, message })) };
}

async function recordCheck(path: string, trust: Trust): Promise<Check> {
  const problems = await recordProblems(path, async (file) => await trust.hashOf(file));
  if (problems === undefined) return { check: "record", status: "missing", message: "no record lies beside it" };
  const [problem] = problems;
  return problem === undefined
    ? { check: "record", status: "ok", message: "size and SHA-256 are those of the record beside it" }
    : { check: "record", status: "wrong", message: problem };
}
