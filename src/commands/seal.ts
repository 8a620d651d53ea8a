import { stat } from "node:fs/promises";
import type { EvidenceOptions } from "../flows/evidence/open.ts";
import { openEvidence } from "../flows/evidence/open.ts";
import { sealDirectory, sealFile } from "../flows/evidence/seal.ts";
import { API_VERSION, explained } from "../model/documents.ts";
import { exitCodeFor, UserError, usageError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import { COMMON, output } from "./shared/common.ts";
import { evidenceOptions, SIGNING } from "./shared/evidence.ts";
import { text } from "./shared/flags.ts";
import { defineVerb } from "./shared/verb.ts";

export interface SealRequest {
  readonly paths: readonly string[];
  readonly evidence: EvidenceOptions;
}

export const verb = defineVerb({
  name: "seal",
  summary: "Sign archives and their records, or a directory of them",
  usage: ["seal FILE... --sign-key KEY [options]", "seal DIR --sign-key KEY [options]"],
  description: `Sign archives with a key. FILE.sigstore.json, a Sigstore bundle, is written beside FILE: it signs the archive and its record, by
their SHA-256, and the record's content. An archive that does not match its record is not signed. "kubectl checkpoint verify --key" checks
the signature, and so does cosign.

Of a directory, SHA256SUMS is written, with all files in it as sha256sum lists them, and signed. --timestamp adds the signed time of an RFC 3161
authority. --custody appends a line about the seal to that file and signs its lines so far.`,
  examples: [
    {
      what: "Make a key, and sign an archive with it",
      command: "openssl genpkey -algorithm ed25519 -out me.key && kubectl checkpoint seal a.tar --sign-key me.key",
    },
    {
      what: "With the time of a timestamp authority",
      command: "kubectl checkpoint seal a.tar --sign-key me.key --timestamp http://timestamp.digicert.com",
    },
    {
      what: "Everything of an incident, to hand it over",
      command: 'kubectl checkpoint seal incident-7/ --sign-key me.key --custody incident-7/custody.jsonl --note "handed to J. Doe"',
    },
    {
      what: "With a token or a KMS: a program that reads bytes and writes their signature",
      command: "kubectl checkpoint seal a.tar --sign-key exec:./sign-with-token",
    },
  ],
  flags: {
    note: text({ value: "TEXT", help: "a note that is signed too, and written to the custody file" }),
    output: output("name", "json", "yaml"),
    ...SIGNING,
    ...COMMON,
  },
  request(words, flags, env): SealRequest {
    if (words.length === 0) throw usageError("FILE or DIR is required", "kubectl checkpoint seal FILE --sign-key KEY");
    const evidence = evidenceOptions(flags, env, flags.yes);
    if (evidence?.signKey === undefined) throw usageError("--sign-key is required", "kubectl checkpoint seal FILE --sign-key KEY");
    return { paths: words, evidence: { ...evidence, note: flags.note } };
  },
  async *run({ paths, evidence }, call) {
    const { seal } = await openEvidence(call, evidence);
    if (seal === undefined) throw new Error("without a key");
    const items: object[] = [];
    const errors: UserError[] = [];
    for (const path of paths) {
      call.signal.throwIfAborted();
      try {
        const bundle = (await isDirectory(path)) ? await sealDirectory(call, path, seal) : await sealFile(call, path, seal);
        items.push({ path, bundle });
        yield { text: say`${path} sealed\n${bundle}`, name: bundle };
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        errors.push(error);
        items.push({ path, error: { phase: "seal", ...explained(error) } });
        yield { error };
      }
    }
    return { document: { apiVersion: API_VERSION, kind: "SealList", items }, exitCode: exitCodeFor(errors, paths.length) };
  },
});

async function isDirectory(path: string): Promise<boolean> {
  return await stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}
