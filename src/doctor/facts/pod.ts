import type { Container, Pod } from "../../cluster/pods.ts";
import type { Forecast } from "../../kubelet/forecast.ts";
import { list, object, string, type Json } from "../../model/json.ts";

/** What is known of a container that is to be checkpointed. */
export interface ContainerFacts {
  readonly pod: Pod;
  readonly container: Container;
  /** Its part of the pod's spec. */
  readonly spec: Json;
  readonly forecast: Forecast;
  /** Milliseconds that the kubelet gives its runtime; undefined where it may not be read. */
  readonly runtimeTimeoutMs: number | undefined;
}

export function specOf(pod: Pod, container: Container): Json {
  const spec = object(pod.object["spec"]);
  const all = ["initContainers", "containers", "ephemeralContainers"].flatMap((key) => list(spec[key]).map(object));
  return all.find((one) => string(one["name"]) === container.name) ?? {};
}
