import type { Right } from "../../../cluster/access.ts";
import { listNodes } from "../../../cluster/nodes.ts";
import type { NodeDirectory } from "../../../helper/directory.ts";
import type { Helpers } from "../../../helper/helpers.ts";
import type { Access } from "../../../helper/manifest.ts";
import type { UnreachableNode } from "../../../model/archives.ts";
import { Disposal } from "../../../model/disposal.ts";
import { UserError } from "../../../model/error.ts";
import { inParallel } from "../../../model/parallel.ts";
import type { FlowContext } from "../../context.ts";
import { helperRights, requireRights } from "../../rights.ts";
import { explained } from "../../../model/documents.ts";

/** Helper pods at once. */
const PARALLEL = 16;
/** No other node would do better. */
const NOT_OF_A_NODE = /^(Unauthorized|Forbidden|Helper(PodSecurity|Quota|LimitRange|NamespaceNotFound|Webhook|Refused))$/;

/** A node that could not be asked, and why in full. */
export interface Unreachable {
  readonly node: string;
  readonly error: UserError;
}

/** The nodes that are meant: those named, else all that run Linux. A refusal names what the helpers need too. */
export async function nodesMeant({ connection }: FlowContext, named: readonly string[], helpers: Helpers): Promise<string[]> {
  if (named.length > 0) return [...new Set(named)];
  const rights = async (): Promise<Right[]> => [{ verb: "list", group: "", resource: "nodes" }, ...helperRights(await helpers.namespace())];
  const nodes = await requireRights(connection, rights, async () => await listNodes(connection));
  return nodes.filter(({ os }) => os !== "windows").map(({ name }) => name);
}

/**
 * Does something on each of the nodes, through a helper pod each. A node that cannot be asked does not keep others from it.
 * Throws what no node could help: rights, admission.
 */
export async function onNodes(
  { connection }: FlowContext,
  helpers: Helpers,
  nodes: readonly string[],
  access: Access,
  work: (directory: NodeDirectory) => Promise<void>,
): Promise<Unreachable[]> {
  const unreachable: Unreachable[] = [];
  await requireRights(connection, helperRights(await helpers.namespace()), async () => {
    await inParallel(nodes, PARALLEL, async (node) => {
      try {
        await using directory = helpers.directory(node, access);
        await directory.ready();
        await work(directory);
      } catch (error) {
        if (!(error instanceof UserError) || NOT_OF_A_NODE.test(error.reason)) throw error;
        unreachable.push({ node, error });
      }
    });
  });
  return unreachable.sort((a, b) => (a.node < b.node ? -1 : 1));
}

/**
 * Helper pods that stay between one thing and the next, while somebody is asked; of so many nodes that this would be a burden, each
 * thing has its own.
 */
export function held(helpers: Helpers, nodes: readonly string[], access: Access): AsyncDisposable {
  const stack = new Disposal();
  if (nodes.length <= PARALLEL) for (const node of nodes) stack.use(helpers.directory(node, access));
  return stack;
}

export function unreachableNode({ node, error }: Unreachable): UnreachableNode {
  return { node, ...explained(error) };
}
