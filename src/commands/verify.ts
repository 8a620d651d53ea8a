import { readdir, stat } from "node:fs/promises";
import type { Reading } from "../archive/archive.ts";
import type { Verification } from "../flows/examine/verify/result.ts";
import { isEvidence } from "../evidence/sums.ts";
import { Trust } from "../flows/examine/verify/trust.ts";
import { verify } from "../flows/examine/verify/verify.ts";
import { API_VERSION } from "../model/documents.ts";
import { UserError } from "../model/error.ts";
import { joined, say, styled, type Phrase } from "../model/phrase.ts";
import { fileWord, orOffered } from "./shared/archives.ts";
import { COMMON, output } from "./shared/common.ts";
import { text } from "./shared/flags.ts";
import { noted, PULL, pulling, registrySettings, type ReadingSettings } from "./shared/registry.ts";
import { defineVerb } from "./shared/verb.ts";

interface VerifyRequest {
  readonly files: readonly string[];
  readonly key: string | undefined;
  readonly timestampCa: string | undefined;
  readonly registry: ReadingSettings;
}

/** Checks that are about what lies around an archive. */
const EVIDENCE = new Set(["archive", "record", "volumes", "sums", "signature", "time", "custody"]);

export const verb = defineVerb({
  name: "verify",
  summary: "Check archives, records, signatures and custody",
  usage: ["verify (FILE | DIR)... [options]"],
  description: `Check archives on this machine for damage: the tar headers and checksums, the files that the runtime and CRIU always write, every
CRIU image, and the number of memory pages. If a record (FILE.json) is beside an archive, its size and SHA-256 are compared.

If a signature (FILE.sigstore.json) is beside it, --key says whose it must be: archive and record must be as they were signed.
--timestamp-ca says which authority its signed time must come from. If there is a custody.jsonl, its chain is checked, and that the archive
is the one of its last line. What is missing is printed as missing. DIR is a directory of evidence: SHA256SUMS and every archive in it are
checked; a FILE.jsonl is a custody file.

Each problem is printed on a line. Exit status: 0 if no archive has problems, 1 if all have problems, 3 if some have.`,
  examples: [
    { what: "All archives in this directory", command: "kubectl checkpoint verify *.tar" },
    {
      what: "A directory of evidence that somebody signed",
      command: "kubectl checkpoint verify incident-7/ --key their.pub --timestamp-ca tsa.pem",
    },
    {
      what: "In a script: archives that have problems or cannot be opened",
      command: "kubectl checkpoint verify *.tar -o json | jq -r '.items[] | select(.ok | not).path'",
    },
  ],
  flags: {
    key: text({ value: "PUBLIC", help: "public key that must have signed the archives (PEM)" }),
    "timestamp-ca": text({ value: "FILE", help: "certificates of the authority that must have said when they were signed (PEM)" }),
    output: output("name", "json", "yaml"),
    ...PULL,
    ...COMMON,
  },
  request(words, flags): VerifyRequest {
    fileWord("verify", words, "...");
    return { files: words, key: flags.key, timestampCa: flags["timestamp-ca"], registry: registrySettings(flags) };
  },
  async *run({ key, timestampCa, registry, ...given }, call) {
    const files = await orOffered(given.files, call);
    const reading = pulling(call, registry);
    const trust = new Trust(
      call.signal,
      key === undefined ? undefined : await (await import("../evidence/key.ts")).readPublicKey(key),
      timestampCa === undefined ? undefined : await (await import("../evidence/authority.ts")).readAuthorities(timestampCa),
    );
    const items: object[] = [];
    const archives: string[] = [];
    let sound = 0;
    for (const file of files) {
      try {
        call.emit({ kind: "activity", lane: file, text: say`verifying ${file}` });
        for await (const verification of verifications(file, reading, trust)) {
          const { path, problems, notes, checks } = verification;
          for (const note of notes) call.emit({ kind: "hint", text: say`${path}: ${note}` });
          const ok = problems.length === 0;
          if (ok) sound += 1;
          if (!path.endsWith(".jsonl")) archives.push(path);
          items.push({ path, ok, problems, notes, checks: checks.map(({ check, status, message }) => ({ check, status, message })) });
          yield { text: lines(verification), ...(ok ? { name: path } : {}) };
        }
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        items.push({ path: file, ok: false, problems: [error.message], notes: [], checks: [] });
        yield { error };
      } finally {
        call.emit({ kind: "idle", lane: file });
      }
    }
    await noted(call, registry, "verify", archives);
    return {
      document: { apiVersion: API_VERSION, kind: "VerificationList", items },
      exitCode: sound === items.length ? 0 : sound === 0 ? 1 : 3,
    };
  },
});

/** What FILE or DIR names: an archive, a custody file, a directory of evidence. */
async function* verifications(file: string, reading: Reading, trust: Trust): AsyncGenerator<Verification> {
  const stats = await stat(file).catch(() => undefined);
  if (stats?.isDirectory() === true && isEvidence(await readdir(file))) {
    yield* (await import("../flows/examine/verify/directory.ts")).verifyDirectory(file, reading, trust);
  } else if (stats?.isDirectory() === false && file.endsWith(".jsonl")) {
    yield await (await import("../flows/examine/verify/custody.ts")).verifyCustody(file, trust);
  } else yield await verify(file, reading, trust);
}

/** One line a problem; one that says so where there is none, with what could not be checked. */
function lines({ path, problems, checks }: Verification): Phrase {
  if (problems.length === 0) {
    const recorded = checks.some(({ check, status }) => check === "record" && status === "ok");
    const around = checks.filter(({ check }) => EVIDENCE.has(check));
    // Where nothing lies around an archive, nothing needs to be said about each of these.
    const said = around.every(({ check, status }) => status === "missing" || check === "archive")
      ? []
      : around.filter(({ check, status }) => (check !== "record" && check !== "archive") || status !== "ok");
    const rest = said.map(
      ({ check, status, message }) => say`\n  ${check} ${status === "ok" ? styled("good", "ok") : styled("warn", status)}: ${message}`,
    );
    return say`${path}: ${styled("good", "OK")}${recorded ? ", matches its record" : ""}${joined(rest, "")}`;
  }
  return joined(
    problems.map((problem) => say`${path}: ${styled("bad", problem)}`),
    "\n",
  );
}
