import type { Finding, ReportEvidence, Severity } from "../../model/findings.ts";
import { command, hanging, joined, say, styled, whole, type Phrase, type Style } from "../../model/phrase.ts";
import { counted, formatBytes } from "../../model/units.ts";

/** Lines for findings: with the head and the tree, a screen and a half. */
const MOST_LINES = 44;
/** Of one kind and severity, so many are shown. */
const MOST_OF_A_KIND = 3;

const STYLES: Readonly<Record<Severity, Style>> = { high: "bad", medium: "warn", note: "dim" };

/** Findings as an investigator reads them: the gravest first, each with its reason and the command that shows more; notes in a line each. */
export function* findingsView(findings: readonly Finding[], file: string): Generator<Phrase> {
  const count = (wanted: Severity): number => findings.filter(({ severity }) => severity === wanted).length;
  yield say`\n${styled("strong", "Findings")}: ${count("high")} high, ${count("medium")} medium, ${counted(count("note"), "note")}`;
  let [lines, shown] = [0, 0];
  for (const [, ofKind] of Map.groupBy(findings, ({ id, severity }) => `${severity} ${id}`)) {
    for (const finding of ofKind.slice(0, MOST_OF_A_KIND)) {
      lines += finding.severity === "note" ? 1 : 2;
      if (lines > MOST_LINES) break;
      shown += 1;
      yield* findingView(finding);
    }
  }
  if (shown < findings.length)
    yield say`and ${findings.length - shown} more: ${command`kubectl checkpoint report ${file} --to report.html`}`;
}

export function* findingView({ id, severity, title, detail, command: more }: Finding): Generator<Phrase> {
  yield hanging(say`${styled(STYLES[severity], severity.padEnd(6))} ${styled("strong", id)}: ${title}`, 7);
  if (severity === "note") return;
  yield hanging(say`       ${detail}; see ${styled("dim", whole(more))}`, 7);
}

/** What the file is, and what is known of where it comes from. */
export function* evidenceView({ bytes, sha256, checks }: ReportEvidence): Generator<Phrase> {
  yield say`\n${styled("strong", "Evidence")}`;
  if (sha256 === undefined) yield say`not a file: it has no hash`;
  else yield say`SHA-256 ${sha256}, ${formatBytes(bytes ?? 0)}`;
  const words = checks.map(({ check, status, message }) =>
    status === "wrong" ? styled("bad", say`${check} ${status}: ${message}`) : say`${check} ${status}`,
  );
  if (words.length > 0) yield joined(words, ", ");
}
