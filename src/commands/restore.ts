import type { FlowContext } from "../flows/context.ts";
import { consentToPush } from "../flows/restore/image/consent.ts";
import { pushImage } from "../flows/restore/image/push.ts";
import type { RegistrySettings } from "../flows/restore/image/registries.ts";
import { archiveFile } from "../flows/restore/image/source.ts";
import { needing } from "../flows/rights.ts";
import { checkBaseImage } from "../flows/restore/base.ts";
import { agreeToPowers } from "../flows/restore/consent.ts";
import { createRestored, restoreRights } from "../flows/restore/create.ts";
import { findTarget, type Target } from "../flows/restore/nodes.ts";
import { checkpointInFile, checkpointInRegistry, type Checkpoint } from "../flows/restore/origin.ts";
import { planRestore, type RestoreOptions, type RestorePlan } from "../flows/restore/plan.ts";
import { watchExplained, type Explaining } from "../flows/restore/explained.ts";
import type { Restored } from "../flows/restore/watch.ts";
import { Helpers } from "../helper/helpers.ts";
import type { HelperSettings } from "../helper/manifest.ts";
import { formatReference, parseReference, pinned, type Reference } from "../image/reference.ts";
import { API_VERSION } from "../model/documents.ts";
import { usageError } from "../model/error.ts";
import type { Flags } from "../model/flags.ts";
import { say, type Phrase } from "../model/phrase.ts";
import type { Outcome, Piece } from "../model/report.ts";
import type { Restoration } from "../model/restoration.ts";
import { formatSeconds } from "../model/units.ts";
import type { Call } from "./command.ts";
import { connect } from "./connect.ts";
import { dryRunOf, type DryRun } from "./dry-run.ts";
import { helperSettings } from "./helper-settings.ts";
import { registrySettings } from "./registry-settings.ts";

export interface RestoreRequest {
  /** Undefined: the image is in its registry. */
  readonly file: string | undefined;
  readonly reference: Reference;
  readonly options: RestoreOptions;
  readonly settings: RegistrySettings;
  readonly dryRun: DryRun | undefined;
  /** Undefined: without --explain, no helper pod is made. */
  readonly explain: HelperSettings | undefined;
}

/** Throws a usage error. */
export function restoreRequest(words: readonly string[], flags: Flags, env: NodeJS.ProcessEnv): RestoreRequest {
  const [file, more] = words;
  const image = flags.text("image");
  if (image === undefined) throw usageError("from which image?", "kubectl checkpoint restore [FILE] --image REGISTRY/REPOSITORY:TAG");
  if (more !== undefined) throw usageError(`one archive at a time: "${more}" is one word too many`);
  if (file === "" || file === "-") throw usageError("FILE is an archive on this machine: it is read more than once");
  return {
    file,
    reference: parseReference(image),
    options: {
      name: flags.text("name"),
      namespace: flags.text("namespace"),
      node: flags.text("node"),
      setImages: new Map(flags.list("set-image").map(nameAndImage)),
      isolated: flags.on("isolated"),
      keep: {
        labels: flags.on("keep-labels"),
        annotations: flags.on("keep-annotations"),
        liveness: flags.on("keep-liveness"),
        readiness: flags.on("keep-readiness"),
        startup: flags.on("keep-startup"),
      },
      keepHostPorts: false,
    },
    settings: registrySettings(flags),
    dryRun: dryRunOf(flags),
    explain: flags.on("explain") ? helperSettings(flags, env) : undefined,
  };
}

function nameAndImage(text: string): [string, string] {
  const [, name, image] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
  if (name === undefined || image === undefined) throw usageError(`--set-image: "${text}" is not NAME=REF`);
  return [name, image];
}

