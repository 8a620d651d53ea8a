import type { Helpers } from "../helper/helpers.ts";
import type { HelperSettings } from "../helper/manifest.ts";
import { Interrupted, UserError } from "../model/error.ts";
import { joined, say, type Phrase } from "../model/phrase.ts";
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
  const [what, namespace] = [nodes.length === 1 ? say`a privileged pod` : say`privileged pods`, await helpers.namespace()];
  const where = say`on ${namesOf(nodes)} (namespace ${namespace}, image ${image})`;
  await agreeTo(context, say`This takes ${what} ${where} for a moment: make ${nodes.length === 1 ? "it" : "them"}?`, {
    message: `this takes ${nodes.length === 1 ? "a privileged pod" : "privileged pods"} on ${nodes.slice(0, NAMED).join(", ")} (namespace ${namespace}, image ${image}), and no question can be asked here`,
  });
}

/** Asks; see agreeToPods. `without` is what is said where nobody can be asked. */
export async function agreeTo({ ask }: FlowContext, question: Phrase, without: { readonly message: string }): Promise<void> {
  if (!ask.possible)
    throw new UserError({ reason: "ConsentNeeded", message: without.message, fix: "give --yes if that is what is meant", exitCode: 2 });
  if (!(await ask.confirm(question))) throw new Interrupted("SIGINT");
}

function namesOf(nodes: readonly string[]): Phrase {
  const names = joined(nodes.slice(0, NAMED), ", ");
  return nodes.length <= NAMED ? names : say`${nodes.length} nodes (${names}, …)`;
}
