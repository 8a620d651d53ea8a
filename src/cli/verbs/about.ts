import { COMMON_FLAGS, outputFlag } from "./shared.ts";
import type { Verb } from "./verb.ts";

export const versionVerb: Verb = {
  name: "version",
  summary: "Print the version of this plugin",
  usage: ["version [-o json]"],
  description: "Print the version of this plugin, and of the Node.js inside it.",
  examples: [{ what: "The version, for a script", command: "kubectl checkpoint version -o json" }],
  flags: [outputFlag("json")],
  sharedFlags: [COMMON_FLAGS],
};

export const helpVerb: Verb = {
  name: "help",
  summary: "Print help for a verb",
  usage: ["help [VERB]"],
  description: "Print what a verb does, its examples and its flags.",
  examples: [{ what: "All verbs", command: "kubectl checkpoint help" }],
  flags: [],
  sharedFlags: [COMMON_FLAGS],
};
