import type { API_VERSION } from "./documents.ts";
import type { Phrase } from "./phrase.ts";

/** "high": no ordinary container has it. "medium": few have. "note": what an investigator wants to know of any. */
export type Severity = "high" | "medium" | "note";

/** What somebody should see of an archive. Texts have untrusted values in them. */
export interface Finding {
  /** A stable CamelCase word. */
  readonly id: string;
  readonly severity: Severity;
  readonly title: Phrase;
  /** Why it is worth looking at. */
  readonly detail: Phrase;
  /** A command that shows more. */
  readonly command: Phrase;
  readonly pid?: number;
  readonly path?: string;
  readonly address?: string;
}

/** A finding in a document. */
export interface FindingItem extends Omit<Finding, "title" | "detail" | "command"> {
  readonly title: string;
  readonly detail: string;
  readonly command: string;
}

export interface TimelineItem {
  /** RFC 3339. */
  readonly time: string;
  /** What the time is of: "container started", "content modification". */
  readonly what: string;
  readonly message: string;
  readonly path?: string;
}

/** What is known of the file itself. */
export interface ReportEvidence {
  readonly path: string;
  /** Of the file as it lies there; absent for a pipe. */
  readonly bytes?: number | undefined;
  readonly sha256?: string | undefined;
  /** As verify has them: record, signature, time. */
  readonly checks: readonly { readonly check: string; readonly status: "ok" | "missing" | "wrong"; readonly message: string }[];
}

/** The document of `report`. */
export interface Report {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: "Report";
  readonly container: {
    readonly name?: string | undefined;
    readonly containerID?: string | undefined;
    readonly image?: string | undefined;
    readonly imageID?: string | undefined;
    readonly pod?: string | undefined;
    readonly namespace?: string | undefined;
    readonly podUID?: string | undefined;
    readonly engine?: string | undefined;
    readonly createdAt?: string | undefined;
    readonly startedAt?: string | undefined;
    readonly checkpointedAt?: string | undefined;
    readonly processes: number;
    readonly memoryBytes: number;
  };
  readonly evidence: ReportEvidence;
  readonly findings: readonly FindingItem[];
  readonly timeline: readonly TimelineItem[];
  /** False where something could not be read. */
  readonly complete: boolean;
  readonly problems: readonly string[];
}
