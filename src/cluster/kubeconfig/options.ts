/** kubectl's connection flags, as given. */
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
  readonly insecure: boolean;
  readonly tlsServerName?: string | undefined;
  /** 0: none. */
  readonly requestTimeoutMs: number;
}

/** The fields of kubeconfig entries that are looked at here; the others are handed on as they are. */
export type Entry = Readonly<Record<string, unknown>>;

/** The cluster, user and context that one call talks with, in kubeconfig's own terms, paths absolute. */
export interface Selection {
  readonly contextName: string;
  readonly clusterName: string;
  readonly userName: string;
  readonly namespace: string;
  readonly cluster: Entry & { readonly server: string };
  readonly user: Entry;
}
