import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { newestOf } from "../../archive/elsewhere.ts";
import { ApiFailure } from "../../cluster/answer.ts";
import { ensureRunning, type ContainerTarget } from "../../flows/capture/targets/containers.ts";
import { findPod } from "../../flows/capture/targets/find.ts";
import { resolveTargets } from "../../flows/capture/targets/resolve.ts";
import type { FlowContext } from "../../flows/context.ts";
import type { CheckpointList } from "../../model/documents.ts";
import { Interrupted, UserError } from "../../model/error.ts";
import { command, say, type Text } from "../../model/phrase.ts";
import { counted } from "../../model/units.ts";
import { verb as checkpoint } from "../checkpoint.ts";
import { CLUSTER, connected, connectionOptions } from "../shared/cluster.ts";
import { valuesOf, type Given } from "../shared/flags.ts";
import { HELPER, helperSettings } from "../shared/helper-pods.ts";
import { targetWords } from "../shared/targets.ts";
import type { Call } from "../shared/verb.ts";
import { agreesToHelpers, question } from "./consent.ts";

/** Who mistyped a file's name does not wait for a cluster that does not answer. */
const LOOK_MS = 5000;

/**
 * Of a word that is no file: looks whether it is a pod, and asks whether its archive shall be made. Answers with the archive's file in the
 * working directory; undefined where no cluster answered. Throws NoSuchFile where there is no such pod, or no one archive can be made of it; an
 * Interrupted where the answer is no; and what a checkpoint throws.
 */
export async function offerArchive(word: string, call: Call): Promise<string | undefined> {
  const context = await whereItIs(word, call);
  if (context === undefined) return undefined;
  const target = await only(word, context);
  const { pod, container } = target;
  call.emit({
    kind: "hint",
    text: say`there is no file ${word}; pod/${pod.name} is in namespace ${pod.namespace}, and an archive of it is made with:
${command`kubectl checkpoint ${`pod/${pod.name}`} -c ${container.name} --copy`}`,
  });
  const [here, what] = [newestOf(pod.name), await question(context, [target])];
  const settings = helperSettings(valuesOf(HELPER, new Map()), call.env);
  for (;;) {
    const chosen = await call.ask.choose<"here" | "cancel" | "copy" | "move">(what, [
      ...(here === undefined ? [] : [{ value: "here" as const, label: say`no: read ${here} in this directory` }]),
      { value: "cancel", label: say`cancel` },
      { value: "copy", label: say`copy here` },
      { value: "move", label: say`copy here and remove from the node` },
    ]);
    const answer = chosen?.value ?? "cancel";
    if (answer === "cancel") throw new Interrupted("SIGINT");
    if (answer === "here") return here;
    if (await agreesToHelpers(context, [target], settings)) return await take(target, answer === "move", call);
  }
}

/** The cluster that has what the word means, which is all that is looked for; undefined where it could not be asked. Throws NoSuchFile. */
async function whereItIs(word: string, call: Call): Promise<(Call & FlowContext) | undefined> {
  call.emit({ kind: "activity", lane: word, text: say`looking for ${word} in the cluster` });
  const looked = look(word, call);
  try {
    return await Promise.race([looked, sleep(LOOK_MS, undefined, { signal: call.signal, ref: false })]);
  } catch (error) {
    call.signal.throwIfAborted();
    if (!(error instanceof UserError)) throw error;
    if (error.reason === "NoSuchFile") throw error;
    return undefined;
  } finally {
    looked.catch(() => undefined);
    call.emit({ kind: "idle", lane: word });
  }
}

async function look(word: string, call: Call): Promise<Call & FlowContext> {
  const [target] = targetWords([word]);
  const context = await connected(connectionOptions(valuesOf(CLUSTER, new Map())), call);
  try {
    if (target?.kind === "pod") await findPod(context, target.name);
    else await targetsOf(word, context);
  } catch (error) {
    const isMissing = error instanceof ApiFailure && error.status === 404;
    if (!isMissing && !(error instanceof UserError && NOT_THERE.has(error.reason))) throw error;
    throw noSuchFile(word, say`the cluster has none of that name either: ${error.said.message}`, error.said.fix);
  }
  return context;
}

const NOT_THERE = new Set(["PodNotFound", "NamespaceNotFound"]);

async function targetsOf(word: string, context: FlowContext): Promise<ContainerTarget[]> {
  const all = { labelSelector: undefined, fieldSelector: undefined, allNamespaces: false, containers: [], allContainers: false };
  return await resolveTargets(context, { ...all, words: targetWords([word]) });
}

/** The one container that is meant; of a pod with several it is picked. Throws NoSuchFile where there is not one, or it does not run. */
async function only(word: string, context: Call & FlowContext): Promise<ContainerTarget> {
  try {
    const targets = await targetsOf(word, context);
    const [target] = targets;
    if (target === undefined || targets.length > 1) {
      const why = say`${word} in namespace ${context.connection.namespace} stands for ${counted(targets.length, "container")}, each with an archive of its own`;
      throw noSuchFile(word, why, command`kubectl checkpoint ${word} --copy`);
    }
    ensureRunning(target);
    return target;
  } catch (error) {
    if (!(error instanceof UserError) || error.reason === "NoSuchFile") throw error;
    throw noSuchFile(word, error.whole, error.said.fix);
  }
}

function noSuchFile(word: string, why: Text, fix?: Text): UserError {
  return new UserError({ reason: "NoSuchFile", message: say`there is no file ${word}`, why, fix });
}

/** As `kubectl checkpoint POD -c NAME --copy` does; what that prints goes to stderr. Throws what it fails with where it leaves no copy. */
async function take({ pod, container }: ContainerTarget, removes: boolean, call: Call): Promise<string> {
  const given = new Map<string, Given>([
    ["container", [container.name]],
    ["copy", ""],
    ["remove", removes],
  ]);
  const running = checkpoint.run(checkpoint.request([`pod/${pod.name}`], valuesOf(checkpoint.flags, given), call.env), call);
  const errors: UserError[] = [];
  try {
    for (let next = await running.next(); ; next = await running.next()) {
      if (next.done === true) {
        const { items } = next.value.document as CheckpointList;
        const path = items[0]?.copy?.path;
        if (path === undefined) throw errors[0] ?? new UserError({ reason: "NoCopy", message: say`pod/${pod.name} was not copied` });
        for (const error of errors) call.emit({ kind: "warning", text: error.whole });
        return basename(path);
      }
      const { text, error } = next.value;
      if (text !== undefined && !("columns" in text)) call.emit({ kind: "hint", text });
      if (error !== undefined) errors.push(error);
    }
  } finally {
    await running.return({ exitCode: 1 });
  }
}
