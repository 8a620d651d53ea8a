import type { OpenArchive, Reading } from "../../../archive/archive.ts";
import type { VolumesBeside } from "../../../archive/volumes.ts";
import { engineOf } from "../../../archive/engines/engine.ts";
import { readObject } from "../../../archive/read.ts";
import { ROOTFS_CHANGE } from "../../../archive/rootfs.ts";
import { commonsOf } from "../../../criu/commons.ts";
import { attempt, type Tell } from "../../../criu/problems.ts";
import { processFacts, type Facts, type RuleHit } from "../../../findings/facts.ts";
import { findings } from "../../../findings/find.ts";
import { maskedDocument, maskedPhrase } from "../../../findings/secrets.ts";
import { API_VERSION } from "../../../model/documents.ts";
import type { UserError } from "../../../model/error.ts";
import type { Finding, Report, ReportEvidence, TimelineItem } from "../../../model/findings.ts";
import type { ChangeItem, Inspection, ProcessItem } from "../../../model/inspection.ts";
import { plain, say, type Phrase } from "../../../model/phrase.ts";
import type { ImageListing } from "../base/listing.ts";
import { changedFiles } from "../changes/changes.ts";
import { isOfRuntime } from "../changes/runtime.ts";
import { inspectArchive } from "../inspect/inspection.ts";
import type { Section } from "../inspect/process.ts";
import { evidenceOf } from "./evidence.ts";
import { declaredPorts, readRecord } from "./record.ts";
import { secretHits } from "./secrets.ts";
import { timeline } from "./timeline.ts";

const SECTIONS: ReadonlySet<Section> = new Set(["ps", "env", "files", "sockets", "mounts", "totals", "memory", "stats"]);

/** Scans an archive with rules. */
export type RuleScan = (archive: OpenArchive, volumes: VolumesBeside | undefined, tell: Tell) => Promise<readonly RuleHit[]>;

export interface ReportRequest {
  readonly file: string;
  /** Changed files are hashed: where somebody reads the hashes. */
  readonly hashes: boolean;
  readonly showSecrets: boolean;
  /** What was copied with the archive. */
  readonly volumes?: VolumesBeside | undefined;
  /** What rules find; undefined where none were given. */
  readonly rules?: RuleScan;
  /** The image that the container was made from: "" is the one that the archive names. */
  readonly base?: { readonly image: string; readonly reading: Reading };
  readonly signal: AbortSignal;
}

/** What a report has besides its document: for the pages that show more. */
export interface Reported {
  readonly report: Report;
  readonly inspection: Inspection;
  readonly changes: readonly ChangeItem[];
}

/** The parts of a report, as they are known: what is quick first, then what reads the whole archive. */
export type ReportPart =
  | { readonly kind: "found"; readonly inspection: Inspection; readonly findings: readonly Finding[] }
  /** Further findings, and all of it. */
  | { readonly kind: "done"; readonly more: readonly Finding[]; readonly evidence: ReportEvidence; readonly reported: Reported }
  | { readonly kind: "problem"; readonly error: UserError }
  | { readonly kind: "warning"; readonly text: Phrase };

/** What an investigator should see of an archive. Throws a UserError where it has no processes. */
export async function* reportArchive(archive: OpenArchive, request: ReportRequest): AsyncGenerator<ReportPart> {
  const { file, signal, showSecrets, volumes } = request;
  const problems: UserError[] = [];
  const tell = (problem: UserError): void => {
    if (!problems.some(({ message }) => message === problem.message)) problems.push(problem);
  };
  const told = new Set<UserError>();
  function* news(): Generator<ReportPart> {
    for (const error of problems) if (!told.has(error)) yield { kind: "problem", error };
    for (const error of problems) told.add(error);
  }
  const { inspection, problems: unread } = await inspectArchive(archive, { sections: SECTIONS, pid: undefined });
  for (const problem of unread) tell(problem);
  const listed = await changesOf(archive, request, tell);
  const base = await baseOf(archive, inspection, listed, request, tell);
  for (const text of base?.warnings ?? []) yield { kind: "warning", text };
  const changes = base === undefined ? listed : listed.map((item) => ({ ...item, change: changeBy(base.listing, item) }));
  const found = await readRecord(file);
  const info = await attempt(tell, async () => await engineOf(archive));
  const changed = new Map(changes.map((item) => [item.path, item]));
  const facts: Facts = {
    file,
    inspection,
    processes: processFacts(inspection, changed),
    changes: changes.filter((item) => !isOfRuntime(item)),
    changed,
    spec: (await attempt(tell, async () => await readObject(archive, "spec.dump"))) ?? {},
    ports: declaredPorts(found, info?.annotations ?? {}, info?.container),
    secrets: [],
    ruleHits: (await request.rules?.(archive, volumes, tell)) ?? [],
    foreign: base?.listing.foreign ?? new Map(),
  };
  const shown = (finding: Finding): Finding => (showSecrets ? finding : maskedFinding(finding));
  const first = findings(facts).map(shown);
  yield { kind: "found", inspection: showSecrets ? inspection : maskedDocument(inspection), findings: first };
  yield* news();
  const secrets = await secretHits(archive, { signal, tell, volumes });
  const evidence = await evidenceOf(file, signal);
  const all = findings({ ...facts, secrets }).map(shown);
  yield* news();
  const times = timeline(archive, inspection, changes, found);
  const document = reportOf({ inspection, evidence, all, times, problems });
  const reported = { report: document, inspection, changes };
  yield {
    kind: "done",
    more: all.filter(({ id }) => id === "SecretFound"),
    evidence,
    reported: showSecrets ? reported : maskedDocument(reported),
  };
}

