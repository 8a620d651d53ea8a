import type { Unlock } from "../../age/open.ts";
import { openArchive } from "../../archive/open.ts";
import { fileTable } from "../../criu/files/table.ts";
import type { Helpers } from "../../helper/helpers.ts";
import { CriuLogReader } from "../../kubelet/criu-causes.ts";
import { quotedLog } from "../../kubelet/criu-log.ts";
import { UserError } from "../../model/error.ts";
import { counted } from "../../model/units.ts";
import { joined, say, type Phrase, type Text } from "../../model/phrase.ts";
import type { FlowContext } from "../context.ts";
import { RestoreFailed, watchRestore, type Restored, type Watched } from "./watch.ts";

/** Where the cause of a failure of CRIU is looked for, besides the runtime's own answer. */
export interface Explaining {
  /** Opens FILE.age. */
  readonly unlock?: Unlock | undefined;
  /** For CRIU's log, through a helper pod; undefined where nobody asked for it. */
  readonly helpers: Helpers | undefined;
  /** The archive, where it is on this machine. */
  readonly file: string | undefined;
}

/** Watches a restore as watchRestore does; where CRIU failed, the error says why as far as that can be found out. */
export async function watchExplained(context: FlowContext, watched: Watched, explaining: Explaining): Promise<Restored> {
  try {
    return await watchRestore(context, watched);
  } catch (error) {
    if (!(error instanceof RestoreFailed && error.reason === "CRIUFailed")) throw error;
    const { message, fix } = error.said;
    const cause = await causeOf(context, watched, error, explaining);
    const { reason, ran, answer, node } = error;
    throw new RestoreFailed(
      { reason, message, why: cause.why ?? error.said.why, fix: cause.fix ?? fix, cause: error },
      { ran, answer, node },
    );
  }
}

interface Cause {
  readonly why?: Text | undefined;
  readonly fix?: Text | undefined;
}

async function causeOf(
  context: FlowContext,
  watched: Watched,
  error: RestoreFailed,
  { helpers, file, unlock }: Explaining,
): Promise<Cause> {
  // CRI-O quotes CRIU's log in its answer.
  const reader = new CriuLogReader();
  for (const line of quotedLog(error.answer)) reader.read(Buffer.from(`${line}\n`));
  const quoted = reader.failure();
  if (quoted.lines > 0) return quoted;
  if (helpers !== undefined) {
    const { readLog } = await import("./log.ts");
    return (await readLog(context, helpers, watched, error.node)) ?? {};
  }
  const causes = file === undefined ? [] : await suspicions(file, context.signal, unlock);
  const rerun = say`rerun with --explain to have CRIU's log read`;
  const { fix } = error.said;
  return { ...(causes.length === 0 ? {} : { why: joined(causes, "\n") }), fix: fix === undefined ? rerun : say`${fix}\n${rerun}` };
}

const NAMED = 5;

/** What in an archive CRIU is known to fail at when it restores. Never throws a UserError. */
async function suspicions(path: string, signal: AbortSignal, unlock: Unlock | undefined): Promise<Phrase[]> {
  try {
    await using archive = await openArchive(path, { signal, ...(unlock === undefined ? {} : { unlock }) });
    const { files } = await fileTable(archive);
    const sockets = [...files.values()].flatMap(({ socket }) => socket ?? []);
    const connected = sockets.filter(({ protocol, state }) => protocol === "tcp" && state === "ESTABLISHED");
    if (connected.length === 0) return [];
    const shown = connected.slice(0, NAMED).map(({ local, remote }) => say`${local} to ${remote}`);
    const more = connected.length > NAMED ? say`, …` : say``;
    return [
      say`the container had ${counted(connected.length, "established TCP connection")} (${joined(shown, ", ")}${more}): CRIU restores them only with tcp-established in /etc/criu/runc.conf of the node, at the same address`,
    ];
  } catch (error) {
    if (error instanceof UserError) return [];
    throw error;
  }
}
