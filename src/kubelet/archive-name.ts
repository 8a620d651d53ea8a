/** What the kubelet's name for an archive tells: `checkpoint-POD_NAMESPACE-CONTAINER-TIME.tar`. */
export interface ArchiveName {
  /** A pod's name cannot hold the "_" that ends it. */
  readonly pod: string;
  /** A namespace and a container may both hold the "-" between them: every way to read it. One: it is certain. */
  readonly readings: readonly { readonly namespace: string; readonly container: string }[];
}

/** The time is RFC 3339 in the node's own zone. */
const NAME = /^checkpoint-([^_]+)_(.+)-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)\.tar$/s;
/** NAME_MAX, in bytes. */
const LONGEST = 255;
/** RFC 1123, as Kubernetes wants names. */
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

/** Undefined where the kubelet does not give such names. */
export function readArchiveName(name: string): ArchiveName | undefined {
  const [, pod, rest = ""] = name.length > LONGEST ? [] : (NAME.exec(name) ?? []);
  if (pod === undefined || !SUBDOMAIN.test(pod)) return undefined;
  const parts = rest.split("-");
  const readings = parts
    .slice(1)
    .map((_, index) => ({ namespace: parts.slice(0, index + 1).join("-"), container: parts.slice(index + 1).join("-") }))
    .filter(({ namespace, container }) => LABEL.test(namespace) && LABEL.test(container));
  return readings.length === 0 ? undefined : { pod, readings };
}
