import { bundleToJSON } from "@sigstore/bundle";
// Not the whole library: its clients for Fulcio and Rekor are never used.
import { DSSEBundleBuilder } from "@sigstore/sign/dist/bundler/dsse.js";
import type { SigningKey } from "./key.ts";
import { PAYLOAD_TYPE, statementText, type Statement } from "./statement.ts";

/** Answers with an RFC 3161 response about a signature. */
export type Timestamper = (signature: Buffer) => Promise<Buffer>;

/** The statement, signed, as the text of a Sigstore bundle. Throws what the key and the timestamper throw. */
export async function signStatement(statement: Statement, key: SigningKey, timestamper?: Timestamper): Promise<string> {
  const builder = new DSSEBundleBuilder({
    signer: {
      sign: async (bytes) => ({
        signature: await key.sign(bytes),
        key: { $case: "publicKey", publicKey: "", hint: key.hint },
      }),
    },
    witnesses:
      timestamper === undefined
        ? []
        : [
            {
              testify: async (content) => {
                const signature = content.$case === "dsseEnvelope" ? content.dsseEnvelope.signatures[0]?.sig : undefined;
                if (signature === undefined) throw new Error("the envelope has no signature");
                return { rfc3161Timestamps: [{ signedTimestamp: await timestamper(signature) }] };
              },
            },
          ],
  });
  const bundle = await builder.create({ data: Buffer.from(statementText(statement)), type: PAYLOAD_TYPE });
  // The hint alone names the key: cosign compares a name of the signature with one of its own.
  for (const signature of bundle.content.dsseEnvelope.signatures) signature.keyid = "";
  // Without spaces and a line break, any of whose bytes could be changed unnoticed.
  return JSON.stringify(bundleToJSON(bundle));
}
