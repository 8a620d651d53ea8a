import type { Grantee } from "../cluster/access.ts";
import type { ConnectionOptions } from "../cluster/kubeconfig/options.ts";
import { summarize } from "../doctor/summary.ts";
import type { FlowContext } from "../flows/context.ts";
import { diagnose, type Diagnosed, type Subject } from "../flows/diagnose/diagnose.ts";
import { agreeTo } from "../flows/consent.ts";
import { Helpers } from "../helper/helpers.ts";
import type { HelperSettings } from "../helper/manifest.ts";
import type { Diagnosis, DiagnosisItem } from "../model/diagnosis.ts";
import { API_VERSION } from "../model/documents.ts";
import { usageError, UserError } from "../model/error.ts";
import { object, string } from "../model/json.ts";
import { command, joined, say, styled, type Phrase, type Style, type Table } from "../model/phrase.ts";
import type { Outcome, Piece } from "../model/report.ts";
import { CLUSTER, connected, connectionOptions } from "./shared/cluster.ts";
import { COMMON, output } from "./shared/common.ts";
import { list, on, optional, parsed } from "./shared/flags.ts";
import { HELPER, helperSettings } from "./shared/helper-pods.ts";
import { defineVerb } from "./shared/verb.ts";

export interface DoctorRequest {
  readonly subject: Subject;
  readonly deep: boolean;
  readonly fix: "print" | "apply" | undefined;
  /** Whose rights are looked at; undefined: those of the user. */
  readonly grantee: Grantee | undefined;
  readonly yes: boolean;
  readonly settings: HelperSettings;
  readonly cluster: ConnectionOptions;
}

export const verb = defineVerb({
  name: "doctor",
  summary: "Check whether checkpoints, copies and restores will work",
  usage: ["doctor [POD | node/NODE] [-c NAME] [--deep] [--fix[=apply]] [--for group:NAME | user:NAME] [options]"],
  description: `Check whether checkpoints, copies and restores will work, and how to fix what will not: on all nodes, on one node, or for the
containers of a pod. Nothing is checkpointed and nothing is changed.

--deep creates read-only privileged helper pods and checks what only the nodes know: CRIU and its options, free space and inodes, SELinux,
and the processes of the pod, or of all pods of the namespace: what their process 1 sleeps in (a checkpoint interrupts it), deleted files,
connections, locks, devices, io_uring and the rest that CRIU fails at. Without --deep these are reported as not checked.

--fix prints the RBAC objects that are missing, as few as possible, and nothing else, to standard output. --for checks the permissions of a
group or a user instead of yours. --fix=apply applies the objects after confirmation, waits until the kubelets accept them, puts back
CRIU's options that an interrupted --criu-option left on a node (with --deep), and checks again. Exit status: 0, or 1 if a check fails.`,
  examples: [
    { what: "Check all nodes", command: "kubectl checkpoint doctor" },
    { what: "Check one container, including its processes", command: "kubectl checkpoint doctor nginx -c nginx --deep" },
    { what: "Check one node, including CRIU", command: "kubectl checkpoint doctor node/node1 --deep" },
    { what: "Write the missing permissions to a file, for a cluster admin", command: "kubectl checkpoint doctor --fix >rbac.yaml" },
    { what: "All that a group needs", command: "kubectl checkpoint doctor --fix --for group:responders | kubectl apply -f -" },
    {
      what: "In a script: which checks fail?",
      command: `kubectl checkpoint doctor -o json | jq -r '.items[] | select(.status == "fail").check'`,
    },
  ],
  flags: {
    container: list({ short: "c", value: "NAME", help: "only this container of the pod" }),
    deep: on("check the nodes themselves, through helper pods"),
    fix: optional({ value: "apply", help: "print the missing RBAC objects; =apply: apply them after confirmation" }),
    for: parsed(granteeOf, { value: "group:NAME|user:NAME", help: "check and grant permissions of this group or user" }),
    output: output("json", "yaml"),
    ...HELPER,
    ...CLUSTER,
    ...COMMON,
  },
  request(words, flags, env): DoctorRequest {
    const { fix } = flags;
    if (fix !== undefined && fix !== "" && fix !== "apply")
      throw usageError(say`invalid value "${fix}" for --fix: use --fix or --fix=apply`);
    return {
      subject: subjectOf(words, flags.container.at(-1)),
      deep: flags.deep,
      fix: fix === undefined ? undefined : fix === "apply" ? "apply" : "print",
      grantee: flags.for,
      yes: flags.yes,
      settings: helperSettings(flags, env),
      cluster: connectionOptions(flags),
    };
  },
  async *run(request, call) {
    const context = await connected(request.cluster, call);
    const helpers = new Helpers(context.connection, call, request.settings);
    const look = async (): Promise<Diagnosed> =>
      await diagnose(context, helpers, request.subject, request.deep, request.grantee).catch((error: unknown) => {
        throw orNode(error, request.subject);
      });
    let found = await look();
    if (request.fix === "print") return yield* printManifests(context, found);
    if (request.fix === "apply" && (await repaired(context, helpers, found, request.yes))) found = await look();
    const items = summarize(found.findings);
    yield { text: table(items) };
    const fixes = items.filter(({ fix, status }) => fix !== undefined && status !== "ok");
    if (fixes.length > 0) yield { text: joined(fixes.map(fixText), "\n") };
    return { document: document(items), exitCode: exitCodeOf(items) };
  },
});