async function changesOf(archive: OpenArchive, { signal, hashes }: ReportRequest, tell: Tell): Promise<ChangeItem[]> {
  const changes: ChangeItem[] = [];
  await attempt(tell, async () => {
    for await (const item of changedFiles(archive, { signal, tell, hashes })) {
      archive.budget.keep("changed files", 3, item.path.length);
      changes.push(item);
    }
  });
  return changes;
}

interface Base {
  readonly listing: ImageListing;
  readonly warnings: readonly Phrase[];
}

/** What the base image has, where it was asked for. Throws a UserError where it cannot be read, or is not the container's. */
async function baseOf(
  archive: OpenArchive,
  { criu }: Inspection,
  changes: readonly ChangeItem[],
  { base }: ReportRequest,
  tell: Tell,
): Promise<Base | undefined> {
  if (base === undefined) return undefined;
  const { baseReference, platformOf } = await import("../base/reference.ts");
  const { imageListing } = await import("../base/listing.ts");
  const { reference, warning } = await baseReference(archive, base.image);
  const table = (await attempt(tell, commonsOf(archive).files)) ?? { files: new Map(), remaps: new Map() };
  const written = new Set(changes.map(({ path }) => path));
  const setting = { reference, architecture: platformOf(criu.architecture), reading: base.reading };
  const listing = await imageListing(archive, table, written, setting);
  const unknown = say`the checkpoint has no build ID to compare with: whether ${reference} is its image is not known`;
  return { listing, warnings: [...(warning === undefined ? [] : [warning]), ...(listing.same === 0 ? [unknown] : [])] };
}

/** What was in a volume or tmpfs when it was mounted, the image does not tell. */
function changeBy(listing: ImageListing, { change, member, path }: ChangeItem): ChangeItem["change"] {
  if (change !== "added or changed" || member !== ROOTFS_CHANGE) return change;
  return listing.has(path) ? "changed" : "added";
}

function maskedFinding(finding: Finding): Finding {
  return {
    ...finding,
    title: maskedPhrase(finding.title),
    detail: maskedPhrase(finding.detail),
    command: finding.command,
  };
}

interface Parts {
  readonly inspection: Inspection;
  readonly evidence: ReportEvidence;
  readonly all: readonly Finding[];
  readonly times: readonly TimelineItem[];
  readonly problems: readonly UserError[];
}

function reportOf({ inspection, evidence, all, times, problems }: Parts): Report {
  const { container, containerID, image, imageID, pod, namespace, podUID, engine, createdAt, startedAt, checkpointedAt } = inspection;
  return {
    apiVersion: API_VERSION,
    kind: "Report",
    container: {
      name: container,
      containerID,
      image,
      imageID,
      pod,
      namespace,
      podUID,
      engine,
      createdAt,
      startedAt,
      checkpointedAt,
      processes: count(inspection.processes),
      memoryBytes: inspection.memoryBytes,
    },
    evidence,
    findings: all.map(({ id, severity, title, detail, command, ...rest }) => ({
      id,
      severity,
      title: plain(title),
      detail: plain(detail),
      command: plain(command),
      ...rest,
    })),
    timeline: times,
    complete: problems.length === 0,
    problems: problems.map(({ message }) => message),
  };
}

function count(processes: readonly ProcessItem[]): number {
  return processes.reduce((sum, { children }) => sum + 1 + count(children), 0);
}
