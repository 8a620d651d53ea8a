import type { ConnectionOptions } from "../cluster/kubeconfig/options.ts";
import { callJson } from "../cluster/api.ts";
import { usageError, UserError } from "../model/error.ts";
import { object, string } from "../model/json.ts";
import { plain, say } from "../model/phrase.ts";
import { CLUSTER, connected, connectionOptions } from "./shared/cluster.ts";
import { COMMON, output } from "./shared/common.ts";
import { defineVerb } from "./shared/verb.ts";

/** Nobody waits longer for a version. */
const TIMEOUT_MS = 5000;

/** The plain line is cmd's, which loads nothing for it. */
export const verb = defineVerb({
  name: "version",
  summary: "Print the version of this plugin",
  usage: ["version [-o json|yaml]"],
  description: `Print the version of this plugin and of the Node.js runtime inside it. -o json and -o yaml have the version of the API server too, where a
cluster is configured; "serverError" says why it does not answer.`,
  examples: [{ what: "The versions of the plugin and of the cluster, for a bug report", command: "kubectl checkpoint version -o yaml" }],
  flags: { output: output("json", "yaml"), ...CLUSTER, ...COMMON },
  request(words, flags): { readonly cluster: ConnectionOptions } {
    if (words[0] !== undefined) throw usageError(say`unexpected argument "${words[0]}": version takes none`);
    return { cluster: connectionOptions(flags) };
  },
  async *run({ cluster }, call) {
    const own = { version: call.version, node: process.versions.node, platform: `${process.platform}-${process.arch}` };
    yield { text: say`kubectl-checkpoint ${own.version} (Node.js ${own.node}, ${own.platform})` };
    return { document: { ...own, ...(await serverOf(cluster, call)) }, exitCode: 0 };
  },
});

async function serverOf(options: ConnectionOptions, call: Parameters<typeof connected>[1]): Promise<object> {
  try {
    const { connection } = await connected(options, call);
    const { gitVersion, platform } = object(await callJson(connection, { path: "/version", timeoutMs: TIMEOUT_MS }));
    return { server: { version: string(gitVersion), platform: string(platform), address: connection.server } };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.reason === "NoKubeconfig" ? {} : { serverError: plain(error.whole) };
  }
}
