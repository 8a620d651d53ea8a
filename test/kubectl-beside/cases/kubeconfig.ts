// Kubeconfigs of one cluster and one user.
import type { Site } from "../site.ts";

export interface Parts {
  readonly user?: object;
  readonly cluster?: object;
  readonly context?: object;
  readonly server?: string;
}

/** For the case's main server and its authority, unless `cluster` says otherwise. */
export async function config(site: Site, { user = {}, cluster = {}, context = {}, server }: Parts = {}): Promise<Record<string, unknown>> {
  const url = server ?? (await site.api()).url;
  const trust = url.startsWith("https:") ? { "certificate-authority-data": site.pki.data("ca.crt") } : {};
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster: { server: url, ...trust, ...cluster } }],
    users: [{ name: "u", user }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u", ...context } }],
    "current-context": "x",
  };
}

/** alice's certificate and key, as data. */
export function certificateOf(site: Site, name: string): object {
  return { "client-certificate-data": site.pki.data(`${name}.crt`), "client-key-data": site.pki.data(`${name}.key`) };
}
