import type { Text } from "../model/phrase.ts";

export type Status = "ok" | "warn" | "fail" | "skip";

/** What a user wants to know: will it work? */
export type Purpose = "checkpoint" | "copy" | "restore";

/** How one thing was judged. */
export interface Verdict {
  readonly status: Status;
  /** Without a full stop, and without the place, which is said apart. */
  readonly message: Text;
  /** What to do, ready to paste; lines. */
  readonly fix?: Text | undefined;
  /** Where it decides less than its check. */
  readonly decides?: readonly Purpose[];
  /** Not looked at, because only --deep looks there. */
  readonly onlyDeep?: true;
  /** What it decides does not work here, which is no fault of the node. */
  readonly denies?: true;
  /** Bytes. Verdicts that differ only in what is left are one line, which has the least. */
  readonly leftBytes?: number;
}

/** A check, as data: it judges what was asked before, and asks nothing. */
export interface Check<Facts> {
  /** Stable: scripts look for it. */
  readonly name: string;
  /** What does not work where this fails. */
  readonly decides: readonly Purpose[];
  /** Causes of CRIU's failures that it sees beforehand, by their names in kubelet/criu-causes.ts. */
  readonly sees?: readonly string[];
  /** Undefined where there is nothing to say. */
  readonly judge: (facts: Facts) => Verdict | undefined;
}

/** A verdict, and what it is of. */
export interface Finding extends Verdict {
  readonly check: string;
  /** What does not work where it is bad. */
  readonly decides: readonly Purpose[];
  /** A node or a container; undefined for what is of the cluster. */
  readonly of?: string;
}

export function runChecks<Facts>(checks: readonly Check<Facts>[], facts: Facts, of?: string): Finding[] {
  return checks.flatMap(({ name, decides, judge }) => {
    const verdict = judge(facts);
    return verdict === undefined ? [] : [{ check: name, decides, ...verdict, ...(of === undefined ? {} : { of }) }];
  });
}

export function ok(message: Text): Verdict {
  return { status: "ok", message };
}

/** Of something that there is enough of. */
export function enough(message: Text, leftBytes: number): Verdict {
  return { status: "ok", message, leftBytes };
}

export function warn(message: Text, fix?: Text): Verdict {
  return { status: "warn", message, fix };
}

export function fail(message: Text, fix?: Text): Verdict {
  return { status: "fail", message, fix };
}

export function skip(message: Text, fix?: Text): Verdict {
  return { status: "skip", message, fix };
}

/** Of what only --deep looks at, without it. */
export function notLookedAt(message: Text, fix?: Text): Verdict {
  return { status: "skip", message, fix, onlyDeep: true };
}
