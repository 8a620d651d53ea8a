import type { Captured } from "../../flows/capture/one.ts";
import type { FlowContext } from "../../flows/context.ts";
import { CriuFailure } from "../../kubelet/target.ts";
import { say } from "../../model/phrase.ts";
import type { CheckpointRequest } from "./request.ts";

/** A failure of CRIU with its cause, if --explain is given or, with `mayAsk`, if it is confirmed. Anything else is returned unchanged. */
export async function explained(context: FlowContext, request: CheckpointRequest, captured: Captured, mayAsk: boolean): Promise<Captured> {
  const { error, item } = captured;
  const { explain, settings, copy } = request;
  if (!(error instanceof CriuFailure) || !(explain || (mayAsk && context.ask.possible)) || context.signal.aborted) return captured;
  const { explainFailure, readableLogs } = await import("../../flows/capture/explain.ts");
  const logs = readableLogs(error, item);
  if (logs.length === 0) {
    if (explain) context.emit({ kind: "warning", text: say`CRIU's log was not read: ${notRead(error)}` });
    return captured;
  }
  const { Helpers } = await import("../../helper/helpers.ts");
  const helpers = new Helpers(context.connection, context, settings);
  if (!explain && !request.yes) {
    const pod = say`a privileged helper pod on ${item.node} (namespace ${await helpers.namespace()}, image ${settings.image})`;
    if (!(await context.ask.confirm(say`CRIU failed; its log on the node has the cause. Read the log through ${pod}?`))) return captured;
  }
  return await explainFailure(context, helpers, captured, error, logs, copy?.destination);
}

function notRead({ logs: [log] }: CriuFailure): string {
  return log === undefined ? "the error does not name its path" : `${log} is not the path of this container's log`;
}
