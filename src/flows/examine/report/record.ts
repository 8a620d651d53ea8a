import { readRecord as readDocument } from "../../../archive/record.ts";
import { list, object, string, type Json } from "../../../model/json.ts";

/** What the record beside an archive says. */
export interface RecordOf {
  /** Of the one archive that it is of. */
  readonly item: Json;
  readonly record: Json;
}

/** Undefined where there is none that can be read, or it is of several archives. */
export async function readRecord(path: string): Promise<RecordOf | undefined> {
  const document = await readDocument(path);
  const [item, ...others] = list(document?.["items"]);
  return item === undefined || others.length > 0 ? undefined : { item: object(item), record: object(document?.["record"]) };
}

/** Ports that the pod's manifest declares, "tcp/80"; undefined where neither record nor archive has them. `annotations`: the kubelet's of the container. */
export function declaredPorts(
  found: RecordOf | undefined,
  annotations: Readonly<Record<string, string>>,
  container: string | undefined,
): Set<string> | undefined {
  const pod = found?.record["pod"];
  if (pod !== undefined) {
    const { containers, initContainers } = object(object(pod)["spec"]);
    const own = [...list(containers), ...list(initContainers)]
      .map(object)
      .filter(({ name }) => container === undefined || name === container);
    return portsOf(own.flatMap(({ ports }) => list(ports)));
  }
  const written = annotations["io.kubernetes.container.ports"];
  if (written === undefined) return annotations["io.kubernetes.container.hash"] === undefined ? undefined : new Set();
  try {
    return portsOf(list(JSON.parse(written)));
  } catch {
    return undefined;
  }
}

function portsOf(ports: readonly unknown[]): Set<string> {
  return new Set(
    ports.map(object).map(({ containerPort, protocol }) => `${(string(protocol) || "tcp").toLowerCase()}/${String(containerPort)}`),
  );
}
