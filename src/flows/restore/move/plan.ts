import type { Engine } from "../../../archive/engines/info.ts";
import { callJson } from "../../../cluster/api.ts";
import { apiPath } from "../../../cluster/connection.ts";
import type { Pod } from "../../../cluster/pods.ts";
import { list, object, string, type Json } from "../../../model/json.ts";
import { joined, say } from "../../../model/phrase.ts";
import { MOVING, originOf } from "../../../restore/pod.ts";
import { parseRuntime } from "../../../restore/runtimes.ts";
import type { ContainerTarget } from "../../capture/targets/containers.ts";
import type { FlowContext } from "../../context.ts";
import type { Needs, Origin } from "../image/facts.ts";
import { planRestore, type PlannedFacts, type RestorePlan } from "../plan.ts";
import { ownLabels, type CopyRecord } from "./leftovers.ts";

/** Where a pod moves to. */
export interface Destination {
  readonly to: string;
  /** Of the new pod; undefined: the original's with the node's. */
  readonly name: string | undefined;
  readonly bypassScheduler: boolean;
}

export type OriginOfPod = Origin & { readonly needs: Needs };

const LONGEST_NAME = 63;

/** Of the node that it runs on; who may not read nodes goes without. */
export async function originOfPod({ connection }: FlowContext, { pod, container }: ContainerTarget): Promise<OriginOfPod> {
  const node = object(await callJson(connection, { path: apiPath`/api/v1/nodes/${pod.node}` }).catch(() => undefined));
  const info = object(object(node["status"])["nodeInfo"]);
  const [kernel, runtime] = [string(info["kernelVersion"]), string(info["containerRuntimeVersion"])];
  const engine = (["containerd", "cri-o"] as const).find((name: Engine) => name === parseRuntime(runtime)?.name);
  const image = list(object(pod.object["spec"])["containers"])
    .map(object)
    .find(({ name }) => name === container.name)?.["image"];
  return {
    pod: pod.object,
    ...(kernel === "" ? {} : { kernel }),
    ...(runtime === "" ? {} : { runtime }),
    needs: {
      info: { engine, image: string(image) || undefined, imageID: container.imageID || undefined },
      architecture: string(info["architecture"]),
    },
  };
}

/**
 * The new pod: the original, probes too. Its labels come last, when the original is gone: until then no Service leads to it and no
 * controller counts it. What is to come is in an annotation, for whoever finds it. Throws a UserError where it cannot be restored.
 */
export function planMove(
  { pod, container }: ContainerTarget,
  { to, name, bypassScheduler }: Destination,
  facts: PlannedFacts,
  origin: Origin,
  image: string,
  frozenAt = "",
): RestorePlan {
  const options = {
    name: name ?? nameOn(pod, to),
    namespace: pod.namespace,
    node: to,
    bypassScheduler,
    setImages: new Map<string, string>(),
    isolated: false,
    keep: { labels: false, annotations: true, liveness: true, readiness: true, startup: true },
    keepHostPorts: true,
  };
  const plan = planRestore({ facts, origin }, options, image, undefined, pod.namespace);
  const { labels, dropped } = ownLabels(pod.object);
  const from = { name: pod.name, uid: pod.uid, node: pod.node };
  const record: CopyRecord = { from, container: container.name, frozenAt, labels };
  const metadata = object(plan.pod["metadata"]);
  const marked: Json = {
    ...metadata,
    labels: { ...object(metadata["labels"]), [MOVING]: "copy" },
    annotations: { ...object(metadata["annotations"]), [MOVING]: JSON.stringify(record) },
  };
  const notes = dropped.length === 0 ? [] : [say`labels of its controller are not kept: ${joined(dropped, ", ")}`];
  return { ...plan, pod: { ...plan.pod, metadata: marked }, notes: [...plan.notes, ...notes] };
}

/** As planMove before there is an archive, which alone has the process's own command and what it had mounted. */
export function planMoveAhead(target: ContainerTarget, destination: Destination, origin: OriginOfPod, image: string): RestorePlan {
  const { pod, container } = target;
  const info = { container: container.name, pod: pod.name, namespace: pod.namespace, command: [], volumes: undefined };
  return planMove(target, destination, { info, architecture: origin.needs.architecture }, origin, image);
}

/** NAME-NODE, whatever it was moved from before. */
function nameOn({ object: pod }: Pod, node: string): string {
  const base = originOf(pod).replace(/^.*\//, "");
  const suffix = `-${node.replaceAll(".", "-")}`;
  return `${base.slice(0, Math.max(1, LONGEST_NAME - suffix.length))}${suffix}`.slice(0, LONGEST_NAME).replace(/[-.]+$/, "");
}
