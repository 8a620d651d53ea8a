import type { API_VERSION } from "./documents.ts";

/** What `image` made: the document of -o json|yaml. */
export interface ImageDocument {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: "Image";
  readonly reference: string;
  /** Of the manifest: "sha256:…". */
  readonly digest: string;
  /** Of the layer, the archive, as it lies in the image. */
  readonly bytes: number;
  readonly pushed: boolean;
  /** Of the layer, what was sent: 0 where the registry had it. */
  readonly sentBytes?: number;
  /** Where --to put it. */
  readonly path?: string;
}

/** How a restore ended: the document of -o json|yaml of `restore` and `move`. */
export interface Restoration {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: "Restoration";
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly node: string;
  /** The checkpoint image, by digest where that is known. */
  readonly image: string;
  /** Whether the container runs from the checkpoint; what proves it is in `evidence`, a sentence each. */
  readonly restored: boolean;
  readonly evidence: readonly string[];
  /** From the pod's creation until that was seen. */
  readonly seconds: number;
  /** Of `move`: what became of the original. */
  readonly original?: MovedOriginal;
}

export interface MovedOriginal {
  readonly pod: string;
  readonly node: string;
  /** When the processes were frozen, RFC 3339: what they did afterwards is lost. */
  readonly frozenAt: string;
  /** Absent where an earlier move, which was killed, had deleted it. */
  readonly deletedAt?: string;
  /** Services that led to it until then: what it accepted through them is lost. Absent where they could not be read. */
  readonly services?: readonly string[];
}
