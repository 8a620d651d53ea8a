import { usageError, UserError } from "../model/error.ts";
import { command, joined, say, type Phrase } from "../model/phrase.ts";
import type { VerbEntry } from "./table.ts";
import type { Words } from "./words.ts";

/** How others call what a verb here does. */
const OTHER_NAMES: Readonly<Record<string, string>> = { list: "ls", copy: "cp", remove: "rm", delete: "rm" };

type Verbs = readonly [VerbEntry, ...VerbEntry[]];

export function unknownVerb(word: string, verbs: Verbs): UserError {
  const meant = nearestVerb(word, verbs);
  if (meant === undefined) return usageError(say`unknown verb "${word}"`, say`use one of ${verbs.map(({ name }) => name).join(", ")}`);
  return usageError(say`unknown verb "${word}": did you mean "${meant.name}"?`, command`kubectl checkpoint ${meant.name} --help`);
}

/** `name` is without dashes. */
export function unknownFlag(name: string, verb: VerbEntry, verbs: Verbs): UserError {
  const meant = nearest(
    name,
    verb.flags.map((flag) => flag.name),
  );
  if (meant !== undefined) return usageError(say`unknown flag: --${name} (did you mean --${meant}?)`, helpOf(verb, verbs));
  const others = verbs.filter((one) => one.flags.some((flag) => flag.name === name)).map((one) => one.name);
  if (others.length > 0)
    return usageError(say`unknown flag: --${name} (a flag of ${others.join(", ")}, not of ${verb.name})`, helpOf(verb, verbs));
  return usageError(say`unknown flag: --${name}`, helpOf(verb, verbs));
}

function helpOf(verb: VerbEntry, verbs: Verbs): string {
  return verb === verbs[0] ? "kubectl checkpoint --help" : `kubectl checkpoint ${verb.name} --help`;
}

/**
 * A bare word is a pod. Where the first one is nearly a verb, and the rest of the line is that verb's (a file, an archive on a node, a
 * flag of its own, --help), it was meant to be the verb: the error that says so.
 */
export function mistypedVerb({ verb, words, flags, help }: Words, verbs: Verbs, isFile: (path: string) => boolean): UserError | undefined {
  const [first, ...rest] = words;
  if (verb !== verbs[0] || first === undefined) return undefined;
  const meant = nearestVerb(first, verbs);
  if (meant === undefined) return undefined;
  const has = ({ flags: known }: VerbEntry, name: string): boolean => known.some((flag) => flag.name === name);
  const isItsOwn = flags.some(([name]) => has(meant, name) && !has(verb, name));
  if (!help && !isItsOwn && !rest.some((word) => word === "-" || word.includes(":") || isFile(word))) return undefined;
  return usageError(
    say`unknown verb "${first}": did you mean "${meant.name}"?`,
    say`${command`kubectl checkpoint ${[meant.name, ...rest]}`}, or ${command`kubectl checkpoint ${`pod/${first}`}`} for a pod of that name`,
  );
}

/**
 * What the command line makes of a failure: of a pod that was not found, and whose name is nearly a verb or is a file, the fix says so too;
 * where nothing was asked for and there is no cluster, it says what this is and what it needs.
 */
export function inContext(error: unknown, line: Words, verbs: Verbs, isFile: (path: string) => boolean): unknown {
  const { verb, words } = line;
  if (!(error instanceof UserError) || verb !== verbs[0]) return error;
  const [first = "", ...rest] = words;
  if (error.reason === "NoKubeconfig" && words.length === 0) return withFix(error, FIRST_USE);
  if (error.reason !== "PodNotFound" && error.reason !== "NoKubeconfig") return error;
  if (isFile(first)) return withFix(error, say`if the archive ${first} was meant: ${command`kubectl checkpoint show ${first}`}`);
  const [name] = rest;
  if (error.reason === "PodNotFound" && name !== undefined && TYPE.test(first))
    return withFix(error, say`if ${`${first}/${name}`} was meant: ${again(line, [`${first}/${name}`, ...rest.slice(1)])}`);
  const suggestion = error.reason === "PodNotFound" ? ofMissing(/^pod\/(\S+) not found/.exec(error.message)?.[1] ?? "", line) : undefined;
  if (suggestion !== undefined) return withFix(error, suggestion);
  const meant = error.reason === "PodNotFound" ? nearestVerb(first, verbs) : undefined;
  if (meant === undefined) return error;
  return withFix(error, say`if the verb "${meant.name}" was meant: ${command`kubectl checkpoint ${[meant.name, ...rest]}`}`);
}

