import { join, resolve } from "node:path";
import { proved, type Captured } from "../../flows/capture/one.ts";
import type { FlowContext } from "../../flows/context.ts";
import type { VerbContext } from "../../flows/rights.ts";
import type { CopyOptions, CopyPlan } from "../../flows/collect/copy/prepare.ts";
import { ensureFits, expectRun } from "../../flows/capture/run/expect.ts";
import { restOf } from "../../flows/capture/run/resume.ts";
import { runAll, type RunRequest } from "../../flows/capture/run/run.ts";
import { RunState, type RunOptions } from "../../flows/capture/run/state.ts";
import type { ContainerTarget } from "../../flows/capture/targets/containers.ts";
import type { Codec } from "../../helper/directory.ts";
import type { CheckpointItem } from "../../model/documents.ts";
import { UserError } from "../../model/error.ts";
import { command, say, type Phrase } from "../../model/phrase.ts";
import { WHOLE } from "../../model/context.ts";
import { counted, formatBytes, formatSeconds } from "../../model/units.ts";
import type { Outcome, Piece } from "../../model/report.ts";
import { agree } from "./consent.ts";
import { explained } from "./explain.ts";
import { checkpointList, endText, exitCodeOf, pieces, resultTable, settled, summaryText } from "./report.ts";
import { criuOptionsOf, planOf, PROVE_MS, type CheckpointRequest } from "./request.ts";

const PER_NODE = 1;
const PARALLEL = 8;

/** A run with several targets: shown, confirmed, compared with the free space, and recorded in a file. */
export async function* takeMany(
  context: FlowContext,
  request: CheckpointRequest,
  targets: readonly ContainerTarget[],
  terminal: boolean,
): AsyncGenerator<Piece, Outcome> {
  const { timeoutMs, proveMs = PROVE_MS, perNode = PER_NODE, parallel = PARALLEL, copy, force, yes } = request;
  await using plan = await planOf(context, request, targets, true);
  const expectations = await expectRun(context, targets, await roomHere(plan));
  await agree(context, targets, expectations, yes);
  ensureFits(expectations, force, context.emit);
  await using criuOptions = await criuOptionsOf(context, request, nodesOf(targets));
  const destination = resolve(copy?.destination ?? ".");
  const options: RunOptions = {
    proveMs,
    perNode,
    parallel,
    force,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(request.criuOptions.length === 0 ? {} : { criuOptions: request.criuOptions }),
    ...(copy === undefined
      ? {}
      : { copy: { destination, remove: copy.remove, codec: copy.codec, ...encryptedTo(request), ...moreOf(copy) } }),
  };
  const state = await keepState(context, copy === undefined ? resolve(".") : destination, options, targets);
  return yield* work(
    { ...context, criuOptions },
    request,
    { targets, timeoutMs, proveMs, plan, perNode, parallel, expectations },
    state,
    [],
    terminal,
  );
}

/** --resume: what is left of the run in that file, with its options. */
export async function* resumeMany(
  context: FlowContext,
  request: CheckpointRequest,
  path: string,
  terminal: boolean,
): AsyncGenerator<Piece, Outcome> {
  const state = await RunState.read(path);
  const { options, server } = state.document;
  if (server !== context.connection.server) {
    throw new UserError({
      reason: "RunFileUnusable",
      message: say`the run in ${path} belongs to another cluster`,
      why: say`its API server is ${server}, not ${context.connection.server}`,
      fix: "rerun with the --context of that cluster",
      exitCode: 2,
    });
  }
  const { done, targets, captured, lost } = await restOf(context, state.document);
  context.emit({
    kind: "hint",
    text: say`${done.length} of ${state.document.items.length} containers are done, ${targets.length} are left`,
  });
  for (const one of lost) yield* pieces(one);
  const { timeoutMs = options.timeoutMs, perNode = options.perNode, parallel = options.parallel } = request;
  const proveMs = request.proveMs ?? options.proveMs ?? PROVE_MS;
  const force = request.force || options.force === true;
  const copy = options.copy === undefined ? undefined : { ...options.copy, force, codec: options.copy.codec as Codec | "auto" };
  await using plan = await planOf(context, { ...request, copy, evidence: resumedEvidence(request, options) }, targets, true);
  const taken = targets.filter((target) => !captured.has(target));
  const expectations = await expectRun(context, taken, await roomHere(plan));
  if (taken.length > 0) await agree(context, taken, expectations, request.yes);
  ensureFits(expectations, force, context.emit);
  const given = request.criuOptions.length > 0 ? request.criuOptions : (options.criuOptions ?? []);
  await using criuOptions = await criuOptionsOf(context, { ...request, criuOptions: given }, nodesOf(taken));
  const run = { targets, captured, timeoutMs, proveMs, plan, perNode, parallel, expectations };
  return yield* work({ ...context, criuOptions }, request, run, state, [...done.map((item) => ({ item })), ...lost], terminal);
}