/** A pod that was not found may be a node. */
function orNode(error: unknown, subject: Subject): unknown {
  if (!(error instanceof UserError) || error.reason !== "PodNotFound" || subject.kind !== "pod") return error;
  const { message, why, fix } = error.said;
  const node = say`if the node was meant: ${command`kubectl checkpoint doctor ${`node/${subject.pod}`}`}`;
  return new UserError({ reason: error.reason, message, why, fix: fix === undefined ? node : joined([node, fix], "\n"), cause: error });
}

/** Of a user, what its groups may do does not count: the API server knows the groups of nobody but those who ask it. */
function granteeOf(text: string, name: string): Grantee {
  const [, kind, who = ""] = /^(group|user):(.+)$/s.exec(text) ?? [];
  if (kind !== "group" && kind !== "user") throw usageError(say`invalid value "${text}" for ${name}: use group:NAME or user:NAME`);
  return { kind, name: who };
}

function subjectOf(words: readonly string[], container: string | undefined): Subject {
  const word = words.length === 2 && /^(pods?|po|nodes?|no)$/.test(words[0] ?? "") ? words.join("/") : words[0];
  if (words.length > 2 || (words.length === 2 && word === words[0]))
    throw usageError(say`unexpected argument "${words[1] ?? ""}": doctor takes one POD or node/NODE`);
  const [, type = "pod", name = word] = /^([a-z]+)\/(.+)$/s.exec(word ?? "") ?? [];
  if (/^(nodes?|no)$/.test(type) && name !== undefined) {
    if (container !== undefined) throw usageError("-c requires a POD");
    return { kind: "node", node: name };
  }
  if (!/^(pods?|po)$/.test(type)) throw usageError(say`invalid target "${word ?? ""}": use POD or node/NODE`);
  if (name !== undefined) return { kind: "pod", pod: name, container };
  if (container !== undefined) throw usageError("-c requires a POD");
  return { kind: "cluster" };
}

/** Only the manifests go to stdout, for kubectl apply -f -; failed checks go to stderr. */
async function* printManifests(context: FlowContext, found: Diagnosed): AsyncGenerator<Piece, Outcome> {
  const { missingManifests } = await import("../flows/diagnose/repair.ts");
  const { dump } = await import("js-yaml");
  const manifests = missingManifests(found);
  const items = summarize(found.findings);
  for (const { check, status, message } of items) if (status === "fail") context.emit({ kind: "hint", text: say`${check}: ${message}` });
  const { who, unasked } = found.cluster;
  const asked =
    who === undefined ? say`which permissions are missing is unknown: the API server does not answer` : say`no permissions are missing`;
  if (manifests.length === 0) context.emit({ kind: "hint", text: say`${asked}; nothing was printed` });
  if (unasked)
    context.emit({
      kind: "warning",
      text: say`what ${who?.kind ?? ""} "${who?.name ?? ""}" may do already could not be asked: all of it is printed`,
    });
  const yaml = manifests.map((manifest) => dump(manifest, { lineWidth: -1 }).trimEnd()).join("\n---\n");
  if (manifests.length > 0) yield { text: joined(yaml.split("\n"), "\n") };
  return { document: { ...document(items), manifests }, exitCode: exitCodeOf(items) };
}

/** Whether anything was changed. */
async function repaired(context: FlowContext, helpers: Helpers, found: Diagnosed, yes: boolean): Promise<boolean> {
  const { applyManifests, missingManifests, putBack, waitForKubelets } = await import("../flows/diagnose/repair.ts");
  const { leftovers } = found;
  if (leftovers.length > 0) {
    const nodes = joined(
      leftovers.map(({ node }) => node),
      ", ",
    );
    const what = say`put back CRIU's options on ${nodes}, which an interrupted --criu-option changed`;
    if (!yes) await agreeTo(context, say`${what}?`, { message: say`this would ${what}` });
    for (const one of leftovers) await putBack(context, helpers, one);
  }
  const manifests = missingManifests(found);
  if (manifests.length === 0) {
    if (leftovers.length > 0) return true;
    context.emit({ kind: "hint", text: say`no permissions are missing; nothing was applied` });
    return false;
  }
  const names = manifests.map((manifest) => `${string(object(manifest)["kind"])}/${string(object(object(manifest)["metadata"])["name"])}`);
  if (!yes)
    await agreeTo(context, say`Apply ${joined(names, ", ")} to the cluster?`, {
      message: say`this would apply ${joined(names, ", ")} to the cluster`,
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
    narrow: { wrap: true, shorten: [] },
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
