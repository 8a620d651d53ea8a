import type { Helpers } from "../helper/helpers.ts";
import type { HelperSettings } from "../helper/manifest.ts";
import { Interrupted, UserError } from "../model/error.ts";
import { joined, say, type Phrase, type Text } from "../model/phrase.ts";
import type { FlowContext } from "./context.ts";

/** Nodes that a question names. */
const NAMED = 8;

/**
 * Asks before privileged pods are made that the command line did not ask for. `yes` is --yes.
 * Throws ConsentNeeded (exit status 2) where nobody can be asked, an Interrupted where the answer is no.
 */
export async function agreeToPods(
  context: FlowContext,
  helpers: Helpers,
  { image }: HelperSettings,
  nodes: readonly string[],
  yes: boolean,
): Promise<void> {
  if (yes || nodes.length === 0) return;
  const [one, namespace] = [nodes.length === 1, await helpers.namespace()];
  const pods = say`${one ? "a privileged helper pod" : "privileged helper pods"} on ${namesOf(nodes)} (namespace ${namespace}, image ${image})`;
  await agreeTo(context, say`Create ${pods}?`, { message: say`this needs ${pods}` });
}

/** Asks; see agreeToPods. `without` is what is said where nobody can be asked. */
export async function agreeTo({ ask }: FlowContext, question: Phrase, without: { readonly message: Text }): Promise<void> {
  if (!ask.possible)
    throw new UserError({
      reason: "ConsentNeeded",
      message: without.message,
      fix: "rerun with --yes to confirm",
      exitCode: 2,
    });
  if (!(await ask.confirm(question))) throw new Interrupted("SIGINT");
}

function namesOf(nodes: readonly string[]): Phrase {
  const names = joined(nodes.slice(0, NAMED), ", ");
  return nodes.length <= NAMED ? names : say`${nodes.length} nodes (${names}, …)`;
}