export async function* run(call: Call): AsyncGenerator<Piece, Outcome> {
  const request = restoreRequest(call.words, call.flags, call.env);
  const { file, reference, options, settings, dryRun, explain } = request;
  const connection = await connect(call);
  const context: FlowContext = { ...call, connection };
  const found = file === undefined ? await checkpointInRegistry(call, reference, settings) : undefined;
  const checkpoint = found ?? (await checkpointInFile(file ?? "", call.signal));
  if (checkpoint.problem !== undefined) call.emit({ kind: "warning", text: checkpoint.problem });
  const image = found === undefined ? formatReference(reference) : pinned(reference, found.digest);
  const plan = (name: string, target?: Target): RestorePlan =>
    planRestore(checkpoint, options, name, target?.candidates, connection.namespace);

  // Whatever is wrong with the manifest is told before anything is sent.
  const planned = plan(image);
  if (dryRun === "client") return yield* shown(call, planned, [planned.policy ?? [], planned.pod].flat(), "dry run");
  const target = await findTarget(context, options.node, checkpoint.facts, checkpoint.origin);
  const doubts = [...target.warnings, ...(await checkBaseImage(call, checkpoint.facts, target.nodes, settings))];
  for (const text of doubts) call.emit({ kind: "warning", text });
  const rights = restoreRights(planned.namespace, options.isolated);
  if (dryRun === "server") {
    const there = plan(image, target);
    return yield* shown(
      call,
      there,
      await needing(connection, rights, async () => await createRestored(context, there, true)),
      "server dry run",
    );
  }
  await agreeToPowers(context, planned, options.node, call.flags.on("yes"));
  const restored = plan(found === undefined ? await push(call, file ?? "", request, checkpoint) : image, target);
  tell(call, restored);
  const helpers = explain === undefined ? undefined : new Helpers(connection, call, explain);
  const started = performance.now();
  const { node, evidence } = await needing(connection, rights, async () => {
    await createRestored(context, restored);
    return await watched(context, restored, { helpers, file });
  });
  const seconds = Math.round(performance.now() - started) / 1000;
  const { name, namespace, container } = restored;
  yield {
    text: say`pod/${name} in namespace ${namespace}: container ${container} restored on ${node} in ${formatSeconds(seconds)}`,
    name: `pod/${name}`,
  };
  call.emit({ kind: "hint", text: proof(evidence) });
  call.emit({
    kind: "hint",
    text: say`a restart of the container restores the checkpoint again; a changed environment or command does not reach its processes`,
  });
  const document: Restoration = {
    apiVersion: API_VERSION,
    kind: "Restoration",
    namespace,
    pod: name,
    container,
    node,
    image: restored.image,
    restored: true,
    evidence,
    seconds,
  };
  return { document, exitCode: 0 };
}

async function push(call: Call, file: string, { reference, settings }: RestoreRequest, checkpoint: Checkpoint): Promise<string> {
  const { origin, expected, facts } = checkpoint;
  const what = say`The checkpoint of container ${facts.info.container ?? ""}`;
  const pushed = await pushImage(call, {
    reference,
    archive: await archiveFile(file),
    compression: undefined,
    origin,
    expected,
    settings,
    consent: async (found) => await consentToPush(call, call.flags.on("yes"), reference, what, found),
  });
  if (pushed.sentBytes > 0) call.emit({ kind: "hint", text: say`pushed ${pushed.reference}` });
  return pushed.reference;
}

/** The pod that failed stays, to be looked at. */
async function watched(context: FlowContext, plan: RestorePlan, explaining: Explaining): Promise<Restored> {
  try {
    return await watchExplained(context, plan, explaining);
  } catch (error) {
    const { name, namespace } = plan;
    context.emit({ kind: "hint", text: say`pod/${name} stays as it is; to remove it: kubectl delete pod ${name} -n ${namespace}` });
    throw error;
  }
}

function tell({ emit }: Call, { notes, gaps }: RestorePlan): void {
  for (const text of gaps) emit({ kind: "warning", text });
  for (const text of notes) emit({ kind: "hint", text: say`note: ${text}` });
}

export function proof(evidence: readonly string[]): Phrase {
  return say`restored, not started anew: ${evidence.join("; ")}`;
}

/** A line for each, and them as the document. */
export async function* shown(call: Call, plan: RestorePlan, objects: readonly object[], how: string): AsyncGenerator<Piece, Outcome> {
  tell(call, plan);
  const { name, namespace, policy } = plan;
  if (policy !== undefined)
    yield { text: say`networkpolicy/${name} created in namespace ${namespace} (${how})`, name: `networkpolicy/${name}` };
  yield { text: say`pod/${name} created in namespace ${namespace} (${how})`, name: `pod/${name}` };
  const [only] = objects;
  return { document: objects.length === 1 && only !== undefined ? only : { apiVersion: "v1", kind: "List", items: objects }, exitCode: 0 };
}
