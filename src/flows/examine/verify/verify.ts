import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import type { OpenArchive, Reading } from "../../../archive/archive.ts";
import { openArchive } from "../../../archive/open.ts";
import { readRecord, recordedVolumes, recordPath, recordProblems } from "../../../archive/record.ts";
import { bundlePath } from "../../../evidence/names.ts";
import {
  imageAround,
  images,
  members,
  nestedArchives,
  NOT_A_FILES_FAULT,
  orWhyNot,
  references,
  structure,
  type Check,
  type Finding,
} from "./checks.ts";
import { memoryProblems } from "./memory.ts";
import { problemsOf, type CheckResult, type Verification } from "./result.ts";
import { Trust } from "./trust.ts";
import { UserError } from "../../../model/error.ts";

/** The checks of a signature, and of its time, over a list of files that has the archive, and its record, as they are. */
export type SignedList = readonly [signature: CheckResult, time: CheckResult];

/** After so many problems the others are only counted. */
const MOST_PROBLEMS = 1000;

/** What each check looks at, and what is true where it finds nothing. */
const CHECKS: Readonly<Record<string, { readonly sound: string; readonly run: Check }>> = {
  archive: { sound: "it is complete, and all tar readers read it the same way", run: structure },
  image: { sound: "the layer is the one that the image's manifest names", run: imageAround },
  members: { sound: "all that its engine and CRIU always write is there", run: members },
  nested: { sound: "the archives inside it are complete, and all tar readers read them the same way", run: nestedArchives },
  images: { sound: "every image of CRIU can be read", run: images },
  references: { sound: "every image that another one refers to is there", run: references },
  memory: { sound: "pages, pagemaps and statistics fit together", run: memoryProblems },
};
const RECORD = "record";
/** Why an encrypted archive cannot be opened. */
const LOCKED = new Set(["IdentityNeeded", "PassphraseNeeded", "NotARecipient", "WrongPassphrase"]);
/** Of these, where something was given to open it with. */
const UNFIT = new Set(["NotARecipient", "WrongPassphrase"]);
const NOT_CHECKED = [...NOT_A_FILES_FAULT, ...LOCKED];

/**
 * Checks an archive: its structure and that of the archives inside it, that all its engine writes is there, that every
 * file of CRIU can be read, that memory and statistics fit; that it is what the record beside it says, and that it is as it was signed, when,
 * and as its custody file has it. Throws a UserError where there is no such file, or it cannot be read for what is not its fault.
 * `signedList` is what vouches for one that has no signature of its own.
 */
export async function verify(
  path: string,
  reading: Reading,
  trust = new Trust(reading.signal),
  signedList?: SignedList,
): Promise<Verification> {
  const findings = new Findings();
  // An archive that cannot be opened is not checked any further.
  let locked: UserError | undefined;
  try {
    for await (const problem of orWhyNot(checkArchive(path, reading, findings), NOT_CHECKED)) findings.add("archive", problem);
  } catch (error) {
    // What lies around an encrypted archive can be checked by those who may not read it.
    if (!(error instanceof UserError && LOCKED.has(error.reason))) throw error;
    locked = error;
  }
  const file = path === "-" ? undefined : evidenceOf(path);
  const recorded = file === undefined ? undefined : await recordProblems(file, async (one) => await trust.hashOf(one));
  for (const problem of recorded ?? []) findings.add(RECORD, problem);
  const checks = [...findings.made].map((check) => findings.result(check, CHECKS[check]?.sound ?? ""));
  checks.push(
    recorded === undefined
      ? { check: RECORD, status: "missing", message: "there is no record beside it" }
      : findings.result(RECORD, "size and SHA-256 are those of the record beside it"),
  );
  const inside: CheckResult[] = [];
  if (locked !== undefined) {
    // Whoever gives an identity or a passphrase wants the inside checked; that it does not fit says nothing against the archive.
    const required = UNFIT.has(locked.reason) ? ({ required: true } as const) : {};
    inside.push({ check: "archive", status: "missing", message: `${locked.message}: what is inside was not checked`, ...required });
  }
  checks.unshift(...inside);
  const around = file === undefined ? [] : [...(await volumesCheck(file, trust)), ...(await evidenceChecks(file, trust, signedList))];
  checks.push(...around);
  return { path, problems: [...findings.problems(), ...problemsOf([...inside, ...around])], notes: findings.notes, checks };
}

