import { readdirSync } from "node:fs";
import { command, joined, say, type Phrase } from "../model/phrase.ts";

/** TYPE/NAME or the name of a pod, but for those that look like a file's. */
const TARGET =
  /^(?:((?:pod|deployment|replicaset|statefulset|daemonset|replicationcontroller|job|cronjob|service)s?|po|deploy|rs|sts|ds|rc|cj|svc)\/)?([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)$/;
const NODE = /^(?:nodes?|no)\/([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)$/;
const ON_A_NODE = /^[a-z0-9][a-z0-9.-]*:.*\.tar$/s;
/** An archive of a pod, as a copy of it is called. */
const COPY = /^checkpoint-([^_]+)_.*-(\d{4}-\d\d-\d\dT[\d:+-]+Z?)\.tar(?:\.(?:gz|zst|lzo))?(?:\.age)?$/s;

/** Whether a word may name a pod, or something that pods stand behind. */
export function mayBeTarget(word: string): boolean {
  return TARGET.test(word);
}

/** The newest archive of the pod in the working directory, by its name. */
export function newestOf(target: string): string | undefined {
  const [, type, name] = TARGET.exec(target) ?? [];
  if (name === undefined || !isPod(type)) return undefined;
  let newest: { readonly file: string; readonly time: string } | undefined;
  for (const file of filesHere()) {
    const [, pod, time = ""] = COPY.exec(file) ?? [];
    if (pod === name && (newest === undefined || time > newest.time)) newest = { file, time };
  }
  return newest?.file;
}

function isPod(type = "pod"): boolean {
  return /^(pods?|po)$/.test(type);
}

function filesHere(): string[] {
  try {
    return readdirSync(".");
  } catch {
    return [];
  }
}

/** What a path may be that is none: an archive on a node, a node, or a pod. None of that was looked for. */
export function elsewhere(path: string): Phrase | undefined {
  if (ON_A_NODE.test(path)) return say`an archive on a node is copied first: ${command`kubectl checkpoint cp ${path}`}`;
  const [, node] = NODE.exec(path) ?? [];
  if (node !== undefined) return say`the archives on a node are listed with: ${command`kubectl checkpoint ls --node ${node}`}`;
  const [target, type] = TARGET.exec(path) ?? [];
  if (target === undefined) return undefined;
  const made = say`if ${isPod(type) ? "a pod" : path} was meant, its archive is made first: ${command`kubectl checkpoint ${path} --copy`}`;
  const here = newestOf(path);
  return here === undefined ? made : joined([say`an archive of a pod of that name in this directory: ${here}`, made], "\n");
}
