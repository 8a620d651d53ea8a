import { readFile } from "node:fs/promises";
import type { Selection } from "./options.ts";

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The service account of the pod that this runs in; undefined outside of one. */
export async function inCluster(env: NodeJS.ProcessEnv): Promise<Selection | undefined> {
  const host = env["KUBERNETES_SERVICE_HOST"];
  const port = env["KUBERNETES_SERVICE_PORT"];
  const namespace = await readFile(`${SERVICE_ACCOUNT}/namespace`, "utf8").catch(() => undefined);
  if (host === undefined || port === undefined || namespace === undefined) return undefined;
  const cluster = {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    "certificate-authority": `${SERVICE_ACCOUNT}/ca.crt`,
  };
  return {
    contextName: "in-cluster",
    clusterName: "in-cluster",
    userName: "service account",
    namespace: namespace.trim(),
    cluster,
    user: { tokenFile: `${SERVICE_ACCOUNT}/token` },
  };
}
