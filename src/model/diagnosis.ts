import type { API_VERSION } from "./documents.ts";

/** One thing that was looked at. */
export interface DiagnosisItem {
  /** A stable word. */
  readonly check: string;
  readonly status: "ok" | "warn" | "fail" | "skip";
  readonly message: string;
  /** What to do, ready to paste; lines. */
  readonly fix?: string;
}

export interface Diagnosis {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: "Diagnosis";
  /** In the order of looking; the last ones say whether a checkpoint, a copy and a restore will work. */
  readonly items: readonly DiagnosisItem[];
}
