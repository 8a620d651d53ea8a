import { parseAuthority } from "../../evidence/url.ts";
import type { EvidenceOptions } from "../../flows/evidence/open.ts";
import { usageError } from "../../model/error.ts";
import { group, list, parsed, text, type Values } from "./flags.ts";

/** For verbs that sign. */
export const SIGNING = group("Evidence", {
  "sign-key": text({
    value: "KEY",
    help: "sign the archive and its record: a PKCS#8 file (ECDSA P-256, Ed25519), or exec:PROGRAM (default: $KUBECTL_CHECKPOINT_SIGN_KEY)",
  }),
  timestamp: parsed(parseAuthority, { value: "URL", help: "with --sign-key: add the time of this RFC 3161 authority" }),
  custody: text({ value: "FILE", help: "append a line to this custody file: who did what with which archive" }),
});

/** For verbs that copy, too. */
export const EVIDENCE = {
  ...SIGNING,
  ...group("Evidence", {
    "encrypt-to": list({
      value: "RECIPIENT",
      help: "encrypt the copy to this age recipient, or those of @FILE, repeatable (default: $KUBECTL_CHECKPOINT_ENCRYPT_TO)",
    }),
  }),
};

/** Undefined where nothing of it is asked for. Throws a usage error. */
export function evidenceOptions(
  flags: Values<typeof SIGNING> & Partial<Values<typeof EVIDENCE>>,
  env: NodeJS.ProcessEnv,
  replace: boolean,
): EvidenceOptions | undefined {
  const signKey = flags["sign-key"] ?? (env["KUBECTL_CHECKPOINT_SIGN_KEY"] || undefined);
  const { timestamp, custody } = flags;
  if (timestamp !== undefined && signKey === undefined) throw usageError("--timestamp requires --sign-key");
  const recipients = flags["encrypt-to"] ?? [];
  // Of verbs that do not copy the variable is not meant.
  const wanted = "encrypt-to" in flags && recipients.length === 0 ? wordsOf(env["KUBECTL_CHECKPOINT_ENCRYPT_TO"]) : recipients;
  const encryptTo = wanted.length === 0 ? {} : { encryptTo: wanted };
  return signKey === undefined && custody === undefined && wanted.length === 0
    ? undefined
    : { signKey, timestamp, custody, replace, ...encryptTo };
}

function wordsOf(text = ""): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== "");
}
