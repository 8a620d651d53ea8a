// What cmd answers at once: no code is loaded for it.
import { COMMON, output } from "./shared/common.ts";
import type { VerbText } from "./shared/verb.ts";

export const version: VerbText = {
  name: "version",
  summary: "Print the version of this plugin",
  usage: ["version [-o json]"],
  description: "Print the version of this plugin and of the Node.js runtime inside it.",
  examples: [{ what: "The version, for a script", command: "kubectl checkpoint version -o json" }],
  flags: { output: output("json"), ...COMMON },
};

export const options: VerbText = {
  name: "options",
  summary: "Print the options that several verbs share",
  usage: ["options"],
  description:
    "Print the options that several verbs share: those of the cluster, of helper pods and of registries, and those of every verb.",
  examples: [{ what: "How to choose a context?", command: "kubectl checkpoint options | grep context" }],
  flags: { ...COMMON },
};

export const help: VerbText = {
  name: "help",
  summary: "Print the help of a verb",
  usage: ["help [VERB]"],
  description: "Print the help of a verb: its usage, what it does, its options and examples.",
  examples: [{ what: "The help of cp", command: "kubectl checkpoint help cp" }],
  flags: { ...COMMON },
};
