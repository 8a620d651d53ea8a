import { VERB_TEXTS } from "../../src/cli/verbs.ts";
import { shapesOf, type FlagShape } from "../../src/commands/shared/flags.ts";
import type { VerbText } from "../../src/commands/shared/verb.ts";

const EXIT_STATUS: readonly (readonly [string, string])[] = [
  ["0", "success; for search and diff: found, or no difference"],
  ["1", "failure; for search and diff: nothing found, or a difference"],
  ["2", "wrong usage; for search and diff: anything else"],
  ["3", "not everything: some of several failed, or part of an archive could not be read"],
  ["128+n", "ended by signal n, after cleaning up"],
];

const ENVIRONMENT: readonly (readonly [string, string])[] = [
  ["KUBECONFIG", "kubeconfig files, merged as kubectl does"],
  [
    "KUBECTL_CHECKPOINT_HELPER_IMAGE, KUBECTL_CHECKPOINT_HELPER_NAMESPACE, KUBECTL_CHECKPOINT_HELPER_PULL_SECRET",
    "defaults of --helper-image, --helper-namespace and --helper-pull-secret",
  ],
  ["HTTPS_PROXY, HTTP_PROXY, NO_PROXY", "proxies, if the kubeconfig has none"],
  ["NODE_EXTRA_CA_CERTS", "a file of CA certificates to trust in addition to those of this machine"],
  ["NO_COLOR", "print no colors"],
];

/** The manual page kubectl-checkpoint(1), from the verbs' own help. For man's macros: man(7). */
export function manualPage(version: string): string {
  const [checkpoint, ...others] = VERB_TEXTS;
  const shared = Map.groupBy(
    VERB_TEXTS.flatMap(({ flags }) => shapesOf(flags)).filter(({ group }) => group !== undefined),
    ({ group }) => group ?? "",
  );
  return [
    `.TH KUBECTL\\-CHECKPOINT 1 "" ${quoted(`kubectl-checkpoint ${version}`)} "kubectl plugins"`,
    // Lines end as they may, and no word is divided.
    ".ad l",
    ".nh",
    section("NAME", ["kubectl\\-checkpoint \\- checkpoint running containers, read and restore the archives"]),
    section(
      "SYNOPSIS",
      VERB_TEXTS.flatMap((verb) => verb.usage).flatMap((line) => [`.B kubectl checkpoint`, text(line), ".br"]),
    ),
    section("DESCRIPTION", paragraphs(checkpoint.description)),
    section("EXAMPLES", examples(checkpoint)),
    section("OPTIONS", ownFlags(checkpoint)),
    section("VERBS", others.flatMap(verbSection)),
    ...[...shared].map(([title, flags]) => section(`${title.toUpperCase()} OPTIONS`, distinct(flags).flatMap(flag))),
    section("EXIT STATUS", EXIT_STATUS.flatMap(item)),
    section("ENVIRONMENT", ENVIRONMENT.flatMap(item)),
    section("SEE ALSO", [".BR kubectl (1),", ".BR criu (8)"]),
  ].join("\n");
}

function section(title: string, lines: readonly string[]): string {
  return [`.SH ${quoted(title)}`, ...lines].join("\n");
}

function verbSection(verb: VerbText): string[] {
  return [
    `.SS ${quoted(`kubectl checkpoint ${verb.name}`)}`,
    ...paragraphs(verb.description),
    ...ownFlags(verb),
    ...(verb.examples.length > 0 ? [".PP", "Examples:", ...examples(verb)] : []),
  ];
}

function ownFlags({ flags }: VerbText): string[] {
  return shapesOf(flags)
    .filter(({ group }) => group === undefined)
    .flatMap(flag);
}

/** One of each name. */
function distinct(flags: readonly FlagShape[]): FlagShape[] {
  return [...new Map(flags.map((one) => [one.name, one])).values()];
}

function paragraphs(description: string): string[] {
  return description.split("\n\n").flatMap((paragraph) => [".PP", ...paragraph.split("\n").map(text)]);
}

function examples(verb: VerbText): string[] {
  return verb.examples.flatMap(({ what, command }) => [
    ".PP",
    text(what),
    ".PP",
    ".RS 4",
    ".nf",
    ...command.split("\n").map(text),
    ".fi",
    ".RE",
  ]);
}

function flag({ name, short, takes, value = "", help }: FlagShape): string[] {
  const long = takes === "nothing" ? `--${name}` : takes === "optional" ? `--${name}[=${value}]` : `--${name} ${value}`;
  return item([short === undefined ? long : `-${short}, ${long}`, help]);
}

function item([term, description]: readonly [string, string]): string[] {
  return [".TP", `.B ${text(term)}`, text(description)];
}

/** Text of ours as roff takes it: no line is taken for a request, and every dash can be copied as one. */
function text(line: string): string {
  return line
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(/[^\0-\x7f]/gu, (character) => `\\[u${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, "0")}]`)
    .replace(/^(?=[.'])/, "\\&");
}

function quoted(argument: string): string {
  return `"${text(argument).replaceAll('"', "\\(dq")}"`;
}
