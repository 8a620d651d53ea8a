import { dryRunSandbox, planSandbox, restoreSandbox, type PlannedSandbox } from "../../flows/restore/sandbox/sandbox.ts";
import { API_VERSION } from "../../model/documents.ts";
import { command, joined, say, type Phrase } from "../../model/phrase.ts";
import type { Outcome, Piece } from "../../model/report.ts";
import type { Restoration } from "../../model/restoration.ts";
import { formatSeconds } from "../../model/units.ts";
import { connected } from "../shared/cluster.ts";
import { noted, pulling } from "../shared/registry.ts";
import type { Call } from "../shared/verb.ts";
import type { SandboxCommand } from "./sandbox.ts";

/** Restores in a sandbox, and prints what can be done with it then. */
export async function* runSandbox(given: SandboxCommand, call: Call): AsyncGenerator<Piece, Outcome> {
  const request = { ...given, unlock: pulling(call, given.settings).unlock };
  if (given.file !== undefined && given.dryRun === undefined) await noted(call, given.settings, "restore", [given.file]);
  const context = await connected(request.cluster, call);
  const { dryRun } = request;
  await using planned = await planSandbox(context, request, dryRun !== "client");
  const { name, namespace, container } = planned;
  if (dryRun === "client") {
    yield { text: say`pod/${name} created in namespace ${namespace} (dry run)`, name: `pod/${name}` };
    return { document: planned.pod, exitCode: 0 };
  }
  const accepted = await dryRunSandbox(context, planned);
  if (dryRun === "server") {
    yield { text: say`pod/${name} created in namespace ${namespace} (server dry run)`, name: `pod/${name}` };
    return { document: accepted, exitCode: 0 };
  }
  const { node, seconds } = await restoreSandbox(context, planned, request.explain);
  const how = request.stopped ? say`restored, stopped,` : say`restored`;
  yield {
    text: say`pod/${name} in namespace ${namespace}: container ${container} ${how} in a sandbox on ${node} in ${formatSeconds(seconds)}`,
    name: `pod/${name}`,
  };
  for (const text of nextSteps(planned, request)) call.emit({ kind: "hint", text });
  const document: Restoration = {
    apiVersion: API_VERSION,
    kind: "Restoration",
    namespace,
    pod: name,
    container,
    node,
    image: planned.checkpoint.image ?? "",
    restored: true,
    evidence: [`CRIU restored all processes${request.stopped ? "; they are stopped" : ""}`],
    seconds,
  };
  return { document, exitCode: 0 };
}

/** What can be done with it, ready to paste. */
function nextSteps({ name, namespace, plan }: PlannedSandbox, { stopped, ttlSeconds }: SandboxCommand): Phrase[] {
  const ports =
    plan.ports.length === 0 ? [] : [say`ports: ${command`kubectl port-forward -n ${namespace} pod/${name} ${plan.ports.map(String)}`}`];
  return [
    ...(stopped ? [say`run it: ${command`kubectl exec -n ${namespace} ${name} -- sandbox resume`}`] : []),
    say`output: ${command`kubectl logs -n ${namespace} ${name} --follow`}`,
    ...(plan.terminal ? [say`terminal: ${command`kubectl attach -n ${namespace} -it ${name}`}`] : []),
    say`shell in it: ${command`kubectl exec -n ${namespace} -it ${name} -- sandbox shell`}`,
    ...ports,
    say`debugger: ${joined(
      [
        command`kubectl exec -n ${namespace} -it ${name} -- sandbox gdbserver 1`,
        command`kubectl port-forward -n ${namespace} pod/${name} 1234`,
        say`gdb -ex 'target remote localhost:1234'`,
      ],
      "; then, each in another terminal, ",
    )}`,
    say`delete it: ${command`kubectl delete pod -n ${namespace} ${name}`} (it ends by itself after ${formatSeconds(ttlSeconds)})`,
  ];
}
