import type { Container, Pod } from "../../../cluster/pods.ts";

/** One running container of one pod. */
export interface ContainerTarget {
  readonly pod: Pod;
  readonly container: Container;
}
