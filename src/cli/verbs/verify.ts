import { COMMON_FLAGS, outputFlag } from "./shared.ts";
import type { Verb } from "./verb.ts";

export const verifyVerb: Verb = {
  name: "verify",
  summary: "Check that archives are whole and sound",
  usage: ["verify FILE... [options]"],
  description: `Check archives on this machine: that each is a whole tar archive without hostile names, and so are the archives inside
it; that all is there that its engine and CRIU write; that every file of CRIU can be read; that the pages of memory are
as many as CRIU's pagemaps and statistics count, and none is in an earlier checkpoint elsewhere; and, where a record lies
beside an archive (FILE.json, as copying leaves it), that size and SHA-256 are those of the record.

A problem is a line; that an archive cannot be opened is one too in -o json and -o yaml. Exit status: 0 where there is
none, 1 where there are, 3 where some of several archives have any.`,
  examples: [
    { what: "All archives here", command: "kubectl checkpoint verify *.tar" },
    {
      what: "For a script: those that are not sound, or cannot be opened",
      command: "kubectl checkpoint verify *.tar -o json | jq -r '.items[] | select(.ok | not).path'",
    },
  ],
  flags: [outputFlag("name", "json", "yaml")],
  sharedFlags: [COMMON_FLAGS],
  load: async () => await import("../../commands/verify.ts"),
};
