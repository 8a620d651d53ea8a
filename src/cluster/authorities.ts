import { existsSync } from "node:fs";
import { platform } from "node:os";
import { getCACertificates } from "node:tls";

/** Whom to trust where a kubeconfig names no CA. As kubectl: what this machine trusts; and as Node.js: NODE_EXTRA_CA_CERTS. */
export function publicAuthorities(env: NodeJS.ProcessEnv): string[] {
  // Without OpenSSL's folder, Node.js would complain on stderr by itself.
  const store = platform() !== "linux" || existsSync(env["SSL_CERT_DIR"] ?? "/etc/ssl/certs");
  return [...new Set([...getCACertificates("default"), ...(store ? getCACertificates("system") : [])])];
}
