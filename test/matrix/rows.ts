// Which runtimes are tried, and what on each cannot work: then it is explained beforehand, in words that are expected here.

export type Column =
  | "doctor"
  | "doctor --deep"
  | "checkpoint"
  | "copy"
  | "remove"
  | "ls"
  | "prune"
  | "explain"
  | "show to extract"
  | "image"
  | "base image absent"
  | "restore"
  | "isolated"
  | "move"
  | "without CRIU"
  | "CRIU too old"
  | "switched off";

/** A kind of node, of which there are two at a time. */
export interface Row {
  /** As `cluster up --node NAME=` takes it (test/cluster/specs.sh). */
  readonly spec: string;
  readonly title: string;
  /** What is refused, and what the refusal has to say. */
  readonly refused?: Partial<Readonly<Record<Column, RegExp>>>;
  /** What there is nothing of: no archives of a runtime that makes none. */
  readonly without?: readonly Column[];
  /** Whether it notices a CRIU that was installed while it runs. */
  readonly looksForCriuAgain: boolean;
  /** What its switches are: the spec with one of them the other way, what is refused then, and the words that name it. */
  readonly switches: readonly Switch[];
}

interface Switch {
  readonly spec: string;
  readonly refuses: "checkpoint" | "restore";
  readonly saying: RegExp;
}

/** Of containerd 2.2 and later: all tables of its CRI plugin are written so. */
const SECTION = String.raw`\[plugins\.'io\.containerd\.cri\.v1\.runtime'\]`;
const ENABLE_CRIU = new RegExp(String.raw`enable_criu = true[^]*${SECTION}|${SECTION}[^]*enable_criu = true`);
const ENABLE_RESTORE = new RegExp(
  String.raw`enable_experimental_restore_via_create = true[^]*${SECTION}|${SECTION}[^]*enable_experimental_restore_via_create = true`,
);
const NO_RESTORE_2_4 = /containerd 2\.4/;
const NO_RESTORE_CRUN = /crun[^]*--no-subreaper|--no-subreaper[^]*crun/;
const NO_RESTORES_CRUN = {
  "base image absent": NO_RESTORE_CRUN,
  restore: NO_RESTORE_CRUN,
  isolated: NO_RESTORE_CRUN,
  move: NO_RESTORE_CRUN,
};
const NO_RESTORE_1_7 = /containerd[^]* 2\.1/;
const NO_CHECKPOINT_1_7 = /containerd[^]* 2\.0/;

export const ROWS: readonly Row[] = [
  {
    spec: "containerd-1.7",
    title: "containerd 1.7",
    refused: {
      doctor: NO_CHECKPOINT_1_7,
      "doctor --deep": NO_CHECKPOINT_1_7,
      checkpoint: NO_CHECKPOINT_1_7,
      copy: NO_CHECKPOINT_1_7,
      explain: NO_CHECKPOINT_1_7,
      restore: NO_RESTORE_1_7,
      isolated: NO_RESTORE_1_7,
      move: NO_RESTORE_1_7,
    },
    without: ["base image absent", "remove", "ls", "prune", "show to extract", "image", "without CRIU", "CRIU too old", "switched off"],
    looksForCriuAgain: true,
    switches: [],
  },
  { spec: "containerd-2.1", title: "containerd 2.1", without: ["switched off"], looksForCriuAgain: true, switches: [] },
  {
    spec: "containerd-2.1+crun",
    title: "containerd 2.1, crun",
    refused: NO_RESTORES_CRUN,
    without: ["switched off"],
    looksForCriuAgain: true,
    switches: [],
  },
  ...(["2.2", "2.3"] as const).map((version): Row => ({
    spec: `containerd-${version}+restore`,
    title: `containerd ${version}`,
    looksForCriuAgain: false,
    switches: [
      { spec: `containerd-${version}+restore+no-checkpoint`, refuses: "checkpoint", saying: ENABLE_CRIU },
      { spec: `containerd-${version}`, refuses: "restore", saying: ENABLE_RESTORE },
    ],
  })),
  {
    spec: "containerd-2.3+crun+restore",
    title: "containerd 2.3, crun",
    refused: NO_RESTORES_CRUN,
    looksForCriuAgain: false,
    switches: [{ spec: "containerd-2.3+crun+restore+no-checkpoint", refuses: "checkpoint", saying: ENABLE_CRIU }],
  },
  {
    spec: "containerd-2.4",
    title: "containerd 2.4",
    refused: { "base image absent": NO_RESTORE_2_4, restore: NO_RESTORE_2_4, isolated: NO_RESTORE_2_4, move: NO_RESTORE_2_4 },
    looksForCriuAgain: false,
    switches: [{ spec: "containerd-2.4+no-checkpoint", refuses: "checkpoint", saying: ENABLE_CRIU }],
  },
  ...(["", "+crun"] as const).map((oci): Row => ({
    spec: `crio-1.36${oci}`,
    title: `CRI-O 1.36${oci === "" ? "" : ", crun"}`,
    refused: { "base image absent": /does not have the base image[^]*pull/ },
    looksForCriuAgain: false,
    switches: [{ spec: `crio-1.36${oci}+no-checkpoint`, refuses: "checkpoint", saying: /enable_criu_support = true/ }],
  })),
];
