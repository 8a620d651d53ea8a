import { parseAuthority } from "../../evidence/url.ts";
import type { EvidenceOptions } from "../../flows/evidence/open.ts";
import { usageError } from "../../model/error.ts";
import { group, parsed, text, type Values } from "./flags.ts";

/** For verbs that sign. */
export const SIGNING = group("Evidence", {
  "sign-key": text({
    value: "KEY",
    help: "sign the archive and its record: a PKCS#8 file (ECDSA P-256, Ed25519), or exec:PROGRAM (default: $KUBECTL_CHECKPOINT_SIGN_KEY)",
  }),
  timestamp: parsed(parseAuthority, { value: "URL", help: "with --sign-key: add the time of this RFC 3161 authority" }),
  custody: text({ value: "FILE", help: "append a line to this custody file: who did what with which archive" }),
});

/** Undefined where nothing of it is asked for. Throws a usage error. */
export function evidenceOptions(flags: Values<typeof SIGNING>, env: NodeJS.ProcessEnv, replace: boolean): EvidenceOptions | undefined {
  const signKey = flags["sign-key"] ?? (env["KUBECTL_CHECKPOINT_SIGN_KEY"] || undefined);
  const { timestamp, custody } = flags;
  if (timestamp !== undefined && signKey === undefined) throw usageError("--timestamp requires --sign-key");
  return signKey === undefined && custody === undefined ? undefined : { signKey, timestamp, custody, replace };
}
