import { CRIU_DIRECTORY } from "../../helper/criu-operations.ts";
import type { NodeDirectory } from "../../helper/directory.ts";
import { Helpers } from "../../helper/helpers.ts";
import type { HelperSettings } from "../../helper/manifest.ts";
import { nameWord } from "../../helper/operations.ts";
import { UserError } from "../../model/error.ts";
import { command, joined, say, type Phrase } from "../../model/phrase.ts";
import { agreeTo } from "../consent.ts";
import type { FlowContext } from "../context.ts";
import { ensureRights, helperRights, requireRights, type VerbContext } from "../rights.ts";

const FILES = `${CRIU_DIRECTORY}/runc.conf and crun.conf`;

export interface CriuOptionsRequest {
  /** Lines of CRIU's configuration file. */
  readonly lines: readonly string[];
  readonly settings: HelperSettings;
  /** Where containers are checkpointed. */
  readonly nodes: readonly string[];
  /** --yes */
  readonly yes: boolean;
}

/**
 * Asks whether the options may be written to the files of these nodes, and whether that could be done: rights and admission of the helper
 * pods. Nothing is written yet. Throws a UserError where it could not, or may not.
 */
export async function prepareCriuOptions(
  context: VerbContext,
  { lines, settings, nodes: all, yes }: CriuOptionsRequest,
): Promise<CriuOptions> {
  const helpers = new Helpers(context.connection, context, settings);
  const nodes = all.filter((node) => node !== "");
  const [first] = nodes;
  if (first === undefined) return new CriuOptions(context, helpers, lines);
  const places = joined(nodes, ", ");
  const what = say`${joined(lines, ", ")} to ${FILES} on ${places}`;
  const others = say`other checkpoints there meanwhile use ${lines.length === 1 ? "this option" : "these options"} too`;
  const pods = say`${nodes.length === 1 ? "a privileged helper pod" : "privileged helper pods"} (namespace ${await helpers.namespace()}, image ${settings.image})`;
  await requireRights(context.connection, context.rights ?? [], async () => {
    await Promise.all([
      ensureRights(context.connection, helperRights(await helpers.namespace())),
      helpers.ensureAdmitted(first, "criu-options", CRIU_DIRECTORY),
    ]);
  });
  if (!yes)
    await agreeTo(context, say`Write ${what} for the length of the checkpoint, through ${pods}? (${others})`, {
      message: say`this would write ${what} for the length of the checkpoint, through ${pods}; ${others}`,
    });
  context.emit({ kind: "hint", text: say`during the checkpoint CRIU's options on ${places} include ${joined(lines, ", ")}: ${others}` });
  return new CriuOptions(context, helpers, lines);
}

interface Held {
  readonly directory: NodeDirectory;
  /** Calls that use the options now. */
  users: number;
  /** Ends with what was begun last. */
  state: Promise<void>;
}

/** Options of CRIU that are in its files on a node for as long as a checkpoint there is under way. Its helper pods put them back too. */
export class CriuOptions implements AsyncDisposable {
  readonly #context: FlowContext;
  readonly #helpers: Helpers;
  readonly #words: readonly string[];
  readonly #held = new Map<string, Held>();

  constructor(context: FlowContext, helpers: Helpers, lines: readonly string[]) {
    this.#context = context;
    this.#helpers = helpers;
    this.#words = lines.map((line) => nameWord(Buffer.from(line)));
  }

  /** Does something while they are there. Throws CriuOptionsBusy, or what keeps them from being written; then nothing was done. */
  async during<T>(node: string, work: () => Promise<T>): Promise<T> {
    const held = this.#held.get(node) ?? {
      directory: this.#helpers.directory(node, "criu-options", CRIU_DIRECTORY),
      users: 0,
      state: Promise.resolve(),
    };
    this.#held.set(node, held);
    held.users += 1;
    if (held.users === 1) held.state = held.state.catch(() => undefined).then(async () => await this.#take(held.directory));
    try {
      await held.state;
      return await work();
    } finally {
      held.users -= 1;
      // Interrupted, the end of its pod puts them back.
      if (held.users === 0 && !this.#context.signal.aborted) {
        held.state = held.state.then(
          async () => await this.#putBack(held.directory),
          () => undefined,
        );
        await held.state;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#held.values()].map(async ({ directory }) => await directory[Symbol.asyncDispose]()));
  }

  async #take(directory: NodeDirectory): Promise<void> {
    const { node } = directory;
    const { pod } = await directory.ready();
    const [answer = ""] = await written(node, async () => await directory.lines(["criu-take", pod.name, ...this.#words]));
    if (answer === "taken") return;
    const [, until = "", owner = ""] = /^busy (\d*) (.*)$/.exec(answer) ?? [];
    throw new UserError({
      reason: "CriuOptionsBusy",
      message: say`another command has changed CRIU's options on ${node}; nothing was checkpointed`,
      why: say`${owner === "" ? "a helper pod" : `the helper pod ${owner}`} holds them${until === "" ? say`` : say` until ${new Date(Number(until) * 1000).toISOString()}, or longer if it still runs`}`,
      fix: say`rerun when it has ended; ${command`kubectl checkpoint doctor ${`node/${node}`} --deep`} shows them`,
    });
  }

  async #putBack(directory: NodeDirectory): Promise<void> {
    const { node } = directory;
    const { emit } = this.#context;
    try {
      const answers = await directory.lines(["criu-back"]);
      const changed = answers.flatMap((line) => /^changed (.*)$/.exec(line)?.[1] ?? []);
      if (changed.length > 0)
        emit({
          kind: "warning",
          text: say`${joined(changed, ", ")} in ${CRIU_DIRECTORY} on ${node} was changed by somebody else during the checkpoint, and was left as it is`,
        });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      emit({ kind: "warning", text: notPutBack(node, error) });
    }
  }
}

function notPutBack(node: string, error: UserError): Phrase {
  return say`CRIU's options on ${node} could not be put back: ${error.whole}. The helper pod does it within two minutes; to see whether it did: ${command`kubectl checkpoint doctor ${`node/${node}`} --deep`}`;
}

async function written<T>(node: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof UserError && error.reason === "HelperFailed")) throw error;
    throw new UserError({
      reason: "CriuOptionsNotWritten",
      message: say`cannot write CRIU's options on ${node}; nothing was checkpointed`,
      why: error.message.endsWith("tools")
        ? "the helper image lacks programs that this needs: mkdir, mv, ln, rm, date, sleep, sha256sum"
        : say`${FILES} cannot be written, or one of them is a symbolic link`,
      fix: error.message.endsWith("tools") ? "use --helper-image with another image" : "write the option on the node by hand",
      cause: error,
    });
  }
}