/** A word that names no pod may be the value of --copy, which takes one only after "=", a container, or a name in capitals. */
function ofMissing(missing: string, line: Words): Phrase | undefined {
  const { words, flags } = line;
  const others = words.filter((word) => word !== missing);
  const [pod] = others;
  if (words.includes(missing) && pod !== undefined) {
    if (flags.some(([name, value]) => name === "copy" && value === ""))
      return say`if the copy was meant to go to ${missing}: ${again(line, others, ["copy", missing])}`;
    if (words.length === 2 && words[1] === missing && !flags.some(([name]) => name === "container"))
      return say`if the container ${missing} of pod/${pod} was meant: ${again(line, [pod], ["container", missing])}`;
  }
  const small = missing.toLowerCase();
  if (small === missing) return undefined;
  return say`names of pods have no capital letters: ${again(
    line,
    words.map((word) => word.replace(missing, small)),
  )}`;
}

/** The command line with other words, and with another value of a flag. */
function again({ flags, verb }: Words, words: readonly string[], changed?: readonly [name: string, value: string]): Phrase {
  const secret = (name: string): boolean => name === "token";
  const kept = flags.filter(([name]) => name !== changed?.[0] && !secret(name));
  const given = [...kept, ...(changed === undefined ? [] : [changed])].map(([name, value]) => {
    const takes = verb.flags.find((flag) => flag.name === name)?.takes;
    return (takes === "nothing" && value === "true") || (takes === "optional" && value === "") ? `--${name}` : `--${name}=${value}`;
  });
  return command`kubectl checkpoint ${[...words, ...given]}`;
}

/** Two bare words are two pods; kubectl takes a type and a name. */
const TYPE = /^(deploy(ment)?|statefulset|sts|daemonset|ds|replicaset|rs|replicationcontroller|rc|job|cronjob|cj|service|svc|node|no)s?$/;

const FIRST_USE = say`this plugin checkpoints running containers of a cluster, and reads the archives on this machine
the cluster's nodes need containerd or CRI-O, and CRIU; to see whether they have it: kubectl checkpoint doctor
archives need no cluster: kubectl checkpoint show FILE; for everything else: kubectl checkpoint --help`;

function withFix(error: UserError, suggestion: Phrase): UserError {
  const { message, why, fix } = error.said;
  return new UserError({
    reason: error.reason,
    message,
    why,
    fix: fix === undefined ? suggestion : joined([suggestion, fix], "\n"),
    cause: error,
  });
}

/** The verb that a word which names no pod may have been meant to be. */
function nearestVerb(word: string, verbs: Verbs): VerbEntry | undefined {
  const others = verbs.slice(1);
  const name =
    OTHER_NAMES[word] ??
    nearest(
      word,
      others.map((verb) => verb.name),
    );
  return others.find((verb) => verb.name === name);
}

/** The candidate that a mistyped word was meant to be; undefined where none is near, or several are as near. */
function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: { readonly distance: number; readonly found: string[] } = { distance: Infinity, found: [] };
  for (const candidate of new Set(candidates)) {
    const distance = editDistance(word, candidate);
    // Of short words, nearly all are near each other.
    if (distance > (Math.min(word.length, candidate.length) <= 4 ? 1 : 2)) continue;
    if (distance < best.distance) best = { distance, found: [candidate] };
    else if (distance === best.distance) best.found.push(candidate);
  }
  return best.found.length === 1 ? best.found[0] : undefined;
}

/** Insertions, deletions, substitutions, and neighbours that are swapped: optimal string alignment. */
function editDistance(from: string, to: string): number {
  let [before, row]: [number[], number[]] = [[], Array.from({ length: to.length + 1 }, (_, column) => column)];
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const substituted = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1] ? (before[j - 2] ?? 0) + 1 : Infinity;
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substituted, swapped));
    }
    [before, row] = [row, next];
  }
  return row[to.length] ?? 0;
}
