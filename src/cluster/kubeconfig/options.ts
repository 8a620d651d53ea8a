/** kubectl's connection flags; an empty one is not given. */
export interface ConnectionOptions {
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly cluster?: string | undefined;
  readonly user?: string | undefined;
  readonly namespace?: string | undefined;
  readonly server?: string | undefined;
  readonly token?: string | undefined;
  readonly as?: string | undefined;
  readonly asGroups: readonly string[];
  readonly asUid?: string | undefined;
  readonly certificateAuthority?: string | undefined;
  readonly clientCertificate?: string | undefined;
  readonly clientKey?: string | undefined;
  /** Undefined: as the kubeconfig says. */
  readonly insecure: boolean;
  readonly tlsServerName?: string | undefined;
  /** 0: none. */
  readonly requestTimeoutMs: number;
}

/** An entry of a kubeconfig: fields that are known here have the type that they should have (schema.ts). */
export type Entry = Readonly<Record<string, unknown>>;

/** Where a user's entry stands: new tokens go there. */
export interface UserPlace {
  readonly file: string;
  readonly user: string;
}

/** The cluster, user and context that one call talks with, in kubeconfig's own terms, paths absolute. */
export interface Selection {
  readonly contextName: string;
  readonly clusterName: string;
  readonly userName: string;
  readonly namespace: string;
  readonly cluster: Entry & { readonly server: string };
  readonly user: Entry;
  readonly userPlace?: UserPlace | undefined;
}