/** Of the volumes that were copied with it, where some were. */
async function volumesCheck(file: string, trust: Trust): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const { name, sha256 } of recordedVolumes(await readRecord(file))) {
    const path = join(dirname(file), name);
    const actual = existsSync(path) ? await trust.hashOrNone(path) : undefined;
    const wrong =
      actual === undefined
        ? `${name}, which was copied with it, ${existsSync(path) ? "cannot be read" : "is missing"}`
        : `the SHA-256 of ${name} is ${actual}; the record says ${sha256}`;
    results.push(
      actual === sha256
        ? { check: "volumes", status: "ok", message: `${name} has the SHA-256 of the record` }
        : { check: "volumes", status: "wrong", message: wrong },
    );
  }
  return results;
}

/** What lies around the archive: its signature, the time of that, and its custody file. */
async function evidenceChecks(file: string, trust: Trust, signedList: SignedList | undefined): Promise<CheckResult[]> {
  const { findSignature, signatureCheck, timeCheck } = await import("./signature.ts");
  const { custodyCheck } = await import("./custody.ts");
  const found = await findSignature(file);
  if (found === undefined && signedList !== undefined) return [...signedList, await custodyCheck(file, found, trust)];
  return [await signatureCheck(file, found, trust), await timeCheck(found, trust), await custodyCheck(file, found, trust)];
}

/** Through a link, what lies beside the file that it leads to; where nothing does, beside the link. */
function evidenceOf(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  const real = realpathSync(path);
  const has = (one: string): boolean => existsSync(recordPath(one)) || existsSync(bundlePath(one));
  return has(real) || !has(path) ? real : path;
}

// oxlint-disable-next-line require-yield -- what is found goes into the findings
async function* checkArchive(path: string, reading: Reading, findings: Findings): AsyncGenerator<string, void> {
  await using archive = await openArchive(path, { ...reading, pods: true });
  if (archive.pod === undefined) {
    await checkContainer(archive, reading.signal, findings, "");
    return;
  }
  const { containerIn } = await import("../../../archive/containers/unwrap.ts");
  for (const { name, directory } of archive.pod.containers)
    await checkContainer(containerIn(archive, directory), reading.signal, findings, `container ${name}: `);
}

/** `prefix` tells of whose archive it is, where there are several. */
async function checkContainer(archive: OpenArchive, signal: AbortSignal, findings: Findings, prefix: string): Promise<void> {
  for (const [check, { run }] of Object.entries(CHECKS)) {
    if (check === "image" && archive.image === undefined) continue;
    findings.made.add(check);
    signal.throwIfAborted();
    for await (const finding of orWhyNot(run(archive, signal))) {
      findings.add(check, typeof finding === "string" ? prefix + finding : { note: prefix + finding.note });
    }
  }
}

/** What was found, by check. What several checks stumble over is one problem. */
class Findings {
  readonly made = new Set<string>();
  readonly notes: string[] = [];
  readonly #problems = new Set<string>();
  readonly #first = new Map<string, string>();
  readonly #counts = new Map<string, number>();
  #more = 0;

  add(check: string, finding: Finding): void {
    if (typeof finding !== "string") {
      this.notes.push(finding.note);
      return;
    }
    this.made.add(check);
    if (!this.#first.has(check)) this.#first.set(check, finding);
    this.#counts.set(check, (this.#counts.get(check) ?? 0) + 1);
    if (this.#problems.size < MOST_PROBLEMS) this.#problems.add(finding);
    else this.#more += 1;
  }

  problems(): string[] {
    return [...this.#problems, ...(this.#more > 0 ? [`and at least ${this.#more} more`] : [])];
  }

  result(check: string, sound: string): CheckResult {
    const first = this.#first.get(check);
    if (first === undefined) return { check, status: "ok", message: sound };
    const others = (this.#counts.get(check) ?? 1) - 1;
    return { check, status: "wrong", message: others === 0 ? first : `${first} (and ${others} more)` };
  }
}
