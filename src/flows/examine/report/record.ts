import { readFile, stat } from "node:fs/promises";
import { recordPath } from "../../../archive/record.ts";
import { list, object, string, type Json } from "../../../model/json.ts";

/** In bytes; a pod's manifest and its log are the largest parts of one. */
const LARGEST = 16 << 20;

/** What the record beside an archive says. */
export interface RecordOf {
  /** Of the one archive that it is of. */
  readonly item: Json;
  readonly record: Json;
}

/** Undefined where there is none that can be read, or it is of several archives. */
export async function readRecord(path: string): Promise<RecordOf | undefined> {
  try {
    const file = recordPath(path);
    if ((await stat(file)).size > LARGEST) return undefined;
    const document = object(JSON.parse(await readFile(file, "utf8")));
    const [item, ...others] = list(document["items"]);
    return item === undefined || others.length > 0 ? undefined : { item: object(item), record: object(document["record"]) };
  } catch {
    return undefined;
  }
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
