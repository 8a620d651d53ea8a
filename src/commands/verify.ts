import type { RegistrySettings } from "../flows/restore/image/registries.ts";
import { verify, type Verification } from "../flows/examine/verify/verify.ts";
import { API_VERSION } from "../model/documents.ts";
import { UserError } from "../model/error.ts";
import { joined, say, styled, type Phrase } from "../model/phrase.ts";
import { fileWord } from "./shared/archives.ts";
import { COMMON, output } from "./shared/common.ts";
import { PULL, pulling, registrySettings } from "./shared/registry.ts";
import { defineVerb } from "./shared/verb.ts";

export const verb = defineVerb({
  name: "verify",
  summary: "Check archives for damage",
  usage: ["verify FILE... [options]"],
  description: `Check archives on this machine for damage: the tar headers and checksums, the files that the runtime and CRIU always write, every
CRIU image, and the number of memory pages. If a record (FILE.json) is beside an archive, its size and SHA-256 are compared.

Each problem is printed on a line. Exit status: 0 if no archive has problems, 1 if all have problems, 3 if some have.`,
  examples: [
    { what: "All archives in this directory", command: "kubectl checkpoint verify *.tar" },
    {
      what: "In a script: archives that have problems or cannot be opened",
      command: "kubectl checkpoint verify *.tar -o json | jq -r '.items[] | select(.ok | not).path'",
    },
  ],
  flags: { output: output("name", "json", "yaml"), ...PULL, ...COMMON },
  request(words, flags): { readonly files: readonly string[]; readonly registry: RegistrySettings } {
    fileWord("verify", words, "...");
    return { files: words, registry: registrySettings(flags) };
  },
  async *run({ files, registry }, call) {
    const reading = pulling(call, registry);
    const items: object[] = [];
    let sound = 0;
    for (const file of files) {
      try {
        call.emit({ kind: "activity", lane: file, text: say`verifying ${file}` });
        const verification = await verify(file, reading);
        const { path, problems, notes, checks } = verification;
        for (const note of notes) call.emit({ kind: "hint", text: say`${path}: ${note}` });
        const ok = problems.length === 0;
        if (ok) sound += 1;
        items.push({ path, ok, problems, notes, checks });
        yield { text: lines(verification), ...(ok ? { name: path } : {}) };
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        items.push({ path: file, ok: false, problems: [error.message], notes: [], checks: [] });
        yield { error };
      } finally {
        call.emit({ kind: "idle", lane: file });
      }
    }
    return {
      document: { apiVersion: API_VERSION, kind: "VerificationList", items },
      exitCode: sound === files.length ? 0 : sound === 0 ? 1 : 3,
    };
  },
});

/** One line a problem; one that says so where there is none. */
function lines({ path, problems, checks }: Verification): Phrase {
  const recorded = checks.some(({ check, status }) => check === "record" && status === "ok");
  if (problems.length === 0) {
    return say`${path}: ${styled("good", "OK")}${recorded ? ", matches its record" : ""}`;
  }
  return joined(
    problems.map((problem) => say`${path}: ${styled("bad", problem)}`),
    "\n",
  );
}