function moreOf({ logLines, volumes }: CopyOptions): Pick<NonNullable<RunOptions["copy"]>, "logLines" | "volumes"> {
  return { ...(logLines === undefined ? {} : { logLines }), ...(volumes === undefined ? {} : { volumes }) };
}

function encryptedTo({ evidence }: CheckpointRequest): { readonly encryptTo?: readonly string[] } {
  return evidence?.encryptTo === undefined ? {} : { encryptTo: evidence.encryptTo };
}

/** A run that encrypts its copies does so to its end. */
function resumedEvidence({ evidence, force }: CheckpointRequest, { copy }: RunOptions): CheckpointRequest["evidence"] {
  if (copy?.encryptTo === undefined || evidence?.encryptTo !== undefined) return evidence;
  return { signKey: undefined, timestamp: undefined, custody: undefined, replace: force, ...evidence, encryptTo: copy.encryptTo };
}

async function* work(
  context: VerbContext,
  request: CheckpointRequest,
  run: RunRequest,
  state: RunState | undefined,
  before: readonly Captured[],
  terminal: boolean,
): AsyncGenerator<Piece, Outcome> {
  const results: Captured[] = [...before];
  const of = run.targets.length;
  // At a terminal there is a line for each, and a table in the end; scripts get the result of each as it comes.
  const tabled = terminal && request.printed && of > 1;
  const silent = !tabled && (of < 2 || request.printed || context.ask.possible);
  const whole = wholeOf(context, of);
  whole([]);
  let kept = state;
  const watched: Promise<void>[] = [];
  const known: { readonly taken: Captured; readonly done: Captured }[] = [];
  // What became of an original is said as soon as it is known, and nothing waits for it.
  const follow = (taken: Captured): void => void watched.push(proved(context, taken).then((done) => void known.push({ taken, done })));
  const settle = async function* (): AsyncGenerator<Piece> {
    for (const { taken, done } of known.splice(0)) {
      const end = yield* settled(context, done, run.plan?.evidence);
      results[results.indexOf(taken)] = end;
      kept = await recorded(context, kept, end);
    }
  };
  try {
    for await (const one of runAll(context, run)) {
      const taken = { ...one, ...(await explained(context, request, one, false)) };
      results.push(taken);
      kept = await recorded(context, kept, taken);
      if (!silent) context.emit({ kind: "hint", text: endText(taken.item, results.length - before.length, of) });
      if (!tabled) yield* pieces(taken);
      else if (taken.error !== undefined) yield { error: taken.error };
      whole(results.slice(before.length));
      if (taken.proof !== undefined || taken.item.copy !== undefined) follow(taken);
      yield* settle();
    }
  } catch (error) {
    // Whoever stops a run wants to know how far it came, and how to continue it.
    if (!context.signal.aborted) throw error;
  }
  context.emit({ kind: "idle", lane: WHOLE });
  await Promise.all(watched);
  yield* settle();
  const missing = of + before.length - results.length;
  const items = inOrder(
    results.map(({ item }) => item),
    state,
  );
  if (tabled && items.length > 0) yield { text: resultTable(items) };
  context.emit({ kind: "hint", text: summaryText(items) });
  const open = missing + items.filter(isResumable).length;
  if (open > 0) context.emit({ kind: "hint", text: unfinished(open, kept) });
  context.signal.throwIfAborted();
  return { document: checkpointList(context.connection.clock.seconds, items), exitCode: exitCodeOf(results) };
}

