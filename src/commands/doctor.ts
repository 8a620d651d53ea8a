import { summarize } from "../doctor/summary.ts";
import type { FlowContext } from "../flows/context.ts";
import { diagnose, type Diagnosed, type Subject } from "../flows/diagnose/diagnose.ts";
import { agreeTo } from "../flows/consent.ts";
import { Helpers } from "../helper/helpers.ts";
import type { HelperSettings } from "../helper/manifest.ts";
import type { Diagnosis, DiagnosisItem } from "../model/diagnosis.ts";
import { API_VERSION } from "../model/documents.ts";
import { usageError } from "../model/error.ts";
import type { Flags } from "../model/flags.ts";
import { object, string } from "../model/json.ts";
import { joined, say, styled, type Phrase, type Style, type Table } from "../model/phrase.ts";
import type { Outcome, Piece } from "../model/report.ts";
import type { Call } from "./command.ts";
import { connect } from "./connect.ts";
import { helperSettings } from "./helper-settings.ts";

export interface DoctorRequest {
  readonly subject: Subject;
  readonly deep: boolean;
  readonly fix: "print" | "apply" | undefined;
  readonly yes: boolean;
  readonly settings: HelperSettings;
}

/** Throws a usage error. */
export function doctorRequest(words: readonly string[], flags: Flags, env: NodeJS.ProcessEnv): DoctorRequest {
  const fix = flags.text("fix");
  if (fix !== undefined && fix !== "" && fix !== "apply") throw usageError(`--fix="${fix}": --fix prints, --fix=apply applies`);
  return {
    subject: subjectOf(words, flags.list("container").at(-1)),
    deep: flags.on("deep"),
    fix: fix === undefined ? undefined : fix === "apply" ? "apply" : "print",
    yes: flags.on("yes"),
    settings: helperSettings(flags, env),
  };
}

function subjectOf(words: readonly string[], container: string | undefined): Subject {
  const word = words.length === 2 && /^(pods?|po|nodes?|no)$/.test(words[0] ?? "") ? words.join("/") : words[0];
  if (words.length > 2 || (words.length === 2 && word === words[0])) throw usageError(`doctor takes one pod or node, not ${words.length}`);
  const [, type = "pod", name = word] = /^([a-z]+)\/(.+)$/s.exec(word ?? "") ?? [];
  if (/^(nodes?|no)$/.test(type) && name !== undefined) {
    if (container !== undefined) throw usageError("-c goes with a pod");
    return { kind: "node", node: name };
  }
  if (!/^(pods?|po)$/.test(type)) throw usageError(`"${word}": doctor takes a POD or node/NODE`);
  if (name !== undefined) return { kind: "pod", pod: name, container };
  if (container !== undefined) throw usageError("-c goes with a pod");
  return { kind: "cluster" };
}

export async function* run(call: Call): AsyncGenerator<Piece, Outcome> {
  const request = doctorRequest(call.words, call.flags, call.env);
  const context: FlowContext = { ...call, connection: await connect(call) };
  const helpers = new Helpers(context.connection, call, request.settings);
  const look = async (): Promise<Diagnosed> => await diagnose(context, helpers, request.subject, request.deep);
  let found = await look();
  if (request.fix === "print") return yield* printManifests(context, found);
  if (request.fix === "apply" && (await repaired(context, found, request.yes))) found = await look();
  const items = summarize(found.findings);
  yield { text: table(items) };
  const fixes = items.filter(({ fix, status }) => fix !== undefined && status !== "ok");
  if (fixes.length > 0) yield { text: joined(fixes.map(fixText), "\n") };
  return { document: document(items), exitCode: exitCodeOf(items) };
}

/** Only they go to stdout, for kubectl apply -f -; what was found goes beside it. */
async function* printManifests(context: FlowContext, found: Diagnosed): AsyncGenerator<Piece, Outcome> {
  const { missingManifests } = await import("../flows/diagnose/repair.ts");
  const { dump } = await import("js-yaml");
  const manifests = missingManifests(found);
  const items = summarize(found.findings);
  for (const { check, status, message } of items) if (status === "fail") context.emit({ kind: "hint", text: say`${check}: ${message}` });
  if (manifests.length === 0) context.emit({ kind: "hint", text: say`no right is missing` });
  const yaml = manifests.map((manifest) => dump(manifest, { lineWidth: -1 }).trimEnd()).join("\n---\n");
  if (manifests.length > 0) yield { text: joined(yaml.split("\n"), "\n") };
  return { document: { ...document(items), manifests }, exitCode: exitCodeOf(items) };
}

/** Whether anything was applied. */
async function repaired(context: FlowContext, found: Diagnosed, yes: boolean): Promise<boolean> {
  const { applyManifests, missingManifests, waitForKubelets } = await import("../flows/diagnose/repair.ts");
  const manifests = missingManifests(found);
  if (manifests.length === 0) {
    context.emit({ kind: "hint", text: say`no right is missing: nothing is applied` });
    return false;
  }
  const names = manifests.map((manifest) => `${string(object(manifest)["kind"])}/${string(object(object(manifest)["metadata"])["name"])}`);
  if (!yes)
    await agreeTo(context, say`Apply ${joined(names, ", ")} to the cluster?`, {
      message: `${names.join(", ")} would be applied to the cluster, and no question can be asked here`,
    });
  await applyManifests(context, manifests);
  context.emit({ kind: "hint", text: say`applied: ${joined(names, ", ")}` });
  await waitForKubelets(
    context,
    found.nodes.filter(({ probe }) => probe.identity !== undefined).map(({ name }) => name),
  );
  return true;
}

const STYLES: Readonly<Record<DiagnosisItem["status"], Style>> = { ok: "good", warn: "warn", fail: "bad", skip: "dim" };

function table(items: readonly DiagnosisItem[]): Table {
  return {
    columns: ["STATUS", "CHECK", "MESSAGE"],
    rows: items.map(({ check, status, message }) => [styled(STYLES[status], status), check, message]),
  };
}

function fixText({ check, fix = "" }: DiagnosisItem): Phrase {
  return say`\n${styled("strong", `fix ${check}:`)}\n${joined(
    fix.split("\n").map((line) => say`  ${line}`),
    "\n",
  )}`;
}

function document(items: readonly DiagnosisItem[]): Diagnosis {
  return { apiVersion: API_VERSION, kind: "Diagnosis", items };
}

function exitCodeOf(items: readonly DiagnosisItem[]): number {
  return items.some(({ status }) => status === "fail") ? 1 : 0;
}
