// What cmd answers at once: no code is loaded for it.
import { COMMON } from "./shared/common.ts";
import type { VerbText } from "./shared/verb.ts";

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