/** Of several, says how far they all are, in the line above those of the nodes. */
function wholeOf({ emit, now }: FlowContext, of: number): (results: readonly Captured[]) => void {
  const started = now();
  return (results) => {
    if (of < 2) return;
    const bytes = results.reduce((sum, { item }) => sum + (item.copy?.bytes ?? 0), 0);
    const copied = bytes === 0 ? say`` : say`, ${formatBytes(bytes)} copied`;
    const left =
      results.length === 0 ? "" : `, about ${formatSeconds(((now() - started) / 1000 / results.length) * (of - results.length))} left`;
    const lead = say`${`${Math.floor((100 * results.length) / of)}%`}${left}`;
    emit({ kind: "activity", lane: WHOLE, text: say`${results.length} of ${counted(of, "container")} done${copied}`, lead });
  };
}

/** Interrupted, or checkpointed and not copied. */
function isResumable({ nodePath, error }: CheckpointItem): boolean {
  return error?.reason === "Interrupted" || (nodePath !== undefined && /^(copy|verify|remove)$/.test(error?.phase ?? ""));
}

/** What of a run is still to be done, and the command that does it. */
function unfinished(missing: number, state: RunState | undefined): Phrase {
  const what = say`${counted(missing, "container")} not finished`;
  return state === undefined ? what : say`${what}; to continue: ${command`kubectl checkpoint --resume ${state.path}`}`;
}

/** As the run lists them, whatever order they were ready in. */
function inOrder(items: readonly CheckpointItem[], state: RunState | undefined): CheckpointItem[] {
  if (state === undefined) return [...items];
  const place = (item: CheckpointItem): number =>
    state.document.items.findIndex(
      ({ namespace, pod, container }) => namespace === item.namespace && pod === item.pod && container === item.container,
    );
  return items.toSorted((a, b) => place(a) - place(b));
}

/** The run file, beside the archives or in the working directory. A run can do without it. */
async function keepState(
  context: FlowContext,
  directory: string,
  options: RunOptions,
  targets: readonly ContainerTarget[],
): Promise<RunState | undefined> {
  const startedAt = new Date(context.now()).toISOString();
  const path = join(directory, `checkpoint-run-${startedAt.replaceAll(/[:.]/g, "-")}.json`);
  try {
    const state = await RunState.create(path, { startedAt, server: context.connection.server, options }, targets);
    context.emit({ kind: "hint", text: say`this run is recorded in ${path}` });
    return state;
  } catch (error) {
    return withoutState(context, error);
  }
}

/** The state with one more result, on disk; undefined where it cannot be written. */
async function recorded(context: FlowContext, state: RunState | undefined, taken: Captured): Promise<RunState | undefined> {
  try {
    await state?.update(taken);
    return state;
  } catch (error) {
    return withoutState(context, error);
  }
}

function withoutState({ emit }: FlowContext, error: unknown): undefined {
  if (!(error instanceof UserError)) throw error;
  emit({ kind: "warning", text: say`the run continues, but cannot be resumed: ${error.whole}` });
}

function nodesOf(targets: readonly ContainerTarget[]): string[] {
  return [...new Set(targets.map(({ pod }) => pod.node))];
}

async function roomHere(plan: CopyPlan | undefined): Promise<{ path: string; roomBytes: number } | undefined> {
  const directory = plan?.destination.directory;
  return directory === undefined ? undefined : { path: directory.path, roomBytes: await directory.freeBytes() };
}
