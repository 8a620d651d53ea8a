// What cmd answers at once: no code is loaded for it.
import { COMMON, output } from "./shared/common.ts";
import type { VerbText } from "./shared/verb.ts";

export const version: VerbText = {
  name: "version",
  summary: "Print the version of this plugin",
  usage: ["version [-o json]"],
  description: "Print the version of this plugin, and of the Node.js inside it.",
  examples: [{ what: "The version, for a script", command: "kubectl checkpoint version -o json" }],
  flags: { output: output("json"), ...COMMON },
};

export const help: VerbText = {
  name: "help",
  summary: "Print help for a verb",
  usage: ["help [VERB]"],
  description: "Print what a verb does, its examples and its flags.",
  examples: [{ what: "All verbs", command: "kubectl checkpoint help" }],
  flags: { ...COMMON },
};
